"""What becomes of the values of one cell: one small class for each way, fed piece by piece."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

from resourced.history.cells import Cells, summarize, summarize_cells
from resourced.history.grid import Grid
from resourced.history.rates import Rates
from resourced.series import Series

if TYPE_CHECKING:
    from resourced.history.arrays import Chosen, Floats, Whole


class Moments:
    """The times of some ticks or cells, and where they lie on a grid; shared by all series that have them.

    Args:
        grid: The cells of the answer.
        times: At least one, all within the grid.
    """

    def __init__(self, grid: Grid, times: "Floats") -> None:
        self.grid = grid
        self.times = times

    @cached_property
    def edges(self) -> "tuple[Whole | None, Whole, Whole]":
        """Return the order by cell (None if it is already so), the cells, and where the values of each begin."""
        import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

        places = self.grid.positions(self.times)
        order = None
        if (places[1:] < places[:-1]).any():
            order = np.argsort(places, kind="stable")
            places = places[order]
        edges = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
        return order, places[edges], edges


class Aggregate(ABC):
    """One column of an answer in the making.

    Args:
        grid: The cells.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    @abstractmethod
    def add(self, moments: Moments, values: "Floats") -> None:
        """Take single ticks, at least one, NaN for gaps."""

    @abstractmethod
    def add_cells(self, moments: Moments, cells: Cells, chosen: "Chosen", width: float) -> None:
        """Take cells of a tier.

        Args:
            moments: Start of each chosen cell.
            cells: The cells, chosen or not.
            chosen: Which of them count.
            width: Seconds of a cell.
        """

    @abstractmethod
    def result(self) -> "Floats":
        """Return one value a cell of the grid, NaN where there is nothing."""


class Summary(Aggregate):
    """Minimum, maximum, mean, last, count or sum.

    Args:
        grid: The cells.
        kind: Which of them.
    """

    def __init__(self, grid: Grid, kind: str) -> None:
        import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

        super().__init__(grid)
        self._kind = kind
        self._values = np.full(grid.cells, 0.0 if kind in ("mean", "sum", "count") else np.nan)
        self._count = np.zeros(grid.cells)

    def add(self, moments: Moments, values: "Floats") -> None:
        order, places, edges = moments.edges
        self._take(places, summarize(values if order is None else values[order], edges))

    def add_cells(self, moments: Moments, cells: Cells, chosen: "Chosen", width: float) -> None:
        del width
        order, places, edges = moments.edges
        self._take(places, summarize_cells(cells.where(chosen, order), edges))

    def _take(self, places: "Whole", cells: Cells) -> None:
        import numpy as np  # noqa: PLC0415 - as above

        values = self._values
        if self._kind == "min":
            values[places] = np.fmin(values[places], cells.minimum)
        elif self._kind == "max":
            values[places] = np.fmax(values[places], cells.maximum)
        elif self._kind == "last":
            values[places] = np.where(cells.count > 0, cells.last, values[places])
        else:
            values[places] += np.where(cells.count > 0, cells.mean * cells.count, 0.0)
        self._count[places] += cells.count

    def result(self) -> "Floats":
        import numpy as np  # noqa: PLC0415 - as above

        if self._kind in ("min", "max", "last"):
            return self._values
        with np.errstate(invalid="ignore", divide="ignore"):
            found = self._values / self._count if self._kind == "mean" else self._values
        if self._kind == "count":
            found = self._count
        return np.where(self._count > 0, found, np.nan)


class Percentile(Aggregate):
    """The value below which a share of the values is; of cells in a tier, their means stand for their values.

    Args:
        grid: The cells.
        share: The share, 0-1.
    """

    def __init__(self, grid: Grid, share: float) -> None:
        super().__init__(grid)
        self._share = share
        self._places: list[Whole] = []
        self._values: list[Floats] = []

    def add(self, moments: Moments, values: "Floats") -> None:
        import numpy as np  # noqa: PLC0415 - as above

        known = ~np.isnan(values)
        self._places.append(self._grid.positions(moments.times[known]))
        self._values.append(values[known])

    def add_cells(self, moments: Moments, cells: Cells, chosen: "Chosen", width: float) -> None:
        del width
        self.add(moments, cells.mean[chosen])

    def result(self) -> "Floats":
        import numpy as np  # noqa: PLC0415 - as above

        found = np.full(self._grid.cells, np.nan)
        places, values = np.concatenate(self._places), np.concatenate(self._values)
        order = np.lexsort((values, places))
        places, values = places[order], values[order]
        first = np.flatnonzero(np.diff(places, prepend=-1))
        sizes = np.diff(first, append=len(places))
        rank = (sizes - 1) * self._share
        low = first + np.floor(rank).astype(np.int64)
        high = first + np.ceil(rank).astype(np.int64)
        found[places[first]] = values[low] + (values[high] - values[low]) * (rank - np.floor(rank))
        return found


class Rate(Aggregate):
    """Change a second, see `rates`.

    Args:
        grid: The cells.
        series: Whose; counters that went back were reset.
    """

    def __init__(self, grid: Grid, series: Series) -> None:
        import numpy as np  # noqa: PLC0415 - as above

        super().__init__(grid)
        self._rates = Rates(series)
        self._change = np.zeros(grid.cells)
        self._seconds = np.zeros(grid.cells)

    def add(self, moments: Moments, values: "Floats") -> None:
        self._take(*self._rates.steps(moments.times, values))

    def add_cells(self, moments: Moments, cells: Cells, chosen: "Chosen", width: float) -> None:
        self._take(*self._rates.steps(moments.times, cells.last[chosen], width))

    def _take(self, times: "Floats", change: "Floats", seconds: "Floats") -> None:
        import numpy as np  # noqa: PLC0415 - as above

        if not len(times):
            return
        places = self._grid.positions(times)
        first, last = int(places.min()), int(places.max()) + 1  # the grid may be a hundred times as long
        self._change[first:last] += np.bincount(places - first, change)
        self._seconds[first:last] += np.bincount(places - first, seconds)

    def result(self) -> "Floats":
        import numpy as np  # noqa: PLC0415 - as above

        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self._seconds > 0, self._change / self._seconds, np.nan)


def make_aggregate(name: str, percentile: float | None, grid: Grid, series: Series) -> Aggregate:
    """Return an empty column of an answer."""
    if percentile is not None:
        return Percentile(grid, percentile)
    return Rate(grid, series) if name == "rate" else Summary(grid, name)
