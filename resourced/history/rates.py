"""How fast a series changes: between each value and the known one before it.

What is not known is left out: the step over a gap, and the step in which a counter went back because it was reset.
"""

from typing import TYPE_CHECKING

from resourced.metrics import CATALOGUE, Kind
from resourced.series import Series

if TYPE_CHECKING:
    from resourced.history.arrays import Floats

_GAP_SECONDS = 60.0
_USUAL_STEPS = 5.0
_ENOUGH = 5


class Rates:
    """Takes the values of one series piece by piece.

    Args:
        series: Whose values they are.
    """

    def __init__(self, series: Series) -> None:
        metric = CATALOGUE.get(series.metric)
        self._grows = metric is not None and metric.kind is Kind.COUNTER
        self._before: tuple[float, float] | None = None
        self._usual = 0.0

    def steps(self, times: "Floats", values: "Floats", width: float = 0.0) -> "tuple[Floats, Floats, Floats]":
        """Return the known steps that end in this piece: when, by how much, over how many seconds.

        Args:
            times: Of the values.
            values: NaN for gaps.
            width: Seconds of a cell, if they are the last values of cells.
        """
        import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

        known = ~np.isnan(values)
        moments, numbers = times[known], values[known]
        if self._before is not None:
            moments = np.concatenate(([self._before[0]], moments))
            numbers = np.concatenate(([self._before[1]], numbers))
        if len(moments):
            self._before = float(moments[-1]), float(numbers[-1])
        seconds, change = np.diff(moments), np.diff(numbers)
        if len(seconds) >= _ENOUGH:
            self._usual = float(np.median(seconds))
        ok = (seconds > 0) & (seconds <= max(_GAP_SECONDS, _USUAL_STEPS * max(self._usual, width)))
        if self._grows:
            ok &= change >= 0
        return moments[1:][ok], change[ok], seconds[ok]

    def single(self, times: "Floats", values: "Floats") -> "Floats":
        """Return the rate at each tick, NaN where it is not known."""
        import numpy as np  # noqa: PLC0415 - as above

        known = np.flatnonzero(~np.isnan(values))
        found = np.full(len(values), np.nan)
        moments, change, seconds = self.steps(times, values)
        ends = known[np.searchsorted(times[known], moments)]
        found[ends] = change / seconds
        return found
