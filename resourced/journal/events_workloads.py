"""The events of workloads that cooperate, each with an identity that never changes."""

from resourced.journal.event import Event
from resourced.journal.record import Priority

WORKLOAD_EVENTS = (
    Event(
        "workload_registered",
        "bb1a3bbdc74f4ce4915d5e21bf2c020d",
        Priority.INFO,
        "Workload {workload} is registered",
        "A workload is registered",
        "It is told first when something must give way.",
        key=("workload",),
    ),
    Event(
        "workload_released",
        "e648dc7f0d154f959bbf2abed04bbe2c",
        Priority.INFO,
        "Workload {workload} has gone: {reason}",
        "A workload has gone",
        "It is no longer told when something must give way.",
        key=("workload",),
    ),
    Event(
        "workload_told",
        "b95d6a6aab124bf5a9eef5d38e6955e5",
        Priority.NOTICE,
        "Workload {workload} was asked to give way within {seconds} s",
        "A workload was asked to give way",
        "@RESOURCED_WORKLOAD@ may write its state and leave by itself. If it acknowledges it has the time that it "
        "asked for, as far as the resource lasts; otherwise the next step of the decision follows.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "workload_acknowledged",
        "cdcf2e5420914465912b364fbc98019e",
        Priority.NOTICE,
        "Workload {workload} gives way",
        "A workload gives way",
        "It has acknowledged, and is awaited for as long as it asked for.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "workload_yielded",
        "1f521ce7a52a4f0593e9e44c48a6f3de",
        Priority.NOTICE,
        "{target} gave way by itself: {detail}",
        "A workload gave way by itself",
        "Nothing more is done for this decision. What the machine has more of is told as freed.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "workload_overdue",
        "02bf3d7493fb43939c83b618d0680cea",
        Priority.WARNING,
        "Workload {workload} did not give way in time: {detail}",
        "A workload did not give way in time",
        "The next step of the decision follows.\n\nSee: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "workload_withdrawn",
        "bd944ca5e0ae4b24b8189f1ee0eefae9",
        Priority.NOTICE,
        "Workload {workload} need not give way any more: {reason}",
        "A workload need not give way any more",
        "What was asked of it was withdrawn.\n\nSee: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "workloads_failed",
        "84356cd1cad24d83a7b25cebd3b12789",
        Priority.ERROR,
        "Registered workloads can't be kept or told: {reason}",
        "Registered workloads can't be kept or told",
        "What is registered now is told still; it may be forgotten when the daemon ends.",
        key=("reason",),
    ),
)
"""In the order of the catalog."""
