"""The history: takes samples and records at once, writes them later, and answers questions about both."""

import pwd
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from resourced.clock import Clock
from resourced.decision import Decision, LoggedEvent, Outcome
from resourced.errors import HistoryCorrupt, HistoryError, QueryError
from resourced.history.backlog import Backlog
from resourced.history.batch import Tick, floats
from resourced.history.keeper import Keeper
from resourced.history.layout import Layout
from resourced.history.moment import find_moment
from resourced.history.query import Question, answer, ask
from resourced.history.reader import Session
from resourced.history.records import Item
from resourced.history.search import Wanted, find_decision, find_decisions, find_events, find_outcomes
from resourced.history.settings import HistorySettings
from resourced.history.stats import HistoryStats
from resourced.history.survey import survey
from resourced.history.table import Table
from resourced.history.top import KINDS, Top, find_top, rank_table
from resourced.history.tops import take_tops
from resourced.history.window import Window
from resourced.history.worker import Worker
from resourced.metrics import CATALOGUE, Kind, parse_selector
from resourced.series import Extractor, Series
from resourced.snapshot import Snapshot


class History:
    """Remembers samples, decisions, outcomes and events.

    `append`, `record` and `save_state` only touch memory and may be called from any thread; a thread of its own does
    the rest. All questions may block on the disk. Nothing here raises because a store is damaged, full or gone: it is
    reported, and what is in memory answers.

    Args:
        directory: The state directory; None to remember in memory only.
        settings: What is kept.
        clock: Tells the time.
        report: Told of what people should know: the event's name and its fields.
    """

    def __init__(
        self,
        directory: Path | None,
        *,
        settings: HistorySettings | None = None,
        clock: Clock,
        report: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self._settings = settings or HistorySettings()
        self._clock = clock
        self._window = Window(self._settings)
        self._backlog = Backlog()
        self._keeper = Keeper(
            directory, self._window, self._backlog, settings=self._settings, clock=clock, report=report
        )
        self._worker = Worker(self._keeper, self._settings.flush_seconds)
        self._directory = directory
        self._extractor = Extractor()
        self._layout = Layout(())
        self._known: tuple[Series, ...] = ()
        self._tops_at: float | None = None
        self._newest: Snapshot | None = None
        self._lock = threading.Lock()

    def open(self) -> None:
        """Open the store, read back what is not packed yet, and begin to write. Never raises for a bad store."""
        self._keeper.open()
        self._worker.start()

    def close(self) -> None:
        """Write what is in memory and stop."""
        self._worker.stop()
        self._keeper.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def append(
        self, snapshot: Snapshot, values: tuple[tuple[Series, ...], Sequence[float | None]] | None = None
    ) -> None:
        """Take one sample; only memory is touched.

        Args:
            snapshot: The sample.
            values: A layout and its values, if they were read from the snapshot already; by default all stored
                metrics of the catalogue are read.
        """
        with self._lock:
            if values is None:
                read = self._extractor.read(snapshot)
                values = self._extractor.layout, read
            series, row = values
            if series is not self._known:
                self._known = series
                if series != self._layout.series:
                    self._layout = Layout(series)
            tick = Tick(snapshot.time, snapshot.monotonic_seconds, snapshot.sequence, floats(row))
            settings = self._settings
            tops = None
            if self._tops_at is None or not (
                0 <= snapshot.monotonic_seconds - self._tops_at < settings.tops_interval_seconds - 0.5
            ):
                tops = take_tops(snapshot, cgroups=settings.top_cgroups, processes=settings.top_processes)
                self._tops_at = snapshot.monotonic_seconds
            self._newest = snapshot
            self._window.add(self._layout, snapshot.boot_id or "", tick, tops)

    def record(self, item: Item) -> None:
        """Take a decision, an outcome or an event; it is written at once, by the history's own thread."""
        self._backlog.add(item)
        if isinstance(item, Decision):
            self._note_touched(item)
        if not isinstance(item, LoggedEvent):
            self._worker.hurry()

    def _note_touched(self, decision: Decision) -> None:
        """Record the largest at the moment of a decision, and what it concerns however small it is."""
        candidates = [*decision.candidates[:20], *((decision.target,) if decision.target else ())]
        touched = {each.cgroup for each in candidates if each.cgroup} | {
            f"{each.pid}:{each.start_time_ticks}" for each in candidates if each.pid is not None
        }
        with self._lock:
            snapshot = self._newest
            if snapshot is None:
                return
            tops = take_tops(
                snapshot,
                cgroups=self._settings.top_cgroups,
                processes=self._settings.top_processes,
                touched=frozenset(touched),
            )
            if tops is not None:
                self._window.add_tops(tops)

    def flush(self) -> bool:
        """Write what is in memory now, and wait until it is on disk.

        Returns:
            Whether it is; True also where only memory is used.
        """
        return self._keeper.flush(final=True)

    def maintain(self) -> None:
        """Do at once all the work that would be done in the background: pack, roll up, remove."""
        while self._keeper.step():
            pass

    def save_state(self, name: str, text: str) -> None:
        """Keep a text under a name over restarts; it replaces the one before.

        It is written with the next record, at the end, and otherwise once a minute.
        """
        self._backlog.add_state(name, text)

    def load_state(self, name: str) -> str | None:
        """Return the text that was saved under a name, or None if there is none."""
        found = self._backlog.state(name)
        if found is not None:
            return found
        with self._session() as session:
            rows = session.rows("SELECT data FROM state WHERE name = ?", (name,)) if session else []
        return str(rows[0][0]) if rows else None

    @contextmanager
    def _session(self) -> Iterator[Session | None]:
        """Give a session on the store, or None if there is no store now."""
        readers = self._keeper.readers
        if readers is None:
            yield None
            return
        with readers.session() as session:
            yield session

    def _ask(self, work: Callable[[Session | None], Any]) -> Any:
        """Do some work on the store; on memory alone if the store can't be read."""
        try:
            with self._session() as session:
                return work(session)
        except HistoryCorrupt as error:
            self._keeper.damaged(error)
        except HistoryError:
            pass
        return work(None)

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
            step: Seconds of a cell. Cells begin at multiples of it, and those at both ends are whole.
            points: Most cells instead of a step; it is then round, and single ticks are given where they are as coarse.
            aggregate: What becomes of the values of one cell: mean, min, max, last, count, sum, rate (change a second;
                a counter's reset is left out), or a percentile such as p99. Without cells, rate and what the tiers
                hold of old ticks.

        Raises:
            QueryError: The question is malformed, or asks for too much at once.
        """
        question = ask(metrics, start, end, step, points, aggregate)
        return self._answer(question)

    def _answer(self, question: Question) -> Table:
        pieces = self._window.view()
        found: Table = self._ask(lambda session: answer(question, pieces, session))
        return found

    def at(self, time: float) -> dict[str, Any]:
        """Return a past moment as a whole, as the JSON of a snapshot; what was not recorded is null.

        Raises:
            QueryError: Nothing was recorded around this time.
        """
        pieces = self._window.view()
        found: dict[str, Any] = self._ask(lambda session: find_moment(pieces, session, time))
        return found

    def top(
        self,
        of: str,
        *,
        by: str,
        start: float,
        end: float,
        order: str = "peak",
        limit: int = 10,
    ) -> Top:
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
        pieces = self._window.view()
        if of in KINDS:
            found: Top = self._ask(
                lambda session: find_top(pieces, session, of, by=by, start=start, end=end, order=order, limit=limit)
            )
            return found
        metric = CATALOGUE.get(parse_selector(by).name)
        if metric is None or of not in metric.label_names:
            raise QueryError("of", f"{by} has no label {of!r}; without a series there are {', '.join(KINDS)}")
        counter = metric.kind is Kind.COUNTER
        table = self.query([by], start=start, end=end, points=500, aggregate="rate" if counter else "max")
        unit = f"{metric.unit}/s" if counter else metric.unit
        return rank_table(table, of, by=str(parse_selector(by)), unit=unit, order=order, limit=limit)

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
        kept = self._backlog.kept(Decision)
        found: list[Decision] = self._ask(
            lambda session: find_decisions(session, kept, Wanted(since, until, rule, unit, user, _uid(user)), limit)
        )
        return found

    def decision(self, id: str) -> Decision | None:  # noqa: A002 - the field's own name
        """Return one decision, or None if it isn't recorded."""
        kept = self._backlog.kept(Decision)
        found: Decision | None = self._ask(lambda session: find_decision(session, kept, id))
        return found

    def outcomes(self, decision_id: str) -> list[Outcome]:
        """Return what was done about a decision, oldest first."""
        kept = self._backlog.kept(Outcome)
        found: list[Outcome] = self._ask(lambda session: find_outcomes(session, kept, decision_id))
        return found

    def events(self, since: float | None = None, until: float | None = None, limit: int = 100) -> list[LoggedEvent]:
        """Return recorded events, newest first."""
        kept = self._backlog.kept(LoggedEvent)
        found: list[LoggedEvent] = self._ask(
            lambda session: find_events(session, kept, since=since, until=until, limit=limit)
        )
        return found

    def stats(self) -> HistoryStats:
        """Return what the history holds and costs."""
        window, keeper = self._window, self._keeper
        found: HistoryStats = self._ask(
            lambda session: survey(
                session, self._directory, window, self._settings, problem=keeper.problem, series=len(self._layout)
            )
        )
        return found


def _uid(user: str | None) -> int | None:
    if user is None:
        return None
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None
