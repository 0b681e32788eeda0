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
    "memory_min_bytes",
    "memory_low_bytes",
    "reclaim_scanned_pages_per_second",
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
    "nice",
    "gpu_memory_bytes",
)


@dataclass(frozen=True, slots=True)
class TopsTick:
    """The largest at one moment."""

    time: float
    """Wall time, seconds since the epoch."""
    cgroups: tuple[tuple[Any, ...], ...]
    """One a cgroup: the fields of CGROUP_IDENTITY, then those of CGROUP_VALUES."""
    processes: tuple[tuple[Any, ...], ...]
    """One a process: the fields of PROCESS_IDENTITY, then those of PROCESS_VALUES."""


def take_tops(
    snapshot: Snapshot, *, cgroups: int, processes: int, touched: frozenset[str] = frozenset()
) -> TopsTick | None:
    """Return the largest of a sample, or None if it knows of none.

    Args:
        snapshot: The sample.
        cgroups: How many cgroups by each of processor, memory and I/O.
        processes: How many processes, likewise, and by GPU memory.
        touched: Paths of cgroups and "pid:start" of processes that are recorded whatever they use.
    """
    groups: tuple[tuple[Any, ...], ...] = ()
    if snapshot.cgroups is not None and snapshot.usable("cgroups"):
        groups = _cgroups(snapshot.cgroups.nodes.values(), cgroups, touched)
    items: tuple[tuple[Any, ...], ...] = ()
    if snapshot.processes is not None and snapshot.usable("processes"):
        items = _processes(snapshot.processes.items, _gpu_memory(snapshot), processes, touched)
    return TopsTick(snapshot.time, groups, items) if groups or items else None


def _largest(items: Sequence[Any], count: int, keys: Iterable[Callable[[Any], float]]) -> list[Any]:
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


def _cgroups(nodes: Iterable[Cgroup], count: int, touched: frozenset[str]) -> tuple[tuple[Any, ...], ...]:
    nodes = [node for node in nodes if node.path != "/"]
    chosen = _largest(nodes, count, (_cpu, _memory, _io))
    seen = {id(node) for node in chosen}
    chosen += [node for node in nodes if node.path in touched and id(node) not in seen]
    names = CGROUP_IDENTITY + CGROUP_VALUES
    return tuple(tuple(getattr(node, name) for name in names) for node in chosen)


def _processes(
    items: Sequence[Process], gpu: dict[int, int], count: int, touched: frozenset[str]
) -> tuple[tuple[Any, ...], ...]:
    chosen = _largest(items, count, (_cpu, _memory, _io, lambda item: gpu.get(item.pid, 0)))
    seen = {id(item) for item in chosen}
    chosen += [i for i in items if f"{i.pid}:{i.start_time_ticks}" in touched and id(i) not in seen]
    names = PROCESS_IDENTITY + PROCESS_VALUES[:-1]
    return tuple((*(getattr(item, name) for name in names), gpu.get(item.pid)) for item in chosen)


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
    rows = [[tick.time, tick.cgroups, tick.processes] for tick in ticks]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 6)


def decode_tops(blob: bytes) -> list[TopsTick]:
    """Return the recordings that were encoded."""
    if not blob:
        return []
    return [
        TopsTick(time, tuple(map(tuple, cgroups)), tuple(map(tuple, processes)))
        for time, cgroups, processes in json.loads(zlib.decompress(blob))
    ]
