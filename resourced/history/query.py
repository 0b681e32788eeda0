"""Questions to the history: which series, when, how fine, and what becomes of the values of one cell."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resourced.errors import QueryError
from resourced.history.aggregate import Aggregate, Moments, make_aggregate
from resourced.history.columns import Piece
from resourced.history.grid import Grid, make_grid, step_for, tier_for
from resourced.history.rates import Rates
from resourced.history.reader import Session
from resourced.history.sources import Source, find_sources, in_memory
from resourced.history.table import Table, known
from resourced.metrics import Selector, parse_selector
from resourced.series import Series

if TYPE_CHECKING:
    from resourced.history.arrays import Floats

AGGREGATES = ("mean", "min", "max", "last", "count", "sum", "rate")
"""Beside these, p0 to p100: the value below which so many hundredths of the values are."""

MOST_VALUES = 2_000_000
"""Most values of one answer: as lists of floats they take some 60 MB. Also the most samples that are kept at once to
take percentiles of them: some 130 MB at worst, if all are of one series."""

MOST_READ = 100_000_000
"""Most values that are gone through for one answer, which takes two to four seconds of a processor."""

_COLUMN_VALUES = 4000
"""To find and open one column takes as long as to go through so many values: 60-140 µs against some 20 ns each."""

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for."""

    selectors: tuple[Selector, ...]
    """Which series."""
    start: float
    """First moment, seconds since the epoch."""
    end: float
    """Last moment."""
    step: float | None
    """Seconds of a cell; None for single ticks, unless `points` says otherwise."""
    points: int | None
    """Most cells, from which the step follows."""
    aggregate: str
    """One of AGGREGATES, or a percentile."""

    @property
    def percentile(self) -> float | None:
        """Return the share below the value wanted, 0-1; None for another aggregate."""
        found = _PERCENTILE.fullmatch(self.aggregate)
        return float(found[1]) / 100 if found else None


def ask(
    metrics: Sequence[str], start: float, end: float, step: float | None, points: int | None, aggregate: str
) -> Question:
    """Return a question, checked.

    Raises:
        QueryError: Something is wrong; the text says what is allowed.
    """
    if not metrics:
        raise QueryError("metric", "name at least one series")
    if not (math.isfinite(start) and math.isfinite(end)) or start > end:
        raise QueryError("start", f"the time from {start:g} to {end:g} is empty; start must be before end")
    if step is not None and not (math.isfinite(step) and step > 0):
        raise QueryError("step", f"a step of {step:g} s is not possible; write one above 0")
    if points is not None and points < 1:
        raise QueryError("points", f"{points} points are not possible; write 1 or more")
    question = Question(tuple(map(parse_selector, metrics)), start, end, step, points, aggregate)
    if aggregate not in AGGREGATES and question.percentile is None:
        allowed = ", ".join(AGGREGATES)
        raise QueryError("aggregate", f"there is no aggregate {aggregate!r}; there are {allowed}, and p50, p99, …")
    return question


def answer(question: Question, pieces: Sequence[Piece], session: Session | None) -> Table:
    """Return the answer to a question.

    Args:
        question: What is asked for.
        pieces: What is in memory; taken before the session began.
        session: The store, or None if there is none.

    Raises:
        QueryError: It asks for too much at once.
        HistoryError: The store can't be read.
    """
    grid = _grid(question, pieces)
    tier = tier_for(grid.step) if grid is not None and question.percentile is None else 0
    start, end = (grid.start, grid.end) if grid else (question.start, math.nextafter(question.end, math.inf))
    sources = find_sources(pieces, session, tier, start, end)
    names = _names(question.selectors, in_memory(pieces, session), session)
    _check(question, grid, sources, len(names))
    if grid is not None:
        return _on_grid(question, grid, sources, names)
    return _single(question, sources, names, start, end)


def _grid(question: Question, pieces: Sequence[Piece]) -> Grid | None:
    """Return the cells of the answer, or None if single ticks are wanted or are at least as coarse."""
    if question.step is not None:
        return make_grid(question.start, question.end, question.step)
    if question.points is None:
        return None
    step = step_for(question.start, question.end, question.points)
    recent = pieces[-1] if pieces else None
    usual = (recent.end - recent.start) / (recent.count - 1) if recent and recent.count > 1 else 1.0
    return None if step < 1.5 * usual else make_grid(question.start, question.end, step)


def _names(selectors: Iterable[Selector], pieces: Sequence[Piece], session: Session | None) -> list[Series]:
    """Return the series that match, in the order of the selectors."""
    found: dict[Series, None] = {}
    present: dict[Series, None] = {}
    for names in {id(each): each for each in (piece.names() for piece in pieces)}.values():
        present |= dict.fromkeys(names)
    for selector in selectors:
        found |= dict.fromkeys(s for s in present if selector.matches(s.metric, s.labels))
        if session is not None:
            found |= dict.fromkeys(session.matching([selector]))
    return list(found)


def _check(question: Question, grid: Grid | None, sources: Sequence[Source], series: int) -> None:
    """Refuse what would take too much memory or time, before any of it is read.

    Raises:
        QueryError: It would; the text says what to ask for instead.
    """
    ticks = _ticks(sources)
    values = series * (grid.cells if grid else ticks)
    if values > MOST_VALUES:
        raise QueryError("step", f"this asks for {values} values at once; ask for fewer series, or with a longer step")
    if question.percentile is not None and ticks > MOST_VALUES:
        told = f"a percentile is taken of every sample, and there are {ticks} of them; {MOST_VALUES} are allowed"
        raise QueryError("start", f"{told}: ask for a shorter time")
    if series * (ticks + _COLUMN_VALUES * len(sources)) > MOST_READ:
        told = f"{series * ticks} values would have to be read for this, in {series * len(sources)} pieces"
        ready = "" if question.percentile is not None else ", or a step of whole hours or minutes, which are kept ready"
        raise QueryError("start", f"{told}, which is too much at once; ask for fewer series, a shorter time{ready}")


def _ticks(sources: Sequence[Source]) -> int:
    return sum(source.holder.count for source in sources)


def _on_grid(question: Question, grid: Grid, sources: Sequence[Source], names: Sequence[Series]) -> Table:
    found: dict[Series, list[float | None]] = {}
    # Percentiles keep what they are taken of, so they are taken of a few series at a time.
    size = max(1, len(names) if question.percentile is None else MOST_VALUES // max(1, _ticks(sources)))
    for first in range(0, len(names), size):
        some = names[first : first + size]
        columns = _columns(question, grid, sources, some)
        for series in some:
            values = known(columns[series].result()) if series in columns else []
            if any(value is not None for value in values):
                found[series] = values
    return Table(grid.times() if found else [], found, grid.step, question.aggregate, _coarsest(sources))


def _columns(
    question: Question, grid: Grid, sources: Sequence[Source], names: Sequence[Series]
) -> dict[Series, Aggregate]:
    """Return the columns of some series, of those that have values."""
    columns: dict[Series, Aggregate] = {}
    for source in sources:
        whole = source.times()
        chosen = source.chosen(whole, grid.start, grid.end)
        if not chosen.any():
            continue
        moments = Moments(grid, whole[chosen])
        for series in names:
            cells, values = source.cells(series), source.column(series)
            if cells is None and values is None:
                continue
            if series not in columns:
                columns[series] = make_aggregate(question.aggregate, question.percentile, grid, series)
            if cells is not None:
                columns[series].add_cells(moments, cells, chosen, source.tier)
            elif values is not None:
                columns[series].add(moments, values[chosen])
    return columns


def _coarsest(sources: Sequence[Source]) -> float | None:
    return max((source.tier for source in sources), default=0) or None


def _single(question: Question, sources: Sequence[Source], names: Sequence[Series], start: float, end: float) -> Table:
    import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

    times = []
    columns: dict[Series, list[tuple[int, int, Floats]]] = {}
    at = 0
    for source in sources:
        whole = source.times()
        chosen = source.chosen(whole, start, end)
        count = int(chosen.sum())
        if not count:
            continue
        times.append(whole[chosen])
        for series in names:
            cells = source.cells(series)
            values = source.column(series) if cells is None else cells.of(question.aggregate)
            if values is not None:
                columns.setdefault(series, []).append((at, at + count, values[chosen]))
        at += count
    if not times:
        return Table([], {}, None, question.aggregate)
    moments = np.concatenate(times)
    order = np.argsort(moments, kind="stable")
    moments = moments[order]
    found = {}
    for series in names:
        column = np.full(at, np.nan)
        for first, last, values in columns.get(series, ()):
            column[first:last] = values
        column = column[order]
        if question.aggregate == "rate":
            column = Rates(series).single(moments, column)
        if not np.isnan(column).all():
            found[series] = known(column)
    return Table(moments.tolist(), found, None, question.aggregate, _coarsest(sources))
