"""The events that resourced tells, each with an identity that never changes.

A MESSAGE_ID stays with its event for ever: people and programs search for it. An event is added at the end of its
group with a new identity (`python -c "import uuid; print(uuid.uuid4().hex)"`).
"""

from collections.abc import Mapping
from typing import Any

from resourced.journal.event import Event
from resourced.journal.events_policy import POLICY_EVENTS
from resourced.journal.events_workloads import WORKLOAD_EVENTS
from resourced.journal.record import Priority, Record

_ALL = (
    # Life of the daemon
    Event(
        "daemon_started",
        "060104c29560440dac7b5e93ad33e369",
        Priority.NOTICE,
        "resourced {version} starts",
        "Start of resourced",
        "The daemon has read its configuration (@RESOURCED_CONFIGURATION@) and builds its parts. It is ready "
        "when it says so in another entry.",
    ),
    Event(
        "daemon_ready",
        "8c22aec1ac544c069412018050e201bb",
        Priority.NOTICE,
        "Ready after {seconds} s, listening on {listeners}",
        "resourced is ready",
        "The first sample has been taken and the listeners accept connections: @RESOURCED_LISTENERS@.",
    ),
    Event(
        "daemon_stopping",
        "13fa9bca5da44a17b6af6d896b7b4e96",
        Priority.NOTICE,
        "Stopping: {reason}",
        "resourced stops",
        "What was throttled or frozen is put back, and the history is flushed, before the daemon ends.",
    ),
    Event(
        "daemon_stopped",
        "2b4b868d1d164128a7eba7653e1195bc",
        Priority.NOTICE,
        "Stopped",
        "resourced has stopped",
        "Everything has been put back and flushed.",
    ),
    Event(
        "daemon_reloaded",
        "be3b8a8a63d6410dbd5623a608c19f01",
        Priority.NOTICE,
        "Configuration reloaded, changed: {changed}",
        "Configuration reloaded",
        "The new configuration is in force. Settings that need a restart keep their old value; they are "
        "listed in RESOURCED_WAITS_FOR_RESTART.",
    ),
    Event(
        "config_refused",
        "9e88408e84564a6daa0db8f03dbbc62d",
        Priority.ERROR,
        "Configuration refused: {reason}",
        "Configuration refused",
        "The configuration can't be used and the running one stays in force. All faults are listed with file, "
        "key and what is allowed.\n\n"
        "Check the file with: resourced check-config",
    ),
    Event(
        "log_level_changed",
        "902abd6d42ab4e1e96ad072727389c93",
        Priority.NOTICE,
        "Log level is now {level}",
        "Log level changed",
        "Lines less grave than @RESOURCED_LEVEL@ are left out from now on. It lasts until the next start, SIGUSR2, or "
        "a reload that changes log.level.",
    ),
    # Measuring
    Event(
        "collector_stale",
        "d7e3c5167f33437ca4ab9d45b5a259f8",
        Priority.WARNING,
        "Collector {collector} is stale: {reason}",
        "A collector does not deliver",
        "What @RESOURCED_COLLECTOR@ reads is not known at the moment. Rules that need it do not fire while it "
        "lasts, all else goes on, and it is tried again with growing pauses.",
        key=("collector",),
    ),
    Event(
        "collector_recovered",
        "5e0f43e69ffc44098e891349ae348f11",
        Priority.NOTICE,
        "Collector {collector} delivers again",
        "A collector delivers again",
        "@RESOURCED_COLLECTOR@ is read in every sample again.",
        key=("collector",),
    ),
    Event(
        "sample_late",
        "a7da8c27f77e4a278cff736b73e82a42",
        Priority.WARNING,
        "A sample came {seconds} s late",
        "A sample came late",
        "The daemon did not get the processor in time, or the machine was stopped. Rates stay right, as they "
        "are computed from the time that really passed.",
    ),
    Event(
        "clock_jumped",
        "e1f3997a7e7346d68bf4fc6e15495b7e",
        Priority.WARNING,
        "The wall clock jumped by {seconds} s",
        "The wall clock was changed",
        "Durations are measured on a clock that does not jump, so decisions are not affected. The history has "
        "a gap or an overlap of this length.",
    ),
    *POLICY_EVENTS,
    *WORKLOAD_EVENTS,
    # History
    Event(
        "store_set_aside",
        "70292db8118d4b2db870b338344ccb53",
        Priority.ERROR,
        "The history store was damaged and is kept as {path}: {reason}",
        "The history store was set aside",
        "A new store was begun. The old one can be looked into, or deleted: @RESOURCED_PATH@",
    ),
    Event(
        "store_unwritable",
        "f5d3fc0746a242ac96208a100342271d",
        Priority.ERROR,
        "History can't be written: {reason}",
        "History can't be written",
        "The daemon goes on from memory and tries again. What is not written when it ends is lost.\n\n"
        "Check free space and permissions of the state directory.",
    ),
    Event(
        "store_writable",
        "23c9e89c93504d6c8a8cbb198a2a575c",
        Priority.NOTICE,
        "History is written again",
        "History is written again",
        "What had been kept in memory meanwhile has been written.",
    ),
    Event(
        "store_trimmed",
        "970f3ce77ebc4fe790b973fba1a24b83",
        Priority.INFO,
        "History before {before} was removed: {reason}",
        "Old history was removed",
        "The configured age or size was reached.",
    ),
    # Access
    Event(
        "api_changed",
        "ac238070094a4853a13a0bf838a49cbe",
        Priority.NOTICE,
        "{caller} did {method} {path}",
        "A change was made through the API",
        "Kept as an audit record: who (@RESOURCED_CALLER@) and what.",
        limited=False,
    ),
    Event(
        "api_refused",
        "ff883396faba4a3c92f6852d9c35e1ce",
        Priority.WARNING,
        "{caller} was refused {what}: {reason}",
        "A request was refused",
        "The caller may not do this, or asked in a way that is not taken: @RESOURCED_REASON@\n\n"
        "Changes need root or membership in the group resourced-admin on the Unix socket, or a token with "
        "this right on TCP. Of one caller and status the first ten in a minute are told; api_refused_more counts the "
        "rest.",
        limited=False,
    ),
    Event(
        "api_refused_more",
        "b99473d690c44ffa86060f95757bf0cb",
        Priority.WARNING,
        "{count} more requests of {caller} were refused in {seconds} s",
        "Many requests were refused",
        "The first of them were told one by one (api_refused). A program of @RESOURCED_CALLER@ may have an old token, "
        "a wrong name of this host, or be broken.",
        limited=False,
    ),
    Event(
        "api_fault",
        "9d2f6c1e4b7a4f0c8e35d1a7b6c09f42",
        Priority.ERROR,
        "Answering {method} {path} failed: {reason}",
        "A request could not be answered",
        "A fault of resourced itself, which concerns this answer only: @RESOURCED_REASON@\n\n"
        "Please report it with the configuration and the lines around this one.",
        key=("path",),
    ),
    Event(
        "api_stream_dropped",
        "51f7a0d8c3e94b6fa2d80c47e916b35d",
        Priority.NOTICE,
        "A reader of events was cut off: {reason}",
        "A reader of events was cut off",
        "It was too slow, and nobody waits for readers; or its token was withdrawn. Who may read can connect again and "
        "go on where it broke off (Last-Event-ID).",
    ),
    Event(
        "history_exported",
        "e07b3d52f81c4a63b94e6d20a5c7f198",
        Priority.NOTICE,
        "{caller} takes a recording of the history",
        "A recording is taken",
        "Kept as an audit record: a recording holds names of programs, units and users.",
        limited=False,
    ),
    # Recordings that are served
    Event(
        "replay_started",
        "3b1d9f47c2a84e0f96d57a83e04bc61a",
        Priority.NOTICE,
        "Serving {path} from {start} to {end}, listening on {listeners}",
        "A recording is served",
        "Nothing of this machine is read or touched: all answers are about the recorded one.",
    ),
    Event(
        "replay_decision",
        "c86e2a90b5f14d73a1e4f0967d3b285c",
        Priority.NOTICE,
        "{text}",
        "A rule decided about the past",
        "The rules in force now were judged over a recording and decided this. Nothing was done about it.",
        limited=False,
    ),
    Event(
        "replay_ended",
        "7fa4c05e1d6b48929c3e8b17d2a06f53",
        Priority.NOTICE,
        "The recording is over after {ticks} samples and {decisions} decisions; its end is still served",
        "The end of a recording is reached",
        "The last moment is served until the daemon is told to end.",
    ),
    Event(
        "replay_failed",
        "a2e95b7c0f3d4186b6d1c48f72e9a035",
        Priority.ERROR,
        "The recording can't be read any further: {reason}",
        "A recording is damaged",
        "What was played up to then is still served.",
    ),
    # The log itself
    Event(
        "suppressed",
        "12d066b024f8414496426c4ce9a206c8",
        Priority.NOTICE,
        "{count} more like this in {seconds} s: {like}",
        "Repeated lines were held back",
        "The same thing was logged more often than the configured limit in one interval.",
        limited=False,
    ),
    Event(
        "lines_dropped",
        "85cd7e8927724f56864d9fb8884ad4b9",
        Priority.WARNING,
        "{count} lines could not be given to journald",
        "Lines were lost",
        "journald did not take them in time. The daemon never waits for it.",
        limited=False,
    ),
)

EVENTS: dict[str, Event] = {event.name: event for event in _ALL}
"""Every event, keyed by name."""


def record(name: str, fields: Mapping[str, Any], time: float) -> Record:
    """Return the line for an event of the table that the log itself tells.

    Args:
        name: Name of the event.
        fields: What it tells.
        time: Wall time, seconds since the epoch.
    """
    event = EVENTS[name]
    text = event.message(fields)
    return Record(time, event.priority, name, text, "resourced.journal", event.message_id, dict(fields))


def step_event(step: str, result: str) -> str:
    """Return the name of the event that tells what came of a step.

    Args:
        step: notify, reclaim, throttle, freeze, terminate or kill.
        result: done, called_off, refused, failed, undone or expired, as in an outcome.
    """
    return f"step_{step}" if result == "done" else f"step_{result}"
