"""The largest cgroups and processes of a sample: who was using the machine.

All that the policy reads of a candidate is kept, so that the past can be judged like the present.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from resourced.snapshot import Snapshot
from resourced.snapshot.cgroups import Cgroup
from resourced.snapshot.processes import Process

CGROUP_IDENTITY = ("path", "unit", "inode")
CGROUP_VALUES = (
    "cpu_seconds",
    "cpu_utilization",
    "memory_bytes",
    "swap_bytes",
    "anonymous_bytes",
    "file_bytes",
    "memory_growth_bytes_per_second",
    "io_read_bytes_per_second",
    "io_write_bytes_per_second",
    "pids",
    "reclaim_scanned_pages_per_second",
    "memory_min_bytes",
    "memory_low_bytes",
)
PROCESS_IDENTITY = ("pid", "start_time_ticks", "ppid", "session", "name", "uid", "cgroup", "oom_score_adj")
PROCESS_VALUES = (
    "cpu_seconds",
    "cpu_utilization",
    "memory_bytes",
    "swap_bytes",
    "memory_growth_bytes_per_second",
    "io_read_bytes_per_second",
    "io_write_bytes_per_second",
    "threads",
    "gpu_memory_bytes",
    "nice",
    "state",
)
"""Numbers only: the state is the code of its letter. What a release adds comes last."""
GPU_IDENTITY = ("uuid", "pid", "kind", "mig_uuid")
GPU_VALUES = ("memory_bytes", "utilization")


@dataclass(frozen=True, slots=True)
class TopsTick:
    """The largest at one moment."""

    time: float
    """Wall time, seconds since the epoch."""
    cgroups: tuple[tuple[Any, ...], ...]
    """One a cgroup: the fields of CGROUP_IDENTITY, then those of CGROUP_VALUES."""
    processes: tuple[tuple[Any, ...], ...]
    """One a process: the fields of PROCESS_IDENTITY, then those of PROCESS_VALUES."""
    gpus: tuple[tuple[Any, ...], ...] = ()
    """One a process on a GPU: the fields of GPU_IDENTITY, then those of GPU_VALUES."""


def take_tops(snapshot: Snapshot, *, cgroups: int, processes: int, everyone: bool = False) -> TopsTick | None:
    """Return the largest of a sample, or None if it knows of none.

    Args:
        snapshot: The sample.
        cgroups: How many cgroups by each of processor, memory and I/O.
        processes: How many processes, likewise, and by GPU memory.
        everyone: Whether those that use nothing are recorded as well, and those that were not read for this very
            sample: all whom a decision could choose from.
    """
    groups: tuple[tuple[Any, ...], ...] = ()
    if snapshot.cgroups is not None and (everyone or snapshot.usable("cgroups")):
        groups = _cgroups(snapshot.cgroups.nodes.values(), cgroups, everyone=everyone)
    items: tuple[tuple[Any, ...], ...] = ()
    if snapshot.processes is not None and (everyone or snapshot.usable("processes")):
        items = _processes(snapshot.processes.items, _gpu_memory(snapshot), processes, everyone=everyone)
    on_gpus = _on_gpus(snapshot, {row[0] for row in items})
    return TopsTick(snapshot.time, groups, items, on_gpus) if groups or items else None


def _largest(items: Sequence[Any], count: int, keys: Iterable[Callable[[Any], float]], *, everyone: bool) -> list[Any]:
    if everyone and len(items) <= count:
        return list(items)
    found: dict[int, Any] = {}
    for key in keys:
        for item in nlargest(count, items, key=key):
            if key(item) > 0:
                found[id(item)] = item
    return list(found.values())


def _io(item: Cgroup | Process) -> float:
    return (item.io_read_bytes_per_second or 0.0) + (item.io_write_bytes_per_second or 0.0)


def _cpu(item: Cgroup | Process) -> float:
    return item.cpu_utilization or 0.0


def _memory(item: Cgroup | Process) -> float:
    return item.memory_bytes or 0


def _cgroups(nodes: Iterable[Cgroup], count: int, *, everyone: bool) -> tuple[tuple[Any, ...], ...]:
    nodes = [node for node in nodes if node.path != "/"]
    chosen = _largest(nodes, count, (_cpu, _memory, _io), everyone=everyone)
    names = CGROUP_IDENTITY + CGROUP_VALUES
    return tuple(tuple(getattr(node, name) for name in names) for node in chosen)


def _processes(
    items: Sequence[Process], gpu: dict[int, int], count: int, *, everyone: bool
) -> tuple[tuple[Any, ...], ...]:
    chosen = _largest(items, count, (_cpu, _memory, _io, lambda item: gpu.get(item.pid, 0)), everyone=everyone)
    names = PROCESS_IDENTITY + PROCESS_VALUES[:-3]
    return tuple(
        (*(getattr(item, name) for name in names), gpu.get(item.pid), item.nice, ord(item.state)) for item in chosen
    )


def _on_gpus(snapshot: Snapshot, pids: set[int]) -> tuple[tuple[Any, ...], ...]:
    """What recorded processes do on each GPU."""
    return tuple(
        (uuid, each.pid, each.kind, each.mig_uuid, each.memory_bytes, each.utilization)
        for uuid, gpu in (snapshot.gpus.devices.items() if snapshot.gpus and snapshot.usable("gpus") else ())
        for each in gpu.processes or ()
        if each.pid in pids
    )


def _gpu_memory(snapshot: Snapshot) -> dict[int, int]:
    held: dict[int, int] = {}
    for gpu in snapshot.gpus.devices.values() if snapshot.gpus is not None and snapshot.usable("gpus") else ():
        for process in gpu.processes or ():
            held[process.pid] = held.get(process.pid, 0) + (process.memory_bytes or 0)
    return held


def encode_tops(ticks: Sequence[TopsTick]) -> bytes:
    """Return recordings as bytes; empty if there are none."""
    if not ticks:
        return b""
    rows = [[tick.time, tick.cgroups, tick.processes, tick.gpus] for tick in ticks]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 6)


def decode_tops(blob: bytes) -> list[TopsTick]:
    """Return the recordings that were encoded, by this release or one before it, which knew of less."""
    if not blob:
        return []
    widths = tuple(map(len, (CGROUP_IDENTITY + CGROUP_VALUES, PROCESS_IDENTITY + PROCESS_VALUES)))
    return [
        TopsTick(
            time,
            tuple(_widened(row, widths[0]) for row in cgroups),
            tuple(_widened(row, widths[1]) for row in processes),
            tuple(map(tuple, rest[0])) if rest else (),
        )
        for time, cgroups, processes, *rest in json.loads(zlib.decompress(blob))
    ]


def _widened(row: list[Any], width: int) -> tuple[Any, ...]:
    return (*row, *([None] * (width - len(row))))
