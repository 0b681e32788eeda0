"""A past moment as a whole: what was recorded of it, in the shape of a snapshot."""

from collections.abc import Sequence

from resourced.errors import QueryError
from resourced.history.batch import MONOTONIC, SEQUENCE
from resourced.history.columns import Piece
from resourced.history.reader import Session
from resourced.history.shape import Tree, complete, put, section_type
from resourced.history.sources import Source, find_sources
from resourced.history.top import frames
from resourced.history.topspack import Frame, Group
from resourced.snapshot import SECTIONS, Health

_NEAR_SECONDS = 120.0
_TOPS_NEAR_SECONDS = 60.0
_DAY = 86400.0


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
        column = source.column(series) if cells is None else cells.mean
        value = float("nan") if column is None else float(column[position])
        if value == value:  # noqa: PLR0124 - only NaN differs from itself
            put(tree, series, value)
    moment = float(source.times()[position])
    _add_tops(tree, pieces, session, moment)
    sections = {name: complete(section_type(name), tree[name]) if name in tree else None for name in SECTIONS}
    stamps = (None, None) if source.tier else (holder.own(SEQUENCE)[position], holder.own(MONOTONIC)[position])
    return {
        "sequence": None if stamps[0] is None else int(stamps[0]),
        "time": moment,
        "monotonic_seconds": None if stamps[1] is None else float(stamps[1]),
        "interval_seconds": float(source.tier) or None,
        "boot_id": holder.boot or None,
        **sections,
        "collectors": {name: complete(Health, {"status": "ok", "time": moment}) for name in SECTIONS if name in tree},
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
    put_tops(tree, frame, at)


def put_tops(tree: Tree, frame: Frame, tick: int) -> None:
    """Put the largest cgroups and processes of a recording where the snapshot has them."""
    cgroups = group_rows(frame.cgroups, tick)
    if cgroups:
        tree["cgroups"] = {"nodes": {row["path"]: row for row in cgroups}, "truncated": True}
    processes = group_rows(frame.processes, tick)
    if processes:
        for row in processes:
            code = row.get("state")
            row["state"] = None if code is None else chr(int(code))
        tree.setdefault("processes", {})["items"] = processes
    devices: dict[str, list[Tree]] = {}
    for row in group_rows(frame.gpus, tick):
        devices.setdefault(row["uuid"], []).append(row)
    for uuid, rows in devices.items():
        tree.setdefault("gpus", {}).setdefault("devices", {}).setdefault(uuid, {})["processes"] = rows


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
