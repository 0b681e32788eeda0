"""Recordings of real machines, thinned to what the policy reads, as ticks. See README.md beside this file."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resourced.policy import Tick
from resourced.policy.observation import layout_of
from resourced.snapshot import Snapshot
from resourced.snapshot.cgroups import Cgroups
from resourced.snapshot.memory import Memory
from resourced.snapshot.processes import Process, Processes
from tests.policy.fakes import cgroup, health, memory, process

HERE = Path(__file__).parent


def ticks(name: str) -> Iterator[Tick]:
    """Yield the ticks of `<name>.jsonl.gz`."""
    with gzip.open(HERE / f"{name}.jsonl.gz", "rt") as lines:
        names = json.loads(next(lines))["names"]
        cgroups: Cgroups | None = None
        processes: Processes | None = None
        for sequence, line in enumerate(lines, 1):
            row = json.loads(line)
            values = dict(zip(names, row["v"], strict=True))
            if "c" in row:
                cgroups, processes = _cgroups(row["c"], cgroups), _processes(row["p"])
            layout, numbers = layout_of(values)
            snapshot = Snapshot(
                sequence,
                row["t"],
                row["m"],
                1.0,
                "boot",
                memory=_memory(values),
                cgroups=cgroups,
                processes=processes,
                collectors=health("memory", "cgroups", "processes"),
            )
            yield Tick.of(snapshot, (layout, numbers))


def _memory(values: dict[str, Any]) -> Memory:
    return memory(total_bytes=int(values["memory.total"]), available_bytes=values["memory.available"])


def _cgroups(rows: dict[str, list[int]], before: Cgroups | None) -> Cgroups:
    nodes = {}
    for number, (path, (current, anonymous, file)) in enumerate(sorted(rows.items())):
        old = before.nodes.get(path) if before else None
        growth = (current - old.memory_bytes) / 5 if old and old.memory_bytes is not None else None
        nodes[path] = cgroup(
            path,
            inode=number,
            memory_bytes=current,
            anonymous_bytes=anonymous,
            file_bytes=file,
            memory_growth_bytes_per_second=growth,
        )
    return Cgroups(nodes, truncated=False)


def _processes(rows: list[list[Any]]) -> Processes:
    items: list[Process] = []
    for pid, uid, adjustment, name, state, ppid, session, start, resident, path in rows:
        items.append(
            process(
                pid,
                name,
                uid=uid,
                oom_score_adj=adjustment,
                state=state,
                ppid=ppid,
                session=session,
                start_time_ticks=start,
                memory_bytes=resident,
                cgroup=path,
            )
        )
    return Processes(tuple(items), {}, 0, 0, 0)
