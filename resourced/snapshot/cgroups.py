"""Control groups: what a snapshot says of them."""

from dataclasses import dataclass

from resourced.snapshot.pressure import PressureOf


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One cgroup v2 node. A field is null where the controller is not enabled or the kernel doesn't have the file."""

    path: str
    """Path below the cgroup root, "/" for the root itself."""
    unit: str | None
    """systemd unit to which it belongs (foo.service, session-3.scope, user.slice); null outside systemd's tree."""
    inode: int
    """Inode of the directory: tells a unit that was restarted from the one before."""
    populated: bool | None
    """Whether any process lives in it or below."""
    frozen: bool | None
    """Whether it is frozen."""
    cpu_seconds: float | None
    """Processor seconds since it was made (cpu.stat usage_usec)."""
    cpu_utilization: float | None
    """Processors used over the last interval: 1.0 is one whole processor."""
    cpu_throttled_seconds: float | None
    """Seconds held back by its own cpu.max."""
    cpu_throttled_share: float | None
    """Share of the last interval in which it was held back by its own cpu.max."""
    cpu_limit: float | None
    """cpu.max in processors; null for no limit."""
    cpu_weight: int | None
    """cpu.weight."""
    memory_bytes: int | None
    """memory.current."""
    memory_peak_bytes: int | None
    """memory.peak."""
    memory_min_bytes: int | None
    """memory.min: protected from all reclaim."""
    memory_low_bytes: int | None
    """memory.low: protected while there is something else to reclaim."""
    memory_high_bytes: int | None
    """memory.high: throttled above it; null for no limit."""
    memory_max_bytes: int | None
    """memory.max: killed above it; null for no limit."""
    swap_bytes: int | None
    """memory.swap.current."""
    swap_max_bytes: int | None
    """memory.swap.max; null for no limit."""
    anonymous_bytes: int | None
    """memory.stat anon."""
    file_bytes: int | None
    """memory.stat file: page cache with shmem."""
    shmem_bytes: int | None
    """memory.stat shmem."""
    slab_bytes: int | None
    """memory.stat slab."""
    memory_growth_bytes_per_second: float | None
    """Growth of memory.current plus swap over the last interval; negative when it shrinks."""
    reclaim_scanned_pages: int | None
    """memory.stat pgscan since it was made."""
    reclaim_scanned_pages_per_second: float | None
    """Pages a second that reclaim scanned in it."""
    memory_events: dict[str, int] | None
    """memory.events: low, high, max, oom, oom_kill, oom_group_kill."""
    io_read_bytes: int | None
    """io.stat rbytes over all devices."""
    io_write_bytes: int | None
    """io.stat wbytes over all devices."""
    io_read_bytes_per_second: float | None
    """Bytes a second read from devices."""
    io_write_bytes_per_second: float | None
    """Bytes a second written to devices."""
    pids: int | None
    """pids.current: processes and threads."""
    pids_max: int | None
    """pids.max; null for no limit."""
    pressure_cpu: PressureOf | None
    """cpu.pressure."""
    pressure_memory: PressureOf | None
    """memory.pressure."""
    pressure_io: PressureOf | None
    """io.pressure."""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The cgroup v2 tree down to the configured depth."""

    nodes: dict[str, Cgroup]
    """Keyed by path, parents before children, siblings sorted."""
    truncated: bool
    """Whether there are more nodes than the configured limit."""
