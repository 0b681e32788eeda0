"""What a crowd of bad callers does to the good ones, and to sampling: 500 heads that never end, 2,000 idle connections.

Run: python -m tests.bench.bench_crowds [--seconds 25]. Good callers ask with a new connection each time, ten times a
second, before and while the crowd is there; it is gone when the daemon has its descriptors back.
"""

import argparse
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.lags import Lags, spread
from tests.bench.peers import Running, resourced, scratch, started
from tests.bench.report import keep, table

SLOW, IDLE, GOOD = 500, 2000, 4
_RETURN_SECONDS = 60.0


@dataclass(slots=True)
class Callers:
    """Good callers: how long each answer took, and how often there was none."""

    port: int
    milliseconds: list[float] = field(default_factory=list)
    turned_away: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Ask while the block lasts."""
        threads = [threading.Thread(target=self._ask_often) for _ in range(GOOD)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask_often(self) -> None:
        while not self._stop.wait(0.1):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            began = time.perf_counter()
            try:
                connection.request("GET", "/resources/all", headers={"connection": "close"})
                answer = connection.getresponse()
                answer.read()
                good = answer.status == http.client.OK
            except (OSError, http.client.HTTPException):
                good = False
            connection.close()
            self.milliseconds.append(1000 * (time.perf_counter() - began))
            self.turned_away += not good

    def row(self, when: str, lags: dict[int, float], descriptors: int) -> tuple[str, ...]:
        """Return a row of the table."""
        tail = statistics.quantiles(self.milliseconds, n=100)[-1]
        middle = statistics.median(self.milliseconds)
        asked = len(self.milliseconds)
        return (
            when,
            f"{asked:,}",
            f"{self.turned_away}",
            f"{middle:.1f} ms",
            f"{tail:.1f} ms",
            spread(lags),
            str(descriptors),
        )


def descriptors(running: Running) -> int:
    """Return how many descriptors the daemon has open."""
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


@contextlib.contextmanager
def crowd(port: int, counts: dict[str, int]) -> Iterator[None]:
    """Let the crowd press while the block lasts; then `counts` has how its connections ended."""
    command = [sys.executable, "-m", "tests.bench.crowd", str(port), str(SLOW), str(IDLE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("there are no pipes")
        try:
            if process.stdout.readline() != "there\n":
                raise RuntimeError("the crowd did not come")
            yield
            process.stdin.close()
            counts.update(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


def until_returned(running: Running, before: int) -> float:
    """Return after how many seconds the daemon had no more descriptors than before.

    Raises:
        RuntimeError: It still has more.
    """
    began = time.monotonic()
    while descriptors(running) > before:
        if time.monotonic() > began + _RETURN_SECONDS:
            raise RuntimeError(f"{descriptors(running)} descriptors are open; there were {before}")
        time.sleep(0.02)
    return time.monotonic() - began


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=25)
    chosen = parser.parse_args()
    counts: dict[str, int] = {}
    rows: list[tuple[str, ...]] = []
    with scratch() as directory, contextlib.ExitStack() as stack:
        daemon = resourced(directory, {"collectors.processes.descriptors": 0})
        running = stack.enter_context(started(daemon))
        port = int(urlsplit(str(daemon.url)).port or 0)
        lags = Lags(port)
        time.sleep(3)
        before = descriptors(running)
        for when in ("before", "with the crowd"):
            good = Callers(port)
            with contextlib.ExitStack() as pressed:
                if rows:
                    pressed.enter_context(crowd(port, counts))
                with lags.watching() as late, good.asking():
                    time.sleep(chosen.seconds)
                    most = descriptors(running)
            rows.append(good.row(when, late, most))
        seconds = until_returned(running, before)
    head = ("", "asked", "turned away", "median", "99th percentile", "samples late", "descriptors")
    ended = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    body = table(head, rows)
    body += (
        f"\n\n{SLOW} connections that send one byte of a head each second and {IDLE:,} that send nothing, from another"
        f" process, for {chosen.seconds} s; who is cut off comes again a second later, so they also connect some"
        f" hundred times a second. Good callers: {GOOD}, each with a new connection for every `/resources/all`. Samples"
        " late: median and greatest of every sample. At most 1,024 connections are kept, and a head may take 10 s."
        f" How the crowd's connections ended: {ended}. {seconds:.1f} s after it had gone the daemon had as many"
        " descriptors as before."
    )
    keep("API: crowds", f"python -m tests.bench.bench_crowds --seconds {chosen.seconds}", body)


if __name__ == "__main__":
    main()
