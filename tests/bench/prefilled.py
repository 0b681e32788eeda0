"""A store with weeks in it, made in a minute: blocks are packed for one day and written again under later dates."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resourced.history import HistorySettings
from resourced.history.codec import encode_column
from resourced.history.columns import Columns
from resourced.history.retention import retain
from resourced.history.rollup import roll
from resourced.history.store import Store
from resourced.metrics import CATALOGUE
from resourced.series import Series
from tests.bench.endless import Endless

_HOUR = 3600
_DAY = 86400


def layout(width: int) -> tuple[Series, ...]:
    """Return as many series of the catalogue: those without labels, and network interfaces for the rest."""
    plain = [Series(name) for name, metric in CATALOGUE.items() if metric.stored and not metric.label_names]
    rest = range(max(0, width - len(plain)))
    return (*plain[:width], *(interface(number) for number in rest))


def interface(number: int) -> Series:
    """Return the series of a made-up network interface."""
    labels = (("network.interface.name", f"made{number:03}"), ("network.io.direction", "receive"))
    return Series("system.network.io", labels)


def fill(directory: Path, days: int, until: float, endless: Endless, series: Sequence[Series]) -> None:
    """Make a store that ends with the last whole hour before a moment, kept to the usual retention.

    Args:
        directory: The state directory.
        days: Days before that moment, every tick of which was there once.
        until: Seconds since the epoch.
        endless: Values, one series a column.
        series: What the columns are.
    """
    hours = [_hour(endless, series) for _ in range(24)]
    dice = np.random.default_rng(3)
    end = int(until // _HOUR) * _HOUR
    store = Store(directory)
    try:
        for number in range(days * 24):
            seconds = np.arange(_HOUR, dtype=np.float64) + dice.uniform(0, 0.002, _HOUR)
            up = np.round(1000.0 + number * _HOUR + seconds, 6)
            times = np.round(end - days * _DAY + number * _HOUR + seconds, 6)
            sequence = np.arange(number * _HOUR, (number + 1) * _HOUR, dtype=np.float64)
            stamps = (encode_column(times), encode_column(up), encode_column(sequence))
            start, last = float(times[0]), float(times[-1])
            store.write_block(Columns(number, number, "made", _HOUR, start, last, stamps, hours[number % 24]))
            while roll(store, last) or retain(store, HistorySettings(), last):
                pass
    finally:
        store.close()


def _hour(endless: Endless, series: Sequence[Series]) -> dict[Series, bytes]:
    values = np.vstack([endless.piece() for _ in range(_HOUR // Endless.PIECE)])
    return {each: encode_column(np.ascontiguousarray(values[:, n])) for n, each in enumerate(series)}
