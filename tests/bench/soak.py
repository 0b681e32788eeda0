"""The daemon for a long time under changing load: what it holds must not grow. python -m tests.bench.soak --minutes 3.

Time is compressed: it samples ten times as often as by default, remembers a minute instead of an hour in memory and
writes every second, so that 3 minutes hold the samples of 30. Load comes and goes: processes, callers on both sockets,
streams that are cut off, questions to the history, reloads. Ends with 1 if anything grew.
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.running import Daemon, running, settings

_SETTLED_SECONDS = 60.0
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


def growth(readings: Sequence[Reading], of: Callable[[Reading], float]) -> float:
    """Return by how much a value is greater at the end than when the daemon had settled, medians of a quarter each."""
    settled = [each for each in readings if each.seconds > _SETTLED_SECONDS]
    quarter = max(1, len(settled) // 4)
    return median(map(of, settled[-quarter:])) - median(map(of, settled[:quarter]))


def faults(readings: Sequence[Reading]) -> list[str]:
    """Return what grew, a sentence each."""
    found = []
    if (more := growth(readings, lambda each: each.memory_bytes)) > _MOST_BYTES:
        found.append(f"memory grew by {more / 2**20:.1f} MiB")
    # One: the pools of threads make the last of theirs when for once all others have work.
    if (more := growth(readings, lambda each: each.threads)) > 1:
        found.append(f"{more:.0f} threads more")
    if (more := growth(readings, lambda each: each.descriptors)) > 8:
        found.append(f"{more:.0f} descriptors more")
    if (more := growth(readings, lambda each: each.lag_seconds)) > _MOST_LAG_SECONDS:
        found.append(f"samples come {more * 1000:.0f} ms later")
    return found


class Load:
    """What troubles the daemon, each in a thread of its own, until `stop`.

    Args:
        daemon: Whom to trouble.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._over = threading.Event()
        two = (self._questions, self._questions)
        kinds = (self._processes, self._callers, self._callers, self._streams, *two, self._reloads)
        self._threads = [threading.Thread(target=self._repeat, args=(kind,), daemon=True) for kind in kinds]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it and wait until it has ended."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, kind: Callable[[], None]) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                kind()
            self._over.wait(random.uniform(0.05, 1.0))

    def _processes(self) -> None:
        started = [subprocess.Popen(["sleep", "60"]) for _ in range(random.randint(5, 60))]
        self._over.wait(random.uniform(0.2, 3))
        for each in started:
            each.kill()
            each.wait()

    def _callers(self) -> None:
        paths = ("/resources/all", "/resources/processes", "/prune", "/metrics", "/events?limit=1", "/nothing")
        for path in random.choices(paths, k=random.randint(1, 40)):
            self._ask(path)

    def _streams(self) -> None:
        """Follow the events for a moment, and go without a word."""
        for _ in range(random.randint(1, 8)):
            with self._connect() as sock:
                sock.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                sock.recv(4096)

    def _questions(self) -> None:
        self._ask("/history?metric=memory.available&since=1h&points=500")
        self._ask("/decisions")

    def _reloads(self) -> None:
        self._over.wait(5)
        self._daemon.process.send_signal(signal.SIGHUP)

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(str(self._daemon.socket))
        return sock

    def _ask(self, path: str) -> None:
        with self._connect() as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            sock.settimeout(2)
            while sock.recv(65536):
                pass


def soak(directory: Path, minutes: float) -> list[Reading]:
    """Run a daemon under load for so long and return what it said of itself each second."""
    text = settings(directory, _MORE).replace('"200ms"', '"100ms"').replace('"1s"', '"1s"\nmemory_window = "1min"')
    readings = []
    with running(directory, text=text, environ={"MALLOC_ARENA_MAX": "2"}) as daemon:
        load = Load(daemon)
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


def main() -> int:
    """Soak, print ten lines of the course, and tell what grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    chosen = parser.parse_args()
    if chosen.minutes < 2:
        parser.error("less than two minutes tell nothing")
    with tempfile.TemporaryDirectory() as scratch:
        readings = soak(Path(scratch) / "daemon", chosen.minutes)
    print(f"{'seconds':>8} {'MiB':>7} {'descriptors':>11} {'threads':>7} {'lag ms':>7}   ({os.cpu_count()} processors)")
    for each in readings[:: max(1, len(readings) // 10)]:
        size, lag = each.memory_bytes / 2**20, each.lag_seconds * 1000
        print(f"{each.seconds:8.0f} {size:7.1f} {each.descriptors:11} {each.threads:7} {lag:7.1f}")
    found = faults(readings)
    print("\n".join(found) or "nothing grew")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
