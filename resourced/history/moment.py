"""A past moment as a whole: what was recorded of it, in the shape of a snapshot."""

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from resourced.errors import QueryError
from resourced.history.batch import MONOTONIC, SEQUENCE
from resourced.history.columns import Piece
from resourced.history.reader import Session
from resourced.history.sources import Source, find_sources
from resourced.history.top import frames
from resourced.history.topspack import Frame, Group
from resourced.metrics import CATALOGUE, Metric
from resourced.series import Series
from resourced.snapshot import SECTIONS, Health, Snapshot
from resourced.snapshot.cgroups import Cgroup
from resourced.snapshot.processes import Process

_NEAR_SECONDS = 120.0
_TOPS_NEAR_SECONDS = 60.0
_DAY = 86400.0
_PART = re.compile(r"([^.\[\]]+)|\[([^\]]+)\]")

Tree = dict[str, Any]


def find_moment(pieces: Sequence[Piece], session: Session | None, time: float) -> Tree:
    """Return what was recorded nearest to a time, at or before it if possible, as the JSON of a snapshot.

    What was not recorded is null. Of old times only minutes or hours are left, and their means are given.

    Raises:
        QueryError: Nothing was recorded around this time.
    """
    found = _nearest(find_sources(pieces, session, 0, time - _DAY / 24, time + _NEAR_SECONDS), time)
    if found is None:
        raise QueryError("at", "nothing was recorded around this time; `resourcectl history --stats` says how far back")
    source, position = found
    holder = source.holder
    tree: Tree = {}
    for series in holder.names():
        cells = source.cells(series)
        column = cells.mean if cells is not None else source.column(series)
        value = float("nan") if column is None else float(column[position])
        if value == value:  # noqa: PLR0124 - only NaN differs from itself
            _put(tree, series, value)
    moment = float(source.times()[position])
    _add_tops(tree, pieces, session, moment)
    sections = {name: _complete(_section(name), tree[name]) if name in tree else None for name in SECTIONS}
    stamps = (None, None) if source.tier else (holder.own(SEQUENCE)[position], holder.own(MONOTONIC)[position])
    return {
        "sequence": None if stamps[0] is None else int(stamps[0]),
        "time": moment,
        "monotonic_seconds": None if stamps[1] is None else float(stamps[1]),
        "interval_seconds": float(source.tier) or None,
        "boot_id": holder.boot or None,
        **sections,
        "collectors": {name: _complete(Health, {"status": "ok", "time": moment}) for name in SECTIONS if name in tree},
    }


def _nearest(sources: Sequence[Source], time: float) -> tuple[Source, int] | None:
    """Return where the tick or cell is that answers for a time."""
    import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

    best: tuple[tuple[float, float], Source, int] | None = None
    for source in sources:
        times = source.times()
        allowed = np.flatnonzero(source.chosen(times, -np.inf, np.inf))
        if not len(allowed):
            continue
        distance = time - times[allowed]
        reach = max(_NEAR_SECONDS, float(source.tier))
        cost = np.where(distance >= 0, distance, _NEAR_SECONDS - distance)  # what came after is second best
        cost[np.abs(distance) > reach] = np.inf
        at = int(len(cost) - 1 - np.argmin(cost[::-1]))
        key = (float(source.tier), float(cost[at]))
        if cost[at] < np.inf and (best is None or key <= best[0]):
            best = key, source, int(allowed[at])
    return None if best is None else best[1:]


def _put(tree: Tree, series: Series, value: float) -> None:
    """Put a value where the catalogue says that the snapshot has it."""
    metric = CATALOGUE.get(series.metric)
    path = None if metric is None else _path(metric, dict(series.labels))
    if path is None:
        return
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _path(metric: Metric, labels: Mapping[str, str]) -> list[str] | None:
    for field in metric.fields:
        if all(labels.get(key) == value for key, value in field.labels):
            way, star, rest = field.path.partition(".*")
            parts = [name or key for name, key in _PART.findall(way)]
            if star:
                parts += [labels.get(metric.label or "", ""), *(name or key for name, key in _PART.findall(rest))]
            return parts
    return None


def _add_tops(tree: Tree, pieces: Sequence[Piece], session: Session | None, time: float) -> None:
    best: tuple[float, Frame, int] | None = None
    for frame in frames(pieces, session, time - _TOPS_NEAR_SECONDS, time + _TOPS_NEAR_SECONDS):
        for at, moment in enumerate(frame.times.tolist()):
            distance = abs(moment - time)
            if distance <= _TOPS_NEAR_SECONDS and (best is None or distance <= best[0]):
                best = distance, frame, at
    if best is None:
        return
    _, frame, at = best
    cgroups = [_complete(Cgroup, row) for row in group_rows(frame.cgroups, at)]
    if cgroups:
        tree["cgroups"] = {"nodes": {row["path"]: row for row in cgroups}, "truncated": True}
    processes = [_complete(Process, row) for row in group_rows(frame.processes, at)]
    if processes:
        tree.setdefault("processes", {})["items"] = processes


def group_rows(group: Group, tick: int) -> list[Tree]:
    """Return what was recorded of each member at a tick; what is unknown is None."""
    found = []
    for row in (group.ticks == tick).nonzero()[0].tolist():
        values: Tree = dict(zip(group.names, group.identities[int(group.members[row])], strict=True))
        for name, column in group.values.items():
            value = float(column[row])
            values[name] = None if value != value else value  # noqa: PLR0124 - only NaN differs from itself
        found.append(values)
    return found


def _section(name: str) -> Any:
    return _inner(_hints(Snapshot)[name])


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _inner(hint: Any) -> Any:
    """Return the type without None."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(each for each in get_args(hint) if each is not type(None))
    return hint


def _complete(hint: Any, value: Any) -> Any:
    """Return a value as the snapshot's type has it: every field there, whole numbers whole."""
    kind = _inner(hint)
    origin = get_origin(kind)
    if value is None:
        return {} if origin is dict and kind is hint else [] if origin is tuple and kind is hint else None
    if is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]  # is_dataclass says class or instance; a hint is a class
        return {field.name: _complete(hints[field.name], value.get(field.name)) for field in fields(kind)}
    if origin is dict and isinstance(value, dict):
        return {key: _complete(get_args(kind)[1], each) for key, each in value.items()}
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return bool(value) if kind is bool else value
