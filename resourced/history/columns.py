"""Columns: many ticks of one hour, each series packed by itself, as they are kept in memory and written as a block."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resourced.history.batch import MONOTONIC, SEQUENCE, TIME, Batch
from resourced.history.codec import decode_column, encode_column
from resourced.history.topspack import pack_tops
from resourced.series import Series

if TYPE_CHECKING:
    from resourced.history.arrays import Floats


@dataclass(frozen=True, slots=True)
class Columns:
    """Consecutive ticks of one hour and one boot; series may come and go within it."""

    first: int
    """Place of the first batch in the order of all batches."""
    last: int
    """Place of the last batch."""
    boot: str
    """Identity of the boot; empty if unknown."""
    count: int
    """Number of ticks."""
    start: float
    """Smallest wall time."""
    end: float
    """Largest wall time."""
    stamps: tuple[bytes, bytes, bytes]
    """The columns TIME, MONOTONIC and SEQUENCE."""
    data: dict[Series, bytes]
    """The columns of the series that have at least one value."""
    tops_blobs: tuple[bytes, ...] = ()
    """The recordings of the largest cgroups and processes, as they were written."""

    @property
    def size(self) -> int:
        """Return bytes of memory, about."""
        own = sum(map(len, self.stamps)) + sum(map(len, self.tops_blobs))
        return own + sum(len(column) + 100 for column in self.data.values()) + 400

    def names(self) -> Iterable[Series]:
        """Return the series that have values here."""
        return self.data

    def own(self, which: int) -> "Floats":
        """Return a column that every tick has: TIME, MONOTONIC or SEQUENCE."""
        return decode_column(self.stamps[which], self.count)

    def column(self, series: Series) -> "Floats | None":
        """Return the values of a series, shape (count,), NaN for gaps; None if it has none here."""
        data = self.data.get(series)
        return None if data is None else decode_column(data, self.count)


Piece = Batch | Columns
"""Ticks in memory."""


def join(pieces: Sequence[Piece]) -> Columns:
    """Return consecutive pieces of one hour and one boot, at least one, as one."""
    import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first five minutes are full

    count = sum(piece.count for piece in pieces)
    stamps = [encode_column(np.concatenate([piece.own(which) for piece in pieces])) for which in range(3)]
    rows = {number: piece.columns() for number, piece in enumerate(pieces) if isinstance(piece, Batch)}
    union = dict.fromkeys(series for piece in pieces for series in piece.names())
    data: dict[Series, bytes] = {}
    for series in union:
        column = np.full(count, np.nan)
        position = 0
        for number, piece in enumerate(pieces):
            if isinstance(piece, Batch):
                at = piece.layout.position(series)
                values = None if at is None else rows[number][at]
            else:
                values = piece.column(series)
            if values is not None:
                column[position : position + piece.count] = values
            position += piece.count
        if packed := encode_column(column):
            data[series] = packed
    tops = pack_tops(blob for piece in pieces for blob in piece.tops_blobs)
    return Columns(
        pieces[0].first,
        pieces[-1].last,
        pieces[0].boot,
        count,
        min(piece.start for piece in pieces),
        max(piece.end for piece in pieces),
        (stamps[TIME], stamps[MONOTONIC], stamps[SEQUENCE]),
        data,
        (tops,) if tops else (),
    )
