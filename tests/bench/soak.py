"""The daemon for a long time under changing load: what it holds must not grow. python -m tests.bench.soak --minutes 3.

Time is compressed: it samples ten times as often as by default, remembers a minute instead of an hour in memory and
writes every second, so that 3 minutes hold the samples of 30. Load comes and goes: processes, callers on both sockets,
streams that are cut off, questions to the history, reloads. Ends with 1 if anything grew.
"""

import argparse
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.load import Load
from tests.running import running, settings

SETTLED_SECONDS = 60.0
"""After this time all that is ever held has been held once: the history's first pack is made after half of it."""
_MOST_BYTES = 3 * 2**20
_MOST_LAG_SECONDS = 0.05
_MORE = """
[history.retention]
raw = "1min"
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the daemon said of itself."""

    seconds: float
    """Since the beginning."""
    memory_bytes: int
    descriptors: int
    threads: int
    lag_seconds: float


def growth(readings: Sequence[Reading], of: Callable[[Reading], float], settled_seconds: float) -> float:
    """Return by how much a value is greater at the end than when the daemon had settled, medians of a quarter each."""
    settled = [each for each in readings if each.seconds > settled_seconds]
    quarter = max(1, len(settled) // 4)
    return median(map(of, settled[-quarter:])) - median(map(of, settled[:quarter]))


def faults(readings: Sequence[Reading], settled_seconds: float = SETTLED_SECONDS) -> list[str]:
    """Return what grew after the daemon had settled, a sentence each."""

    def grown(of: Callable[[Reading], float]) -> float:
        return growth(readings, of, settled_seconds)

    found = []
    if (more := grown(lambda each: each.memory_bytes)) > _MOST_BYTES:
        found.append(f"memory grew by {more / 2**20:.1f} MiB")
    # One: the pools of threads make the last of theirs when for once all others have work.
    if (more := grown(lambda each: each.threads)) > 1:
        found.append(f"{more:.0f} threads more")
    if (more := grown(lambda each: each.descriptors)) > 8:
        found.append(f"{more:.0f} descriptors more")
    if (more := grown(lambda each: each.lag_seconds)) > _MOST_LAG_SECONDS:
        found.append(f"samples come {more * 1000:.0f} ms later")
    return found


def soak(directory: Path, minutes: float) -> list[Reading]:
    """Run a daemon under load for so long and return what it said of itself each second."""
    text = settings(directory, _MORE).replace('"200ms"', '"100ms"').replace('"1s"', '"1s"\nmemory_window = "1min"')
    readings = []
    with running(directory, text=text, environ={"MALLOC_ARENA_MAX": "2"}) as daemon:
        load = Load(daemon.socket, lambda: daemon.process.send_signal(signal.SIGHUP))
        load.start()
        began = time.monotonic()
        try:
            for number in itertools.count(1):
                if number > minutes * 60:
                    break
                time.sleep(max(0.0, began + number - time.monotonic()))
                told = daemon.get("/healthz")
                lag = told["sampling"]["lag_seconds"]
                held = (told["memory_bytes"], told["descriptors"], told["threads"])
                readings.append(Reading(time.monotonic() - began, *held, lag))
        finally:
            load.stop()
        sequence = daemon.get("/healthz")["sampling"]["sequence"]
        print(f"{sequence} samples, as many as {sequence / 60:.0f} minutes have at one a second")
    return readings


def course(readings: Sequence[Reading]) -> str:
    """Return ten lines of the course."""
    lines = [f"{'seconds':>8} {'MiB':>7} {'descriptors':>11} {'threads':>7} {'lag ms':>7}"]
    for each in readings[:: max(1, len(readings) // 10)]:
        size, lag = each.memory_bytes / 2**20, each.lag_seconds * 1000
        lines.append(f"{each.seconds:8.0f} {size:7.1f} {each.descriptors:11} {each.threads:7} {lag:7.1f}")
    return "\n".join(lines)


def main() -> int:
    """Soak, print ten lines of the course, and tell what grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    chosen = parser.parse_args()
    if chosen.minutes < 2:
        parser.error("less than two minutes tell nothing")
    with tempfile.TemporaryDirectory() as scratch:
        readings = soak(Path(scratch) / "daemon", chosen.minutes)
    print(course(readings), f"({os.cpu_count()} processors)", sep="\n")
    found = faults(readings)
    print("\n".join(found) or "nothing grew")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
