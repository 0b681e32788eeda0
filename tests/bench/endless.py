"""A history of any length and width, made of short recordings so that nothing repeats and nothing is easier to pack."""

from collections.abc import Iterable

import numpy as np

from tests.bench.corpus import Corpus, Floats


class Endless:
    """A history of any length and width, made of recordings.

    A series follows one of the recordings' series in pieces of ten minutes taken anywhere. Every step is changed by up
    to 30 %, in the units in which the series counts; steps of zero stay, as idle counters do. Series that only grow go
    on from where they were; others return to the recording, beside which they walk.

    Args:
        sources: The recordings.
        width: Number of series.
        seed: Of the dice.
    """

    PIECE = 600

    def __init__(self, sources: Iterable[Corpus], width: int, seed: int = 1) -> None:
        self._dice = np.random.default_rng(seed)
        rows = [np.nan_to_num(row, nan=row[np.isfinite(row)][0]) for each in sources for row in each.values]
        self._rows = [rows[number % len(rows)] for number in range(width)]
        self._quanta = [_quantum(row) for row in self._rows]
        self._counts = [bool((np.diff(row) >= 0).all()) and row[-1] > row[0] for row in self._rows]
        self._last = np.array([row[0] for row in self._rows])

    def piece(self) -> Floats:
        """Return the next ten minutes, shape (ticks, series)."""
        return np.column_stack([self._next(number) for number in range(len(self._rows))])

    def _next(self, number: int) -> Floats:
        row, quantum, dice = self._rows[number], self._quanta[number], self._dice
        start = int(dice.integers(0, len(row)))
        part = np.take(row, range(start, start + self.PIECE + 1), mode="wrap")
        steps = np.diff(part)
        if self._counts[number]:
            steps = np.where(steps < 0, 0.0, steps)  # the way back to the recording's beginning
        changed = steps * dice.uniform(0.7, 1.3, self.PIECE)
        if quantum:
            changed = np.rint(changed / quantum) * quantum
        if self._counts[number]:
            values = self._last[number] + np.cumsum(changed)
        else:
            off = np.where(steps == 0, 0.0, changed - steps)
            values = np.clip(part[1:] + np.cumsum(off), row.min(), row.max())
        if quantum:
            values = np.rint(values / quantum) / (1 / quantum)
        self._last[number] = values[-1]
        return np.asarray(values, np.float64)


def _quantum(row: Floats) -> float:
    """Return in which units a series counts: pages or kibibytes, ones, hundredths, ten-thousandths; 0 for others."""
    for quantum in (4096.0, 1024.0, 1.0, 0.01, 0.0001):
        scaled = row / quantum
        if (np.abs(scaled - np.rint(scaled)) < 1e-6).all():
            return quantum
    return 0.0
