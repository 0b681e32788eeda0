import os
import signal
import subprocess
from pathlib import Path

from resourced.collectors.base import Roots, Taken
from resourced.collectors.processes import ProcessesCollector
from resourced.snapshot.processes import Processes, derive_processes

USUAL = set("RSDZTt")


def section(roots: Roots) -> Processes:
    collector = ProcessesCollector(roots)
    try:
        return derive_processes(None, Taken(collector.collect(), 0.0, 0.0, 0.0), None)
    finally:
        collector.close()


def test_a_state_that_nobody_is_in_counts_nothing_and_is_there(tmp_path: Path) -> None:
    assert section(Roots(proc=tmp_path)).states == dict.fromkeys(USUAL, 0)


def test_states_count_every_process_and_stay_the_same_series_when_one_stops() -> None:
    before = section(Roots())
    assert sum(before.states.values()) == len(before.items)

    child = subprocess.Popen(["sleep", "60"])
    try:
        child.send_signal(signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        after = section(Roots())
    finally:
        child.kill()
        child.wait()

    assert next(each.state for each in after.items if each.pid == child.pid) == "T"
    assert after.states["T"] >= 1
    assert before.states.keys() >= USUAL
    assert after.states.keys() >= USUAL
