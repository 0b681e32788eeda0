"""Control groups: what a snapshot says of them."""

from dataclasses import dataclass

from resourced.collectors.base import Taken
from resourced.collectors.cgroups import CgroupsSample, Node
from resourced.quantities import rate, share
from resourced.snapshot.pressure import PressureOf, derive_pressure_of
from resourced.snapshot.units import unit_of


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
    """Seconds held back by its own cpu.max, summed over processors (cpu.stat throttled_usec)."""
    cpu_throttled_share: float | None
    """Share of the periods of its own cpu.max in the last interval in which it was held back; null if it had none."""
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
    """io.stat rbytes over disks alone: devices that stand on others (dm, md, loop) and zram are left out."""
    io_write_bytes: int | None
    """io.stat wbytes over the same devices."""
    io_read_bytes_per_second: float | None
    """Bytes a second read from disks."""
    io_write_bytes_per_second: float | None
    """Bytes a second written to disks."""
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


def derive_cgroups(before: Taken[CgroupsSample] | None, now: Taken[CgroupsSample], previous: Cgroups | None) -> Cgroups:
    """Return what a sample says of the tree. Rates of a node that is new, or was made anew at its path, are null."""
    del previous
    elapsed = now.seconds_since(before) if before else 0.0
    earlier = {node.path: node for node in before.sample.nodes} if before else {}
    nodes = {}
    for node in now.sample.nodes:
        last = earlier.get(node.path)
        nodes[node.path] = _cgroup(node, last if last is not None and last.inode == node.inode else None, elapsed)
    return Cgroups(nodes, now.sample.truncated)


def _cgroup(node: Node, last: Node | None, elapsed_s: float) -> Cgroup:
    cpu, memory, limits = node.cpu or {}, node.memory or {}, node.limits
    last_cpu = (last.cpu or {}) if last else {}
    last_memory = (last.memory or {}) if last else {}
    usage, throttled = cpu.get("usage_usec"), cpu.get("throttled_usec")
    used = rate(last_cpu.get("usage_usec"), usage, elapsed_s)
    periods = rate(last_cpu.get("nr_periods"), cpu.get("nr_periods"), elapsed_s)
    held = rate(last_cpu.get("nr_throttled"), cpu.get("nr_throttled"), elapsed_s)
    read, written = node.io_bytes or (None, None)
    last_read, last_written = (last.io_bytes if last else None) or (None, None)
    kept = last.pressure if last else (None, None, None)
    events = node.events or {}
    return Cgroup(
        path=node.path,
        unit=unit_of(node.path),
        inode=node.inode,
        populated=bool(events["populated"]) if "populated" in events else None,
        frozen=bool(events["frozen"]) if "frozen" in events else None,
        cpu_seconds=None if usage is None else usage / 1e6,
        cpu_utilization=None if used is None else used / 1e6,
        cpu_throttled_seconds=None if throttled is None else throttled / 1e6,
        cpu_throttled_share=share(held, periods),
        cpu_limit=limits.cpu_limit,
        cpu_weight=limits.cpu_weight,
        memory_bytes=node.memory_bytes,
        memory_peak_bytes=node.memory_peak_bytes,
        memory_min_bytes=limits.memory_min_bytes,
        memory_low_bytes=limits.memory_low_bytes,
        memory_high_bytes=limits.memory_high_bytes,
        memory_max_bytes=limits.memory_max_bytes,
        swap_bytes=node.swap_bytes,
        swap_max_bytes=limits.swap_max_bytes,
        anonymous_bytes=memory.get("anon"),
        file_bytes=memory.get("file"),
        shmem_bytes=memory.get("shmem"),
        slab_bytes=memory.get("slab"),
        memory_growth_bytes_per_second=_growth(last, node, elapsed_s),
        reclaim_scanned_pages=memory.get("pgscan"),
        reclaim_scanned_pages_per_second=rate(last_memory.get("pgscan"), memory.get("pgscan"), elapsed_s),
        memory_events=node.memory_events,
        io_read_bytes=read,
        io_write_bytes=written,
        io_read_bytes_per_second=rate(last_read, read, elapsed_s),
        io_write_bytes_per_second=rate(last_written, written, elapsed_s),
        pids=node.pids,
        pids_max=limits.pids_max,
        pressure_cpu=derive_pressure_of(kept[0], node.pressure[0], elapsed_s),
        pressure_memory=derive_pressure_of(kept[1], node.pressure[1], elapsed_s),
        pressure_io=derive_pressure_of(kept[2], node.pressure[2], elapsed_s),
    )


def _growth(last: Node | None, node: Node, elapsed_s: float) -> float | None:
    """Return by how much memory and swap together grew a second."""
    if last is None or last.memory_bytes is None or node.memory_bytes is None or elapsed_s <= 0:
        return None
    before, now = last.memory_bytes + (last.swap_bytes or 0), node.memory_bytes + (node.swap_bytes or 0)
    return (now - before) / elapsed_s
