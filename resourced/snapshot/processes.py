"""Processes: what a snapshot says of them."""

from dataclasses import dataclass


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
