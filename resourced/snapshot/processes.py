"""Processes: what a snapshot says of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from resourced.collectors.base import Taken
from resourced.collectors.processes import ProcessesSample, Record
from resourced.quantities import rate

_STATES = "RSDZTt"
"""States that are counted though none is in them, so that a series of the history does not come and go with a zombie:
each such change ends a batch, and with a few a minute three times as much was written."""


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


FIRST_PERSON_UID, NOBODY_UID = 1000, 65534
"""Users below the first are the system's; the other is nobody."""


@dataclass(frozen=True, slots=True)
class UserUsage:
    """What the processes of one person use together."""

    memory_bytes: int
    """Sum of resident set sizes: pages that several share are counted for each."""
    cpu_utilization: float | None
    """Processors used over the last interval; null if it is known of none."""
    processes: int
    """Processes."""


@dataclass(frozen=True, slots=True)
class Processes:
    """All processes but kernel threads."""

    items: tuple[Process, ...]
    """In no particular order."""
    states: dict[str, int]
    """Number of processes by state letter; 0 for a usual state that none is in."""
    threads: int
    """Threads of all processes."""
    kernel_threads: int
    """Kernel threads, which are counted and not listed."""
    unreadable: int
    """Processes that exist but may not be read, or can't be understood."""
    tasks_free: int | None = None
    """Tasks that may still be made before the kernel's limit; null if that can't be read."""
    users: dict[str, UserUsage] = field(default_factory=dict)
    """Keyed by user id; persons only."""


def derive_processes(
    before: Taken[ProcessesSample] | None, now: Taken[ProcessesSample], previous: Processes | None
) -> Processes:
    """Return what a sample says of the processes; those of which nothing changed are the objects of `previous`.

    Rates are over the time since the process itself was read before, which may be longer than from sample to sample:
    what an idle one did when it woke is spread over the time that it was not looked at. They are null for one that is
    new.
    """
    earlier = {record.stat.pid: record for record in before.sample.records} if before else {}
    known = {process.pid: process for process in previous.items} if previous else {}
    end = before.monotonic_seconds + before.duration_seconds if before else 0.0
    sample = now.sample
    items = []
    states = dict.fromkeys(_STATES, 0)
    threads = 0
    for record in sample.records:
        stat = record.stat
        pid = stat.pid
        states[stat.state] = states.get(stat.state, 0) + 1
        threads += stat.threads
        last = earlier.get(pid)
        if last is record and (shown := known.get(pid)) is not None and _at_rest(shown, record):
            items.append(shown)
            continue
        if last is not None and last.stat.start_time_ticks != stat.start_time_ticks:
            last = None
        items.append(_process(record, last, end, sample))
    free = None if sample.limit is None else max(0, sample.limit - threads - sample.kernel_threads)
    return Processes(tuple(items), states, threads, sample.kernel_threads, sample.unreadable, free, _users(items))


def _users(items: Iterable[Process]) -> dict[str, UserUsage]:
    found: dict[int, tuple[int, float | None, int]] = {}
    for each in items:
        if each.uid is not None and each.uid >= FIRST_PERSON_UID and each.uid != NOBODY_UID:
            memory, cpu, count = found.get(each.uid, (0, None, 0))
            if each.cpu_utilization is not None:
                cpu = (cpu or 0.0) + each.cpu_utilization
            found[each.uid] = memory + each.memory_bytes, cpu, count + 1
    return {str(uid): UserUsage(*found[uid]) for uid in sorted(found)}


def _at_rest(shown: Process, record: Record) -> bool:
    """Whether this is that process, as it is shown when it does nothing."""
    return (
        shown.cpu_utilization == 0
        and shown.memory_growth_bytes_per_second == 0
        and not shown.io_read_bytes_per_second
        and not shown.io_write_bytes_per_second
        and shown.start_time_ticks == record.stat.start_time_ticks
    )


def _process(record: Record, last: Record | None, end: float, sample: ProcessesSample) -> Process:
    stat, details, page = record.stat, record.details, sample.page_size_bytes
    cpu, growth = _use(record, last, end)
    read, written = _transfer(record, last, end)
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
        memory_growth_bytes_per_second=None if growth is None else growth * page,
        virtual_bytes=stat.virtual_bytes,
        swap_bytes=details.swap_bytes,
        major_faults=stat.major_faults,
        io_read_bytes=details.io_read_bytes,
        io_write_bytes=details.io_write_bytes,
        io_read_bytes_per_second=read,
        io_write_bytes_per_second=written,
        oom_score=details.oom_score,
        oom_score_adj=details.oom_score_adj,
    )


def _elapsed(before_seconds: float | None, seconds: float, end: float) -> float:
    """Return the seconds within which something changed.

    Args:
        before_seconds: When the process was read before, if it was.
        seconds: When it was read.
        end: The end of the sample before. What a failed collection between the two read was never a sample: its
            readings don't shorten the time.
    """
    return 0.0 if before_seconds is None else seconds - min(before_seconds, end)


def _use(record: Record, last: Record | None, end: float) -> tuple[float | None, float | None]:
    """Return the ticks of processor time and the pages of growth a second."""
    if last is None:
        return None, None
    if last.stat is record.stat:
        return 0.0, 0.0
    elapsed = _elapsed(record.before_seconds, record.read_seconds, end)
    grown = record.stat.resident_pages - last.stat.resident_pages
    return rate(last.stat.cpu_ticks, record.stat.cpu_ticks, elapsed), grown / elapsed if elapsed > 0 else None


def _transfer(record: Record, last: Record | None, end: float) -> tuple[float | None, float | None]:
    """Return the bytes read and written a second; null where they may not be read."""
    if last is None:
        return None, None
    new, old = record.details, last.details
    elapsed = _elapsed(record.details_before_seconds, record.details_seconds, end)
    if new is old:
        elapsed = 1.0  # any time: the difference is none
    return rate(old.io_read_bytes, new.io_read_bytes, elapsed), rate(old.io_write_bytes, new.io_write_bytes, elapsed)
