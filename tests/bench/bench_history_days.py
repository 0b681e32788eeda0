"""Weeks of a busy machine in minutes: size over time, bytes written, processor time and memory of the history.

Run: python -m tests.bench.bench_history_days [--days 12] [--recordings FOLDER]. A process of its own feeds the history
300 series a second, flushed every ten seconds as the daemon does, with a clock that is set by hand; between flushes it
does all that the history's own thread would do. A day takes some 40 s where nothing else runs: ask for 90 to have an
hour of it; Ctrl-C ends it early with what was measured until then.
"""

import argparse
import contextlib
import gc
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from resourced.series import Series
from tests.bench.bench_history_size import FOLDER, recordings_folder
from tests.bench.corpus import whole_machines
from tests.bench.endless import Endless
from tests.bench.report import keep, table
from tests.history.fakes import Kit

DAY = 86400
MIB = 1024**2
_FLUSH = 10


@dataclass(slots=True)
class Day:
    """What the history was and did on one day of its own time."""

    number: int
    """Counted from 1."""
    disk: int
    """Bytes of its files at the end."""
    tiers: Sequence[int]
    """Bytes of single ticks, minutes and hours at the end."""
    written: int
    """Bytes that the process wrote to its file system (/proc/self/io, write_bytes)."""
    packing: float
    """Processor seconds of packing, rolling up and removing."""
    writing: float
    """Processor seconds of flushes."""
    longest: float
    """Longest step, seconds on the wall: what a flush may wait for."""
    resident: int
    """Bytes of memory at the end (/proc/self/statm), this benchmark's own values included."""


@dataclass(slots=True)
class Clocks:
    """Processor time of one day by what it was for."""

    packing: float = 0.0
    writing: float = 0.0
    longest: float = 0.0
    steps: list[float] = field(default_factory=list)


def written_bytes() -> int:
    """Return the bytes that this process has had written to disk."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def resident_bytes() -> int:
    """Return this process's resident set."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def flush(kit: Kit, clocks: Clocks) -> None:
    """Flush, then do what waits, as the history's thread does."""
    before = time.thread_time()
    assert kit.history.flush()
    between = time.thread_time()
    clocks.writing += between - before
    began = time.perf_counter()
    while kit.history._keeper.step():
        now = time.perf_counter()
        clocks.longest = max(clocks.longest, now - began)
        began = now
    clocks.packing += time.thread_time() - between


def one_day(kit: Kit, endless: Endless, layout: tuple[Series, ...], number: int) -> Day:
    """Feed one day of ticks and return what came of it."""
    clocks, before, size = Clocks(), written_bytes(), kit.directory
    assert size is not None
    for _ in range(DAY // Endless.PIECE):
        for row in endless.piece().tolist():
            kit.add(row, layout=layout)
            if kit.sequence % _FLUSH == 0:
                flush(kit, clocks)
    gc.collect()
    stats = kit.history.stats()
    disk = sum(path.stat().st_size for path in size.iterdir())
    tiers = [tier.bytes for tier in stats.tiers]
    written = written_bytes() - before
    return Day(number, disk, tiers, written, clocks.packing, clocks.writing, clocks.longest, resident_bytes())


def shown(day: Day) -> tuple[str, ...]:
    """Return a day as a row."""
    raw, minutes, hours = day.tiers
    return (
        str(day.number),
        f"{day.disk / MIB:.1f} MiB",
        *(f"{size / MIB:.1f} MiB" for size in (raw, minutes, hours)),
        f"{day.written / 1e6:.1f} MB",
        f"{100 * day.packing / DAY:.4f} %",
        f"{100 * day.writing / DAY:.4f} %",
        f"{1000 * day.longest:.0f} ms",
        f"{day.resident / MIB:.1f} MiB",
    )


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=12)
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--directory", type=Path, default=None, help="where the store is made; on a disk, not tmpfs")
    recordings_folder(parser)
    chosen = parser.parse_args()
    endless = Endless(whole_machines(chosen.recordings), chosen.series)
    layout = tuple(Series("bench.value", (("number", str(n)),)) for n in range(chosen.series))
    began, days = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="resourced-bench-", dir=chosen.directory) as name:
        kit = Kit(Path(name))
        with contextlib.suppress(KeyboardInterrupt):  # what was measured until then is written down
            for number in range(1, chosen.days + 1):
                days.append(one_day(kit, endless, layout, number))
                print(*shown(days[-1]), flush=True)
        stats, events = kit.history.stats(), kit.events
        kit.history.close()
    head = ("day", "on disk", "ticks", "minutes", "hours", "written", "packing", "flushing", "longest step", "resident")
    told = [day for day in days if day.number <= 10 or day.number % 10 == 0 or day.number == len(days)]
    body = table(head, [shown(day) for day in told]) + "\n\n" + _words(days, chosen.series, time.monotonic() - began)
    if stats.bytes_per_sample is not None:
        body += f" Bytes a sample of single ticks: {stats.bytes_per_sample:.3f}."
    body += f" Reported: {', '.join(events) or 'nothing'}."
    command = f"python -m tests.bench.bench_history_days --days {chosen.days}"
    keep("History: days", command + (f" {FOLDER} FOLDER" if chosen.recordings else ""), body)


def _words(days: Sequence[Day], series: int, seconds: float) -> str:
    written = sum(day.written for day in days) / len(days)
    packing = sum(day.packing for day in days) / len(days) / DAY
    samples = series * DAY
    growth = days[-1].disk / days[-1].number / samples
    later = days[1:] or days
    return (
        f"{len(days)} days of {series} series at one second, in {seconds / 60:.0f} minutes. Written a day:"
        f" {written / 1e6:.1f} MB, at most 100 wanted. Packing, rolling up and removing: {100 * packing:.4f} % of a"
        f" processor, at most 0.1 wanted. Resident from the second day on: {min(d.resident for d in later) / MIB:.1f}"
        f" to {max(d.resident for d in later) / MIB:.1f} MiB. All files together by all samples ever taken:"
        f" {growth:.3f} bytes. Series follow recordings in pieces, their steps changed at random"
        " (tests/bench/endless.py)."
    )


if __name__ == "__main__":
    main()
