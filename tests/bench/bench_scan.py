"""What a scan of all processes costs beside psutil's. Run: python -m tests.bench.bench_scan."""

import gc
import os
import resource
import signal
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from resourced.collectors.base import Roots, Taken
from resourced.collectors.processes import ProcessesCollector, ProcessesSample
from resourced.snapshot.processes import Processes, derive_processes
from tests.test_monitor import ManualClock

EXTRA = 500
ROUNDS = 60
PSUTIL_ROUNDS = 7
PSUTIL_ATTRIBUTES = [
    "pid", "ppid", "name", "uids", "status", "create_time", "cpu_times", "memory_info", "num_threads", "nice",
    "io_counters",
]  # fmt: skip


@contextmanager
def sleeping(count: int) -> Iterator[list[int]]:
    """Have as many processes that sleep, and end them."""
    pids: list[int] = []
    try:
        for _ in range(count):
            pids.append(os.posix_spawn("/bin/sleep", ["sleep", "600"], {}))  # noqa: PERF401 - ended also when one fails
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def cpu_milliseconds(work: Callable[[], object]) -> float:
    """Return the processor time that a call takes in this thread, the kernel's part included."""
    before = resource.getrusage(resource.RUSAGE_THREAD)
    work()
    after = resource.getrusage(resource.RUSAGE_THREAD)
    return 1e3 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


class Scan:
    """Collects and derives as the daemon does, a second after another by the clock it is given."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.collector = ProcessesCollector(Roots(), clock=self.clock)
        self.before: Taken[ProcessesSample] | None = None
        self.section: Processes | None = None

    def tick(self) -> None:
        self.clock.now += 1.0
        now = Taken(self.collector.collect(), self.clock.now, self.clock.wall(), 0.0)
        self.section = derive_processes(self.before, now, self.section)
        self.before = now


def measure() -> dict[str, float]:
    """Return medians in milliseconds of CPU: a scan while all are new to idleness, one when they rest, psutil's."""
    scan = Scan()
    gc.collect()
    try:
        with sleeping(EXTRA):
            first = cpu_milliseconds(scan.tick)
            awake = [cpu_milliseconds(scan.tick) for _ in range(25)]
            for _ in range(15):
                scan.tick()
            resting = [cpu_milliseconds(scan.tick) for _ in range(ROUNDS)]
            theirs = [
                cpu_milliseconds(lambda: [p.info for p in psutil.process_iter(PSUTIL_ATTRIBUTES)])
                for _ in range(PSUTIL_ROUNDS)
            ]
            assert scan.section is not None
            count = len(scan.section.items)
    finally:
        scan.collector.close()
    return {
        "processes": count,
        "first": first,
        "awake": statistics.median(awake),
        "resting": statistics.median(resting),
        "psutil": statistics.median(theirs),
    }


def report(result: dict[str, float]) -> str:
    """Return the result as lines."""
    return "\n".join(
        (
            f"{result['processes']:.0f} processes, CPU of one scan with its derivation, median",
            f"first scan                          {result['first']:>8.2f} ms",
            f"every process read                  {result['awake']:>8.2f} ms",
            f"idle ones read in turn (after 30 s) {result['resting']:>8.2f} ms   (at most 5)",
            f"psutil.process_iter                 {result['psutil']:>8.2f} ms",
        )
    )


@pytest.mark.bench
def test_a_scan_of_five_hundred_idle_processes_takes_at_most_five_milliseconds() -> None:
    result = measure()
    print("\n" + report(result))
    assert result["resting"] <= 5.0
    assert result["awake"] <= result["psutil"] / 4


def main() -> None:
    """Print the medians."""
    print(report(measure()))


if __name__ == "__main__":
    main()
