"""All that can be asked of a history, live or recorded."""

import pwd
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from resourced.decision import Decision, LoggedEvent, Outcome
from resourced.errors import QueryError
from resourced.history.columns import Piece
from resourced.history.moment import find_moment
from resourced.history.query import answer, ask
from resourced.history.reader import Session
from resourced.history.recorded import RecordedTick, Ticks, find_stretches
from resourced.history.search import (
    Wanted,
    find_decision,
    find_decisions,
    find_events,
    find_outcomes,
    find_outcomes_since,
)
from resourced.history.store import SCRATCH, translated
from resourced.history.table import Table
from resourced.history.top import KINDS, Top, find_top, rank_table
from resourced.metrics import CATALOGUE, Kind, parse_selector

T = TypeVar("T")
R = TypeVar("R", Decision, Outcome, LoggedEvent)


class Questions(ABC):
    """Answers questions from a store and what is in memory beside it. All may block on the disk."""

    @abstractmethod
    def _ask(self, work: Callable[[Session | None], T]) -> T:
        """Do some work on the store; on memory alone if the store can't be read."""

    @abstractmethod
    def _pieces(self) -> Sequence[Piece]:
        """Return the samples in memory."""

    @abstractmethod
    def _kept(self, kind: type[R]) -> Sequence[tuple[int, R]]:
        """Return the newest records of a kind that are in memory, with their keys."""

    @property
    @abstractmethod
    def _scratch(self) -> Path | None:
        """Return where a file may be made that is soon gone; None where the system makes such files."""

    @abstractmethod
    def export(self, path: Path, since: float, until: float) -> None:
        """Write a recording of some time to a new file: whole hours, the decisions and events, and who used most.

        It holds names of programs, units and users, but neither command lines nor environments.

        Args:
            path: The file, which must not exist.
            since: First moment, seconds since the epoch.
            until: Last moment.

        Raises:
            HistoryError: It can't be written.
        """

    def recording(self, since: float, until: float) -> BinaryIO:
        """Return a recording as an open file that has no name any more; see `export`."""
        with translated(), tempfile.TemporaryDirectory(prefix=SCRATCH, dir=self._scratch) as place:
            path = Path(place, "recording")
            self.export(path, since, until)
            return path.open("rb")

    def query(
        self,
        metrics: Sequence[str],
        *,
        start: float,
        end: float,
        step: float | None = None,
        points: int | None = None,
        aggregate: str = "mean",
    ) -> Table:
        """Return values over time.

        Args:
            metrics: Series: names or short names of the catalogue, with patterns for name and labels.
            start: First moment, seconds since the epoch.
            end: Last moment.
            step: Seconds of a cell. Cells begin at multiples of it, and those at both ends are whole. Without step and
                points, single ticks are given.
            points: Most cells instead of a step; it is then round, and single ticks are given where they are as coarse.
            aggregate: What becomes of the values of one cell: mean, min, max, last, count, sum, rate (change a second;
                the step in which a counter was reset is left out), or a percentile such as p99.

        Raises:
            QueryError: The question is malformed, or asks for too much at once.
        """
        question = ask(metrics, start, end, step, points, aggregate)
        pieces = self._pieces()
        return self._ask(lambda session: answer(question, pieces, session))

    def at(self, time: float) -> dict[str, Any]:
        """Return a past moment as a whole, as the JSON of a snapshot; what was not recorded is null.

        Raises:
            QueryError: Nothing was recorded around this time.
        """
        pieces = self._pieces()
        return self._ask(lambda session: find_moment(pieces, session, time))

    def top(self, of: str, *, by: str, start: float, end: float, order: str = "peak", limit: int = 10) -> Top:
        """Return who used most over a time.

        Args:
            of: unit, slice, cgroup, process, command or user; or a label of the series in `by`.
            by: cpu, memory, swap, io or gpu_memory; with a label, series of the catalogue that have it.
            start: First moment, seconds since the epoch.
            end: Last moment.
            order: peak, mean or last.
            limit: Most entries.

        Raises:
            QueryError: There is no such thing; the text says what there is.
        """
        pieces = self._pieces()
        if of in KINDS:
            return self._ask(
                lambda session: find_top(pieces, session, of, by=by, start=start, end=end, order=order, limit=limit)
            )
        selector = parse_selector(by)
        metric = CATALOGUE.get(selector.name)
        if metric is None or of not in metric.label_names:
            raise QueryError("of", f"{by} has no label {of!r}; without a series there are {', '.join(KINDS)}")
        counter = metric.kind is Kind.COUNTER
        table = self.query([by], start=start, end=end, points=500, aggregate="rate" if counter else "max")
        unit = f"{metric.unit}/s" if counter else metric.unit
        return rank_table(table, of, by=str(selector), unit=unit, order=order, limit=limit)

    def ticks(self, since: float, until: float, metrics: Collection[str] | None = None) -> Iterator[RecordedTick]:
        """Yield every tick of some time in the order in which it happened, with what was largest then.

        What is left of old times as minutes or hours only is not given. The store is read an hour at a time, and is
        not held open in between.

        Args:
            since: First moment, seconds since the epoch.
            until: First moment after the last.
            metrics: Names of the metrics wanted; all if None. Few are read many times as fast as all.
        """
        pieces = self._pieces()
        ticks = Ticks(since, until, metrics)
        for stretch in self._ask(lambda session: find_stretches(pieces, session, since, until)):
            yield from self._ask(partial(ticks.load, stretch))

    def decisions(
        self,
        since: float | None = None,
        until: float | None = None,
        rule: str | None = None,
        unit: str | None = None,
        user: str | None = None,
        limit: int = 100,
    ) -> list[Decision]:
        """Return recorded decisions, newest first.

        Args:
            since: Only those at or after this time.
            until: Only those at or before this time.
            rule: Only those of one rule.
            unit: Only those whose target belongs to one unit.
            user: Only those whose target belongs to one user, by id or name.
            limit: Most of them.
        """
        kept = self._kept(Decision)
        wanted = Wanted(since, until, rule, unit, user, _uid(user))
        return self._ask(lambda session: find_decisions(session, kept, wanted, limit))

    def decision(self, id: str) -> Decision | None:  # noqa: A002 - the field's own name
        """Return one decision, or None if it isn't recorded."""
        kept = self._kept(Decision)
        return self._ask(lambda session: find_decision(session, kept, id))

    def outcomes(self, decision_id: str) -> list[Outcome]:
        """Return what was done about a decision, oldest first."""
        kept = self._kept(Outcome)
        return self._ask(lambda session: find_outcomes(session, kept, decision_id))

    def outcomes_since(self, since: float, limit: int = 100) -> list[Outcome]:
        """Return what was done since a time, about whatever decision, newest first."""
        kept = self._kept(Outcome)
        return self._ask(lambda session: find_outcomes_since(session, kept, since, limit))

    def events(self, since: float | None = None, until: float | None = None, limit: int = 100) -> list[LoggedEvent]:
        """Return recorded events, newest first."""
        kept = self._kept(LoggedEvent)
        return self._ask(lambda session: find_events(session, kept, since=since, until=until, limit=limit))


def _uid(user: str | None) -> int | None:
    if user is None:
        return None
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None
