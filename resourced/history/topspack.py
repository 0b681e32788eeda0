"""Many recordings of the largest cgroups and processes, column by column.

Every cgroup and process is named once; its values lie beside each other in order of time, where they change little. An
hour of twenty cgroups and twenty processes every five seconds is some 100 KB, a tenth of the same as JSON.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resourced.errors import HistoryCorrupt
from resourced.history.codec import decode_column, encode_column
from resourced.history.tops import (
    CGROUP_IDENTITY,
    CGROUP_VALUES,
    GPU_IDENTITY,
    GPU_VALUES,
    PROCESS_IDENTITY,
    PROCESS_VALUES,
    TopsTick,
)
from resourced.history.tops import decode_tops as decode_ticks

if TYPE_CHECKING:
    from resourced.history.arrays import Floats

_PACKED = b"\x02"
_PACKED_BEFORE = b"\x01"
"""Without what processes do on GPUs."""
_IDENTITIES = (CGROUP_IDENTITY, PROCESS_IDENTITY, GPU_IDENTITY)
_VALUES = {CGROUP_IDENTITY: len(CGROUP_VALUES), PROCESS_IDENTITY: len(PROCESS_VALUES), GPU_IDENTITY: len(GPU_VALUES)}
_LENGTH = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Group:
    """The cgroups, or the processes. Rows are ordered by member, then by time."""

    names: tuple[str, ...]
    """Names of the fields of an identity."""
    identities: list[tuple[Any, ...]]
    """Every member once."""
    members: "Floats"
    """Position in `identities`, one a row."""
    ticks: "Floats"
    """Position in the frame's times, one a row."""
    values: "dict[str, Floats]"
    """Values by field, one a row; NaN where unknown."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Recordings of some time."""

    times: "Floats"
    """Wall time of each recording, in the order in which they were made."""
    cgroups: Group
    """The largest cgroups."""
    processes: Group
    """The largest processes."""
    gpus: Group
    """What they do on each GPU."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """Return all of them, in the order in which they are written."""
        return self.cgroups, self.processes, self.gpus


def make_frame(ticks: Sequence[TopsTick]) -> Frame:
    """Return recordings as columns."""
    import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first five minutes are full

    return Frame(
        np.array([tick.time for tick in ticks], np.float64),
        _group([tick.cgroups for tick in ticks], CGROUP_IDENTITY, CGROUP_VALUES),
        _group([tick.processes for tick in ticks], PROCESS_IDENTITY, PROCESS_VALUES),
        _group([tick.gpus for tick in ticks], GPU_IDENTITY, GPU_VALUES),
    )


def _group(ticks: Sequence[Sequence[tuple[Any, ...]]], names: tuple[str, ...], fields: tuple[str, ...]) -> Group:
    import numpy as np  # noqa: PLC0415 - as above

    known: dict[tuple[Any, ...], int] = {}
    own = len(names)
    rows = sorted(
        ((known.setdefault(row[:own], len(known)), at, row[own:]) for at, tick in enumerate(ticks) for row in tick),
        key=lambda row: row[:2],
    )
    columns = zip(*(row[2] for row in rows), strict=True) if rows else iter([()] * len(fields))
    values = {
        field: np.array([np.nan if value is None else value for value in column], np.float64)
        for field, column in zip(fields, columns, strict=True)
    }
    members, at = ([row[n] for row in rows] for n in range(2))
    return Group(names, list(known), np.array(members, np.float64), np.array(at, np.float64), values)


def to_ticks(frame: Frame) -> list[TopsTick]:
    """Return columns as recordings."""
    count = len(frame.times)
    groups = [_rows(group, count) for group in frame.groups]
    return [
        TopsTick(time, tuple(cgroups), tuple(processes), tuple(gpus))
        for time, cgroups, processes, gpus in zip(frame.times.tolist(), *groups, strict=True)
    ]


def _rows(group: Group, count: int) -> list[list[tuple[Any, ...]]]:
    found: list[list[tuple[Any, ...]]] = [[] for _ in range(count)]
    nothing = [float("nan")] * len(group.members)
    # What an older release did not record yet comes last.
    columns = [column.tolist() for column in group.values.values()]
    columns += [nothing] * (_VALUES[group.names] - len(columns))
    for member, tick, *values in zip(group.members.tolist(), group.ticks.tolist(), *columns, strict=True):
        row = (None if value != value else value for value in values)  # noqa: PLR0124 - only NaN differs from itself
        found[int(tick)].append((*group.identities[int(member)], *row))
    return found


def pack_tops(blobs: Iterable[bytes]) -> bytes:
    """Return all recordings in some blobs as one blob; empty if there are none."""
    ticks = [tick for blob in blobs for tick in read_tops(blob)]
    if not ticks:
        return b""
    frame = make_frame(ticks)
    bodies = [encode_column(frame.times)]
    for group in frame.groups:
        bodies.append(zlib.compress(json.dumps(group.identities, separators=(",", ":")).encode(), 9))
        bodies += [encode_column(column) for column in (group.members, group.ticks, *group.values.values())]
    head = [len(frame.times), *(len(group.members) for group in frame.groups), *map(len, bodies)]
    about = json.dumps([head, *(list(group.values) for group in frame.groups)]).encode()
    body = b"".join(bodies)
    return _PACKED + _LENGTH.pack(len(about), zlib.crc32(about + body)) + about + body


def read_frame(blob: bytes) -> Frame:
    """Return the recordings in a blob, packed or not, as columns.

    Raises:
        HistoryCorrupt: It is damaged.
    """
    if not blob.startswith((_PACKED, _PACKED_BEFORE)):
        return make_frame(decode_ticks(blob))
    length, checksum = _LENGTH.unpack_from(blob, 1)
    start = 1 + _LENGTH.size
    if zlib.crc32(blob[start:]) != checksum:
        raise HistoryCorrupt("a recording of the largest processes does not have the checksum that it was written with")
    (count, *sizes), *fields = json.loads(blob[start : start + length])
    return _Unpacking(blob, start + length, sizes).frame(count, fields)


class _Unpacking:
    """Takes the bodies of a packed blob one after the other."""

    def __init__(self, blob: bytes, at: int, sizes: Sequence[int]) -> None:
        self._blob = blob
        self._at = at
        self._sizes = sizes

    def frame(self, count: int, fields: Sequence[Sequence[str]]) -> Frame:
        self._lengths = iter(self._sizes[len(fields) :])
        times = decode_column(self._body(), count)
        groups = [
            self._group(names, rows, own)
            for names, rows, own in zip(fields, self._sizes, _IDENTITIES, strict=False)  # older ones have fewer
        ]
        if len(groups) < len(_IDENTITIES):
            groups.append(_group([], GPU_IDENTITY, GPU_VALUES))
        return Frame(times, *groups)

    def _body(self) -> bytes:
        length = next(self._lengths)
        self._at += length
        return self._blob[self._at - length : self._at]

    def _group(self, fields: Sequence[str], rows: int, own: tuple[str, ...]) -> Group:
        identities = [tuple(identity) for identity in json.loads(zlib.decompress(self._body()))]
        columns = [decode_column(self._body(), rows) for _ in range(2 + len(fields))]
        return Group(own, identities, columns[0], columns[1], dict(zip(fields, columns[2:], strict=True)))


def read_tops(blob: bytes) -> list[TopsTick]:
    """Return the recordings in a blob, packed or not, in the order in which they were made."""
    return to_ticks(read_frame(blob)) if blob.startswith((_PACKED, _PACKED_BEFORE)) else decode_ticks(blob)
