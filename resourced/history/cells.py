"""Cells: what is left of a minute or an hour of one series."""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resourced.errors import HistoryCorrupt
from resourced.history.codec import decode_column, encode_column

if TYPE_CHECKING:
    from resourced.history.arrays import Chosen, Floats, Whole

MINUTE, HOUR = 60, 3600
"""Tiers, named by the seconds of a cell."""

_LENGTHS = struct.Struct("<5I")
_SAME = 0xFFFFFFFF
_COLUMNS = 5
_SHORT_ERROR = 2.0**-24
"""Largest relative error of a number in single precision."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one series; each column has the shape (cells,)."""

    minimum: "Floats"
    """Smallest value; NaN where there was none."""
    maximum: "Floats"
    """Largest value."""
    mean: "Floats"
    """Mean, to the precision of 32-bit floats unless all values are equal."""
    last: "Floats"
    """Last value."""
    count: "Floats"
    """Number of values; 0 where there was none."""

    def where(self, chosen: "Chosen", order: "Whole | None" = None) -> "Cells":
        """Return some of the cells, in another order if one is given."""
        columns = [getattr(self, name)[chosen] for name in self.__slots__]
        return Cells(*(column if order is None else column[order] for column in columns))

    def of(self, aggregate: str) -> "Floats":
        """Return the column that comes closest to an aggregate of single ticks."""
        if aggregate == "sum":
            return self.mean * self.count
        names = {"min": self.minimum, "max": self.maximum, "last": self.last, "rate": self.last, "count": self.count}
        return names.get(aggregate, self.mean)


def summarize(values: "Floats", edges: "Whole") -> Cells:
    """Return the cells of a column.

    Args:
        values: In order of time, NaN for gaps.
        edges: Position at which each cell begins, ascending from 0.
    """
    import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

    known = ~np.isnan(values)
    count = np.add.reduceat(known, edges, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        total = np.add.reduceat(np.where(known, values, 0.0), edges)
        mean = total / count
    positions = np.maximum.reduceat(np.where(known, np.arange(len(values)), -1), edges)
    last = np.where(positions >= 0, values[positions], np.nan)
    return Cells(np.fmin.reduceat(values, edges), np.fmax.reduceat(values, edges), mean, last, count)


def summarize_cells(cells: Cells, edges: "Whole") -> Cells:
    """Return coarser cells of finer ones.

    Args:
        cells: In order of time.
        edges: Position at which each coarser cell begins, ascending from 0.
    """
    import numpy as np  # noqa: PLC0415 - as above

    known = cells.count > 0
    count = np.add.reduceat(cells.count, edges)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.add.reduceat(np.where(known, cells.mean * cells.count, 0.0), edges) / count
    positions = np.maximum.reduceat(np.where(known, np.arange(len(known)), -1), edges)
    last = np.where(positions >= 0, cells.last[positions], np.nan)
    return Cells(np.fmin.reduceat(cells.minimum, edges), np.fmax.reduceat(cells.maximum, edges), mean, last, count)


def encode_cells(cells: Cells) -> bytes:
    """Return cells as bytes; empty if there is no value in any.

    A column that equals one before it is not written again: the last value of a counter is its largest.
    """
    import numpy as np  # noqa: PLC0415 - as above

    if not cells.count.any():
        return b""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        short = cells.mean.astype(np.float32).astype(np.float64)
        # What single precision can't hold, too large or too small, stays as it is.
        mean = np.where(np.abs(short - cells.mean) <= np.abs(cells.mean) * _SHORT_ERROR, short, cells.mean)
    mean = np.where(cells.minimum == cells.maximum, cells.minimum, np.clip(mean, cells.minimum, cells.maximum))
    columns = (cells.minimum, cells.maximum, mean, cells.last, cells.count)
    bodies: list[bytes] = []
    lengths: list[int] = []
    for number, column in enumerate(columns):
        same = next((n for n in range(number) if _equal(columns[n], column)), None)
        body = b"" if same is not None else encode_column(np.ascontiguousarray(column))
        lengths.append(_SAME - same if same is not None else len(body))
        bodies.append(body)
    return _LENGTHS.pack(*lengths) + b"".join(bodies)


def _equal(one: "Floats", other: "Floats") -> bool:
    return one.tobytes() == other.tobytes()


def decode_cells(data: bytes, count: int) -> Cells:
    """Return the cells that were encoded.

    Raises:
        HistoryCorrupt: The bytes are no cells.
    """
    if len(data) < _LENGTHS.size:
        raise HistoryCorrupt("cells of the history are cut short")
    at = _LENGTHS.size
    columns: list[Floats] = []
    for length in _LENGTHS.unpack_from(data):
        if length > _SAME - _COLUMNS:
            columns.append(columns[_SAME - length])
            continue
        columns.append(decode_column(data[at : at + length], count))
        at += length
    return Cells(*columns)
