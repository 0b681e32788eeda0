"""How much one question may read and hold, at full size: a week of every second, 300 series."""

import contextlib
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from resourced.errors import QueryError
from resourced.history.codec import encode_column
from resourced.history.columns import Columns
from resourced.history.query import answer, ask
from resourced.history.table import Table
from resourced.series import Series
from tests.history.fakes import START

HOUR, DAY, WEEK = 3600, 86400, 7 * 86400
END = START + WEEK
READ = ("disk.io.direction", "read")
SERIES = tuple(Series("system.disk.io", (READ, ("system.device", f"d{n}"))) for n in range(300))
VALUES = np.arange(float(HOUR))
"""Of each series in each hour."""


@contextlib.contextmanager
def measured() -> Iterator[Callable[[], int]]:
    """Measure memory; what is given returns the most bytes that were held at once."""
    tracemalloc.start()
    found = 0
    try:
        yield lambda: found
    finally:
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()


@pytest.fixture(scope="module")
def week() -> Sequence[Columns]:
    """The pieces of a week: all series have the same column, so that they take no memory."""
    data = dict.fromkeys(SERIES, encode_column(VALUES))
    found = []
    for n in range(WEEK // HOUR):
        start = START + n * HOUR
        stamps = tuple(encode_column(column) for column in (start + VALUES, 1000.0 + n * HOUR + VALUES, VALUES))
        found.append(Columns(n, n, "boot", HOUR, start, start + HOUR - 1, (stamps[0], stamps[1], stamps[2]), data))
    return found


def asked(week: Sequence[Columns], aggregate: str, seconds: float, count: int = 1, step: float | None = None) -> Table:
    """Ask for the first so many series over the last so many seconds, in one cell or in many."""
    metrics = ["*"] if count == len(SERIES) else [str(series) for series in SERIES[:count]]
    question = ask(metrics, END - seconds, END, step, None if step else 1, aggregate)
    return answer(question, week, None)


@pytest.mark.parametrize(
    ("aggregate", "count", "step"),
    [("p99", 300, None), ("p50", 100, 3600.0), ("mean", 300, 3599.0), ("rate", 80, 100.0)],
)
def test_what_would_read_too_much_is_refused_before_it_is_read(
    week: Sequence[Columns], aggregate: str, count: int, step: float | None
) -> None:
    with measured() as peak, pytest.raises(QueryError, match="ask for fewer series, a shorter time"):
        asked(week, aggregate, WEEK, count, step)

    assert peak() < 10_000_000


def test_a_percentile_of_too_many_samples_is_refused(week: Sequence[Columns]) -> None:
    longer = [replace(piece, count=4 * HOUR) for piece in week]

    with pytest.raises(QueryError, match="there are 2419200 of them; 2000000 are allowed: ask for a shorter time"):
        asked(longer, "p99", WEEK)


@pytest.mark.parametrize(("seconds", "count"), [(WEEK, 1), (WEEK, 20), (DAY, 20), (DAY, 300)])
def test_a_percentile_takes_little_memory(week: Sequence[Columns], seconds: int, count: int) -> None:
    with measured() as peak:
        found = asked(week[-seconds // HOUR :], "p99", seconds, count)

    assert list(found.series) == list(SERIES[:count])
    assert {round(value or 0) for (value,) in found.series.values()} == {round(0.99 * (HOUR - 1))}
    assert peak() < 130_000_000


def test_all_series_of_a_day_are_given_in_cells_of_a_quarter_of_an_hour(week: Sequence[Columns]) -> None:
    found = asked(week, "max", DAY - 1, 300, 900.0)

    assert (len(found.series), len(found.times)) == (300, 96)
    assert set(found.series[SERIES[7]]) == {899.0, 1799.0, 2699.0, 3599.0}


@pytest.mark.parametrize("step", [7.0, 61.0])
def test_a_rate_in_many_cells_is_the_rate_of_each(week: Sequence[Columns], step: float) -> None:
    found = asked(week, "rate", WEEK, 1, step)

    [rates] = found.series.values()
    assert set(rates) == {1.0}
