"""SIGKILL at any instant: nothing that was flushed is lost or doubled, and the store is sound."""

import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.history.fakes import decision
from tests.history.killed import FLUSH_EVERY, found


def kill_once(directory: Path, first: int, seconds: float) -> int:
    """Let a writer run for some time after its first flush, kill it, and return the last tick that it was promised."""
    command = [sys.executable, "-m", "tests.history.killed", str(directory), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert select.select([writer.stdout], [], [], 30)[0], "the writer never flushed"
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        lines = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    assert all(line.startswith("tick ") for line in lines), lines
    return max((int(line.split()[1]) for line in lines), default=first)


def check(directory: Path, promised: int, lost_before: set[int]) -> int:
    """Check what a killed writer left; return the last tick that is there."""
    values, decisions, events = found(directory)
    numbers = [int(value) for value in values]
    last = max(numbers, default=0)
    assert events == []
    assert len(set(numbers)) == len(numbers)
    assert last >= promised
    assert set(range(1, last + 1)) - set(numbers) <= lost_before
    wanted = {decision(number).id for number in range(97, promised + 1, 97)} - {
        decision(number).id for number in lost_before
    }
    assert wanted <= set(decisions)
    return last


def test_a_killed_daemon_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    dice = random.Random(7)
    first = 0
    for _ in range(5):
        promised = kill_once(tmp_path, first, dice.uniform(0, 0.15))
        first = check(tmp_path, promised, set())
    assert first > 5 * FLUSH_EVERY
