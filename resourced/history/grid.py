"""The cells of an answer: how wide they are and where they begin."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resourced.errors import QueryError

if TYPE_CHECKING:
    from resourced.history.arrays import Floats, Whole

MOST_CELLS = 1_000_000
_DAY = 86400.0
_STEPS = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0),
    *(60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 360.0, 480.0, 600.0, 720.0, 900.0, 1200.0, 1440.0, 1800.0, 2700.0),
    *(3600.0, 5400.0, 7200.0, 10800.0, 14400.0, 21600.0, 28800.0, 43200.0),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of equal width that begin at multiples of it since the epoch."""

    first: int
    """Number of the first cell since the epoch."""
    step: float
    """Seconds of a cell."""
    cells: int
    """Number of cells."""

    @property
    def start(self) -> float:
        """Return the start of the first cell."""
        return self.first * self.step

    @property
    def end(self) -> float:
        """Return the end of the last cell."""
        return (self.first + self.cells) * self.step

    def times(self) -> list[float]:
        """Return the start of each cell."""
        return [number * self.step for number in range(self.first, self.first + self.cells)]

    def positions(self, times: "Floats") -> "Whole":
        """Return the cell of each time, which must be within the grid."""
        import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

        found = np.floor(times / self.step).astype(np.int64) - self.first
        return np.clip(found, 0, self.cells - 1)


def make_grid(start: float, end: float, step: float) -> Grid:
    """Return the cells that cover a time, whole at both ends.

    Raises:
        QueryError: They would be too many.
    """
    first = math.floor(start / step)
    cells = max(1, math.ceil(end / step) - first)
    if cells > MOST_CELLS:
        raise QueryError("step", f"a step of {step:g} s makes {cells} cells; at most {MOST_CELLS} are allowed")
    return Grid(first, step, cells)


def step_for(start: float, end: float, points: int) -> float:
    """Return the smallest round step that covers a time with at most so many cells.

    Round steps are those of clocks, so that most of them are whole minutes or hours, which the tiers hold.
    """
    for step in (*_STEPS, *(_DAY * days for days in range(1, 1000))):
        if math.ceil(end / step) - math.floor(start / step) <= points:
            return step
    return _DAY * max(1, math.ceil((end - start) / _DAY))


def tier_for(step: float | None) -> int:
    """Return the seconds of the coarsest cells of a tier that fit into a step; 0 if none do."""
    for tier in (3600, 60):
        if step is not None and step >= tier and step % tier == 0:
            return tier
    return 0
