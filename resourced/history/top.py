"""Who used most: the largest units, cgroups, processes, commands or users over a time, or the labels of a series."""

import math
import pwd
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resourced.errors import QueryError
from resourced.history.columns import Piece
from resourced.history.reader import Session
from resourced.history.sources import in_memory
from resourced.history.table import Table
from resourced.history.topspack import Frame, Group, read_frame

if TYPE_CHECKING:
    from resourced.history.arrays import Floats, Whole

_FIELDS: dict[str, tuple[tuple[str, ...], str]] = {
    "cpu": (("cpu_utilization",), "1"),
    "memory": (("memory_bytes",), "By"),
    "swap": (("swap_bytes",), "By"),
    "io": (("io_read_bytes_per_second", "io_write_bytes_per_second"), "By/s"),
    "gpu_memory": (("gpu_memory_bytes",), "By"),
}
_ORDERS = ("peak", "mean", "last")


@dataclass(frozen=True, slots=True)
class TopEntry:
    """One of those that used most."""

    name: str
    """What a person calls it: unit, path, command name, user name, value of the label."""
    key: str
    """What tells it from others of that name: path and inode of a cgroup, "pid:start" of a process, id of a user."""
    peak: float
    """Largest use at one recorded moment."""
    mean: float
    """Mean over all recorded moments; where it was not among the largest it counts as 0."""
    last: float
    """Use at the last moment at which it was among the largest."""
    start: float
    """Wall time at which it was first among the largest."""
    end: float
    """Wall time at which it was last among the largest."""
    moments: int
    """At how many recorded moments it was among the largest."""


@dataclass(frozen=True, slots=True)
class Top:
    """The answer to "who used most?"."""

    of: str
    """Kind of thing, or the label."""
    by: str
    """What was used."""
    unit: str
    """UCUM unit of the values."""
    moments: int
    """Recorded moments."""
    entries: tuple[TopEntry, ...]
    """Largest first."""


def _unit_keys(group: Group) -> list[tuple[str, str] | None]:
    """Name each unit by its topmost cgroup, which holds what is below it; slices hold other units."""
    best: dict[tuple[str, str], str] = {}
    units = [(str(path), str(unit), str(inode)) for path, unit, inode in group.identities]
    for path, unit, _ in units:
        key = (unit, _above(path, unit))
        if key not in best or len(path) < len(best[key]):
            best[key] = path
    return [
        (unit, f"{path}:{inode}")
        if unit not in ("None", "") and not unit.endswith(".slice") and best[unit, _above(path, unit)] == path
        else None
        for path, unit, inode in units
    ]


def _above(path: str, unit: str) -> str:
    """Return the part of a path above the unit's own directory."""
    return path.partition(f"/{unit}")[0]


def _slice_keys(group: Group) -> list[tuple[str, str] | None]:
    return [
        (str(unit), f"{path}:{inode}") if str(path).endswith(".slice") else None
        for path, unit, inode in group.identities
    ]


def _cgroup_keys(group: Group) -> list[tuple[str, str] | None]:
    return [(str(path), f"{path}:{inode}") for path, _, inode in group.identities]


def _process_keys(group: Group) -> list[tuple[str, str] | None]:
    return [(str(i[group.names.index("name")]), f"{i[0]}:{i[1]}") for i in group.identities]


def _command_keys(group: Group) -> list[tuple[str, str] | None]:
    position = group.names.index("name")
    return [(str(identity[position]),) * 2 for identity in group.identities]


def _user_keys(group: Group) -> list[tuple[str, str] | None]:
    position = group.names.index("uid")
    return [None if i[position] is None else (_user(i[position]), str(i[position])) for i in group.identities]


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


_KINDS: dict[str, tuple[Callable[[Frame], Group], Callable[[Group], list[tuple[str, str] | None]]]] = {
    "unit": (lambda frame: frame.cgroups, _unit_keys),
    "slice": (lambda frame: frame.cgroups, _slice_keys),
    "cgroup": (lambda frame: frame.cgroups, _cgroup_keys),
    "process": (lambda frame: frame.processes, _process_keys),
    "command": (lambda frame: frame.processes, _command_keys),
    "user": (lambda frame: frame.processes, _user_keys),
}
KINDS = tuple(_KINDS)
"""What can be ranked by what it used."""

RESOURCES = tuple(_FIELDS)
"""What can be used."""


class _Tally:
    """Adds up what one name used."""

    __slots__ = ("end", "last", "moments", "peak", "start", "total")

    def __init__(self) -> None:
        self.peak, self.total, self.last = -math.inf, 0.0, math.nan
        self.start, self.end, self.moments = math.inf, -math.inf, 0

    def add(self, times: "Floats", values: "Floats") -> None:
        """Take the use at some moments, at least one."""
        self.peak = max(self.peak, float(values.max()))
        self.total += float(values.sum())
        self.start = min(self.start, float(times.min()))
        if times.max() >= self.end:
            self.last, self.end = float(values[times.argmax()]), float(times.max())
        self.moments += len(values)

    def entry(self, name: str, key: str, moments: int) -> TopEntry:
        mean = self.total / moments
        return TopEntry(name, key, self.peak, mean, self.last, self.start, self.end, self.moments)


def find_top(
    pieces: Sequence[Piece],
    session: Session | None,
    of: str,
    *,
    by: str,
    start: float,
    end: float,
    order: str,
    limit: int,
) -> Top:
    """Return who used most; see `History.top`.

    Raises:
        QueryError: There is no such kind, resource or order.
    """
    check_top(by, order)
    fields, unit = _FIELDS[by]
    choose, name = _KINDS[of]
    tallies: dict[tuple[str, str], _Tally] = {}
    moments = 0
    for frame in frames(pieces, session, start, end):
        inside = (frame.times >= start) & (frame.times <= end)
        moments += int(inside.sum())
        group = choose(frame)
        if len(group.members) and inside.any():
            _count(frame, group, name(group), fields, inside, tallies)
    entries = [tally.entry(*key, moments) for key, tally in tallies.items()]
    entries.sort(key=lambda entry: (-float(getattr(entry, order)), entry.key))
    return Top(of, by, unit, moments, tuple(entries[:limit]))


def check_top(by: str, order: str) -> None:
    """Check what is asked for.

    Raises:
        QueryError: There is no such resource or order.
    """
    if by not in _FIELDS:
        raise QueryError("by", f"{by!r} is not recorded by unit or process; there are {', '.join(RESOURCES)}")
    if order not in _ORDERS:
        raise QueryError("order", f"{order!r} is not an order; there are {', '.join(_ORDERS)}")


def _count(
    frame: Frame,
    group: Group,
    keys: Sequence[tuple[str, str] | None],
    fields: Sequence[str],
    inside: Any,
    tallies: dict[tuple[str, str], _Tally],
) -> None:
    """Add a frame's rows to the tallies; members that share a key are summed at each moment."""
    import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

    numbers = {key: number for number, key in enumerate(dict.fromkeys(key for key in keys if key is not None))}
    number_of = np.array([-1 if key is None else numbers[key] for key in keys], np.int64)
    columns = [group.values[field] for field in fields if field in group.values]
    if not columns:
        return
    values = np.nansum(columns, axis=0)
    ticks = group.ticks.astype(np.int64)
    owner = number_of[group.members.astype(np.int64)]
    wanted = (owner >= 0) & inside[ticks] & ~np.isnan(columns).all(axis=0)
    places, sums = _summed(owner[wanted] * len(frame.times) + ticks[wanted], values[wanted])
    owners, moments = places // len(frame.times), places % len(frame.times)
    for key, number in numbers.items():
        mine = slice(*np.searchsorted(owners, (number, number + 1)))
        if len(sums[mine]):
            tallies.setdefault(key, _Tally()).add(frame.times[moments[mine]], sums[mine])


def _summed(places: "Whole", values: "Floats") -> "tuple[Whole, Floats]":
    import numpy as np  # noqa: PLC0415 - as above

    unique, inverse = np.unique(places, return_inverse=True)
    return unique, np.bincount(inverse, values, len(unique)).astype(np.float64)


def frames(pieces: Sequence[Piece], session: Session | None, start: float, end: float) -> Iterable[Frame]:
    """Yield the recordings of the largest that overlap a time, in the order in which they were made."""
    if session is not None:
        rows = session.rows("SELECT id FROM tops WHERE end >= ? AND start <= ? ORDER BY first, id", (start, end))
        for (number,) in rows:
            yield read_frame(session.row("SELECT data FROM tops WHERE id = ?", (number,))[0])
    for piece in in_memory(pieces, session):
        if piece.end >= start and piece.start <= end:
            yield from map(read_frame, piece.tops_blobs)


def rank_table(table: Table, label: str, *, by: str, unit: str, order: str, limit: int) -> Top:
    """Return the values of a label ranked by a table of series that have it; series that share a value are summed.

    Raises:
        QueryError: There is no such order.
    """
    if order not in _ORDERS:
        raise QueryError("order", f"{order!r} is not an order; there are {', '.join(_ORDERS)}")
    columns: dict[str, list[Sequence[float | None]]] = {}
    for series, values in table.series.items():
        value = dict(series.labels).get(label)
        if value is not None:
            columns.setdefault(value, []).append(values)
    entries = []
    for value, members in columns.items():
        rows = [
            (time, sum(each for each in row if each is not None))
            for time, row in zip(table.times, zip(*members, strict=True), strict=True)
            if any(each is not None for each in row)
        ]
        used = [amount for _, amount in rows]
        mean = sum(used) / len(used)
        entries.append(TopEntry(value, value, max(used), mean, used[-1], rows[0][0], rows[-1][0], len(rows)))
    entries.sort(key=lambda entry: (-float(getattr(entry, order)), entry.key))
    return Top(label, by, unit, len(table.times), tuple(entries[:limit]))
