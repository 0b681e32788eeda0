"""A batch: the ticks of one flush, as rows that were turned into columns and deflated.

Values of one series lie beside each other, so that what doesn't change costs almost nothing: 300 series are some 250
bytes a tick, and encoding ten ticks takes a fifth of a millisecond. It needs nothing but the standard library; the
lossless codec for whole hours is in `codec`.
"""

import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resourced.history.layout import Layout
from resourced.series import Series

if TYPE_CHECKING:
    from resourced.history.arrays import Floats, Matrix

TIME, MONOTONIC, SEQUENCE = 0, 1, 2
"""Whole of the columns that every tick has, before those of the series."""

_OWN = 3
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick: a stamp and a value for each series of its layout, NaN where there is none."""

    time: float
    """Wall time, seconds since the epoch."""
    monotonic_seconds: float
    """The same moment on CLOCK_MONOTONIC."""
    sequence: int
    """Number of the sample since the daemon started."""
    values: Sequence[float]
    """One a series."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive ticks of one layout, one hour and one boot."""

    first: int
    """Its place in the order of all batches ever written."""
    layout: Layout
    """What the values are."""
    boot: str
    """Identity of the boot; empty if unknown."""
    count: int
    """Number of ticks."""
    start: float
    """Smallest wall time."""
    end: float
    """Largest wall time."""
    body: bytes
    """The deflated columns."""
    tops: bytes = b""
    """The largest cgroups and processes at some of the ticks, deflated; empty if there are none."""

    @property
    def last(self) -> int:
        """Return its place in the order; of several batches joined, the last one's."""
        return self.first

    @property
    def size(self) -> int:
        """Return bytes of memory, about."""
        return len(self.body) + len(self.tops) + 200

    @property
    def tops_blobs(self) -> tuple[bytes, ...]:
        """Return the recordings of the largest, each as it was written."""
        return (self.tops,) if self.tops else ()

    def names(self) -> Iterable[Series]:
        """Return the series that may have values here."""
        return self.layout.series

    def own(self, which: int) -> "Floats":
        """Return a column that every tick has: TIME, MONOTONIC or SEQUENCE."""
        found: Floats = self._matrix()[which]
        return found

    def column(self, series: Series) -> "Floats | None":
        """Return the values of a series, shape (count,), NaN for gaps; None if it isn't here."""
        position = self.layout.position(series)
        return None if position is None else self._matrix()[_OWN + position]

    def columns(self) -> "Matrix":
        """Return all series, shape (series, count)."""
        return self._matrix()[_OWN:]

    def _matrix(self) -> "Matrix":
        import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before somebody asks

        return np.frombuffer(zlib.decompress(self.body), dtype="<f8").reshape(-1, self.count)


def encode_ticks(ticks: Sequence[Tick]) -> bytes:
    """Return the body of a batch of ticks, all with as many values."""
    columns = array("d")
    columns.extend(tick.time for tick in ticks)
    columns.extend(tick.monotonic_seconds for tick in ticks)
    columns.extend(tick.sequence for tick in ticks)
    for column in zip(*(tick.values for tick in ticks), strict=True):
        columns.extend(column)
    if sys.byteorder == "big":
        columns.byteswap()
    return zlib.compress(columns.tobytes(), 6)


def floats(values: Iterable[float | None]) -> "array[float]":
    """Return values with NaN for None."""
    return array("d", (_NAN if value is None else value for value in values))


def make_batch(first: int, layout: Layout, boot: str, ticks: Sequence[Tick], tops: bytes = b"") -> Batch:
    """Return the batch of some ticks, at least one."""
    times = [tick.time for tick in ticks]
    return Batch(first, layout, boot, len(ticks), min(times), max(times), encode_ticks(ticks), tops)
