"""How values are shown: cut, sorted and put into envelopes; pure functions from what other rooms know."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from resourced.metrics import CATALOGUE, Metric
from resourced.snapshot import Health, Snapshot
from resourced.snapshot.cgroups import Cgroup, Cgroups
from resourced.snapshot.processes import Process, Processes

RESOURCES: dict[str, str] = {
    "cpu": "cpu",
    "memory": "memory",
    "network": "network",
    "gpu": "gpus",
    "disk": "disk",
    "pressure": "pressure",
    "cgroups": "cgroups",
    "processes": "processes",
    "sensors": "sensors",
    "filesystems": "filesystems",
}
"""Last part of a path below /resources to the section of the snapshot that it shows."""

SORTS: dict[str, Callable[[Process], Any]] = {
    "cpu": lambda p: p.cpu_utilization or 0.0,
    "memory": lambda p: p.memory_bytes,
    "swap": lambda p: p.swap_bytes or 0,
    "io": lambda p: (p.io_read_bytes_per_second or 0.0) + (p.io_write_bytes_per_second or 0.0),
    "growth": lambda p: p.memory_growth_bytes_per_second or 0.0,
    "oom_score": lambda p: p.oom_score or 0,
    "threads": lambda p: p.threads,
}
"""Orders of /resources/processes in which the largest comes first; pid and name come smallest first."""
ASCENDING: dict[str, Callable[[Process], Any]] = {"pid": lambda p: p.pid, "name": lambda p: (p.name, p.pid)}

_UNKNOWN = Health(status="stale", reason="has not been read yet")


def section_view(snapshot: Snapshot, section: str, value: Any = None) -> dict[str, Any]:
    """Return the envelope of one section.

    Args:
        snapshot: The sample.
        section: Which section.
        value: What to show of it; by default all.
    """
    return {
        "sequence": snapshot.sequence,
        "time": snapshot.time,
        "monotonic_seconds": snapshot.monotonic_seconds,
        "collector": snapshot.collectors.get(section, _UNKNOWN),
        section: getattr(snapshot, section) if value is None else value,
    }


def sorted_processes(processes: Processes, sort: str, limit: int | None) -> Processes:
    """Return the processes in an order of `SORTS` or `ASCENDING`, at most `limit` of them."""
    if sort in ASCENDING:
        items = sorted(processes.items, key=ASCENDING[sort])[:limit]
    elif limit is None:
        items = sorted(processes.items, key=SORTS[sort], reverse=True)
    else:
        items = heapq.nlargest(limit, processes.items, key=SORTS[sort])
    return replace(processes, items=tuple(items))


def cut(snapshot: Snapshot, top: int) -> Snapshot:
    """Return a snapshot with only the `top` processes and cgroups by processor use and by memory."""
    processes, cgroups = snapshot.processes, snapshot.cgroups
    return replace(
        snapshot,
        processes=_cut_processes(processes, top) if processes else None,
        cgroups=_cut_cgroups(cgroups, top) if cgroups else None,
    )


def _cut_processes(processes: Processes, top: int) -> Processes:
    by_cpu = heapq.nlargest(top, processes.items, key=SORTS["cpu"])
    seen = {process.pid for process in by_cpu}
    by_memory = heapq.nlargest(top, processes.items, key=SORTS["memory"])
    return replace(processes, items=(*by_cpu, *(p for p in by_memory if p.pid not in seen)))


def _cut_cgroups(cgroups: Cgroups, top: int) -> Cgroups:
    def largest(key: Callable[[Cgroup], float]) -> Iterable[str]:
        return (node.path for node in heapq.nlargest(top, cgroups.nodes.values(), key=key))

    kept = {*largest(lambda c: c.cpu_utilization or 0.0), *largest(lambda c: c.memory_bytes or 0)}
    if len(kept) == len(cgroups.nodes):
        return cgroups
    return Cgroups(nodes={path: node for path, node in cgroups.nodes.items() if path in kept}, truncated=True)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One metric of the catalogue."""

    name: str
    """Canonical name."""
    unit: str
    """UCUM unit."""
    kind: str
    """gauge or counter."""
    help: str
    """What it says."""
    source: str
    """Kernel file or library call."""
    section: str
    """Section of the snapshot from which it is read."""
    labels: tuple[str, ...]
    """Names of its labels."""
    aliases: tuple[str, ...]
    """Short names that may be written instead."""
    maximum: float | None
    """Largest possible value, if there is one."""
    openmetrics: str | None
    """Its name on /metrics; null if it isn't there."""
    stored: bool
    """Whether the history keeps it."""


def catalog_entry(metric: Metric, openmetrics: str | None) -> CatalogEntry:
    """Return what /catalog says of a metric."""
    return CatalogEntry(
        name=metric.name,
        unit=metric.unit,
        kind=metric.kind.value,
        help=metric.help,
        source=metric.source,
        section=metric.section,
        labels=metric.label_names,
        aliases=metric.alias,
        maximum=metric.maximum,
        openmetrics=openmetrics,
        stored=metric.stored,
    )


@dataclass(frozen=True, slots=True)
class HistorySeries:
    """One series of a history answer."""

    series: str
    """Name with labels."""
    metric: str
    """Canonical name of the metric."""
    labels: dict[str, str]
    """Label names and values."""
    unit: str
    """UCUM unit."""
    values: tuple[float | None, ...]
    """One value for each time; null where nothing was recorded."""


@dataclass(frozen=True, slots=True)
class HistoryAnswer:
    """Values over time."""

    start: float
    """First second asked for, since the epoch."""
    end: float
    """Last second asked for, since the epoch."""
    step_seconds: float | None
    """Width of one cell; null where the samples are given as they were taken."""
    resolution_seconds: float | None
    """Width of the coarsest cells that the values were made of; null if all were single samples."""
    aggregate: str
    """How the samples of one cell became one value."""
    times: tuple[float, ...]
    """Start of each cell, or the time of each sample."""
    series: tuple[HistorySeries, ...]
    """One entry for each series that matches."""


def history_view(table: Any, *, start: float, end: float, step: float | None, aggregate: str) -> HistoryAnswer:
    """Return a table of the history as it is served.

    Args:
        table: Its `times` are seconds since the epoch; its `series` maps each series (with `metric` and `labels`) to
            values, where None or NaN stands for nothing; its `step` is the width that was chosen, and its `resolution`
            that of the coarsest cells that were read.
        start: First second asked for.
        end: Last second asked for.
        step: Width asked for.
        aggregate: How samples became one value.
    """
    return HistoryAnswer(
        start=start,
        end=end,
        step_seconds=table.step or step,
        resolution_seconds=table.resolution,
        aggregate=aggregate,
        times=tuple(float(moment) for moment in table.times),
        series=tuple(
            HistorySeries(
                series=str(series),
                metric=series.metric,
                labels=dict(series.labels),
                unit=CATALOGUE[series.metric].unit if series.metric in CATALOGUE else "1",
                values=tuple(_known(value) for value in values),
            )
            for series, values in table.series.items()
        ),
    )


@dataclass(frozen=True, slots=True)
class TopItem:
    """One of those that used most."""

    name: str
    """What a person calls it."""
    key: str
    """What tells it from others of that name: path and inode of a cgroup, pid and start of a process, id of a user."""
    peak: float
    """Largest use at one recorded moment."""
    mean: float
    """Mean over all recorded moments; where it was not among the largest it counts as 0."""
    last: float
    """Use at the last moment at which it was among the largest."""
    start: float
    """When it was first among the largest, seconds since the epoch."""
    end: float
    """When it was last among the largest."""
    moments: int
    """At how many recorded moments it was among the largest."""


@dataclass(frozen=True, slots=True)
class TopAnswer:
    """Who used most over a time."""

    start: float
    """First second asked for, since the epoch."""
    end: float
    """Last second asked for."""
    of: str
    """Kind of thing, or the label."""
    by: str
    """What was used."""
    unit: str
    """UCUM unit of the values."""
    moments: int
    """Recorded moments."""
    entries: tuple[TopItem, ...]
    """Largest first."""


def top_view(top: Any, *, start: float, end: float) -> TopAnswer:
    """Return who used most as it is served; the parts of `top` are named as those of the answer."""
    entries = tuple(
        TopItem(each.name, each.key, each.peak, each.mean, each.last, each.start, each.end, each.moments)
        for each in top.entries
    )
    return TopAnswer(start, end, top.of, top.by, top.unit, top.moments, entries)


def _known(value: Any) -> float | None:
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - only NaN differs from itself
