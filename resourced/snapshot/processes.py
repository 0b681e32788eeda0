"""Processes: what a snapshot says of them."""

from dataclasses import dataclass

from resourced.collectors.base import Taken
from resourced.collectors.processes import ProcessesSample, Record
from resourced.quantities import rate


@dataclass(frozen=True, slots=True)
class Process:
    """One process that is not a kernel thread. Its identity is pid and start time together."""

    pid: int
    """Process id."""
    start_time_ticks: int
    """Clock ticks after boot at which it started (field 22 of /proc/PID/stat)."""
    ppid: int
    """Parent."""
    session: int
    """Session id: the pid of its session leader."""
    name: str
    """Command name, at most 15 bytes, as the kernel keeps it."""
    uid: int | None
    """Real user id; null where it can't be read."""
    state: str
    """One letter: R running, S sleeping, D uninterruptible, Z zombie, T stopped, t traced, I idle."""
    cgroup: str | None
    """Path in the cgroup v2 tree; null on cgroup v1 or where it can't be read."""
    threads: int
    """Threads."""
    nice: int
    """Nice value."""
    cpu_seconds: float
    """Processor seconds since it started, user and system."""
    cpu_utilization: float | None
    """Processors used over the last interval: 1.0 is one whole processor."""
    memory_bytes: int
    """Resident set size."""
    memory_growth_bytes_per_second: float | None
    """Growth of the resident set over the last interval; negative when it shrinks."""
    virtual_bytes: int
    """Address space."""
    swap_bytes: int | None
    """VmSwap; null where it can't be read."""
    major_faults: int
    """Page faults since it started that needed the disk."""
    io_read_bytes: int | None
    """Bytes that it caused to be read from devices; null for processes of others unless privileged."""
    io_write_bytes: int | None
    """Bytes that it caused to be written to devices; null for processes of others unless privileged."""
    io_read_bytes_per_second: float | None
    """Bytes a second read from devices."""
    io_write_bytes_per_second: float | None
    """Bytes a second written to devices."""
    oom_score: int | None
    """The kernel's badness, 0-2000."""
    oom_score_adj: int | None
    """-1000 (never) to 1000, as set for it."""


@dataclass(frozen=True, slots=True)
class Processes:
    """All processes but kernel threads."""

    items: tuple[Process, ...]
    """In no particular order."""
    states: dict[str, int]
    """Number of processes by state letter."""
    threads: int
    """Threads of all processes."""
    kernel_threads: int
    """Kernel threads, which are counted and not listed."""
    unreadable: int
    """Processes that exist but may not be read."""


def derive_processes(
    before: Taken[ProcessesSample] | None, now: Taken[ProcessesSample], previous: Processes | None
) -> Processes:
    """Return what a sample says of the processes; those of which nothing changed are the objects of before.

    Rates are over the time since the process itself was read before: null for one that is new.
    """
    earlier = {r.stat.pid: r for r in before.sample.records} if before else {}
    known = {p.pid: p for p in previous.items} if previous else {}
    sample = now.sample
    items = []
    states: dict[str, int] = {}
    threads = 0
    for record in sample.records:
        stat = record.stat
        states[stat.state] = states.get(stat.state, 0) + 1
        threads += stat.threads
        last, shown = earlier.get(stat.pid), known.get(stat.pid)
        if last is not None and last.stat.start_time_ticks != stat.start_time_ticks:
            last = shown = None
        if record is last and shown is not None:
            items.append(shown if _at_rest(shown) else _process(record, record, sample, rested=True))
        else:
            items.append(_process(record, last, sample))
    return Processes(tuple(items), states, threads, sample.kernel_threads, sample.unreadable)


def _at_rest(process: Process) -> bool:
    return (
        process.cpu_utilization == 0
        and process.memory_growth_bytes_per_second == 0
        and not process.io_read_bytes_per_second
        and not process.io_write_bytes_per_second
    )


def _process(record: Record, last: Record | None, sample: ProcessesSample, *, rested: bool = False) -> Process:
    stat, details, page = record.stat, record.details, sample.page_size_bytes
    elapsed = 1.0 if rested else record.read_seconds - (record.before_seconds or record.read_seconds)
    was, was_details = (last.stat, last.details) if last else (None, None)
    cpu = rate(was.cpu_ticks, stat.cpu_ticks, elapsed) if was else None
    grown = (stat.resident_pages - was.resident_pages) * page / elapsed if was and elapsed > 0 else None
    if rested or details is was_details:
        io_elapsed = 1.0
    else:
        io_elapsed = details.read_seconds - was_details.read_seconds if was_details else 0.0
    return Process(
        pid=stat.pid,
        start_time_ticks=stat.start_time_ticks,
        ppid=stat.ppid,
        session=stat.session,
        name=stat.name,
        uid=details.uid,
        state=stat.state,
        cgroup=details.cgroup,
        threads=stat.threads,
        nice=stat.nice,
        cpu_seconds=stat.cpu_ticks / sample.ticks_per_second,
        cpu_utilization=None if cpu is None else cpu / sample.ticks_per_second,
        memory_bytes=stat.resident_pages * page,
        memory_growth_bytes_per_second=grown,
        virtual_bytes=stat.virtual_bytes,
        swap_bytes=details.swap_bytes,
        major_faults=stat.major_faults,
        io_read_bytes=details.io_read_bytes,
        io_write_bytes=details.io_write_bytes,
        io_read_bytes_per_second=rate(was_details.io_read_bytes, details.io_read_bytes, io_elapsed)
        if was_details
        else None,
        io_write_bytes_per_second=rate(was_details.io_write_bytes, details.io_write_bytes, io_elapsed)
        if was_details
        else None,
        oom_score=details.oom_score,
        oom_score_adj=details.oom_score_adj,
    )
