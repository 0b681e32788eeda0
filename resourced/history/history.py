"""The history: takes samples and records at once, writes them later, and answers questions about both."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from resourced.clock import Clock
from resourced.decision import Decision, LoggedEvent
from resourced.errors import HistoryCorrupt, HistoryError
from resourced.history.backlog import Backlog
from resourced.history.batch import Tick, floats
from resourced.history.columns import Piece
from resourced.history.exchange import write_recording
from resourced.history.keeper import Keeper
from resourced.history.layout import Layout
from resourced.history.questions import Questions, R, T
from resourced.history.reader import Session
from resourced.history.records import Item
from resourced.history.settings import HistorySettings
from resourced.history.stats import HistoryStats
from resourced.history.survey import survey
from resourced.history.tops import take_tops
from resourced.history.window import Window
from resourced.history.worker import Worker
from resourced.series import Extractor, Series
from resourced.snapshot import Snapshot

_EVERYONE = 2000
"""Cgroups and processes that are recorded at the moment of a decision; a hundred of them are some 2 KB."""


class History(Questions):
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
        self._complete_at: float | None = None
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
        self,
        snapshot: Snapshot,
        values: tuple[tuple[Series, ...], Sequence[float | None]] | None = None,
        *,
        everyone: bool = False,
    ) -> None:
        """Take one sample; only memory is touched.

        Args:
            snapshot: The sample.
            values: A layout and its values, if they were read from the snapshot already; by default all stored
                metrics of the catalogue are read.
            everyone: Whether a decision fell: all whom it weighed are recorded, so that replay weighs the same.
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
            if everyone:
                tops = take_tops(snapshot, cgroups=_EVERYONE, processes=_EVERYONE, everyone=True)
                self._complete_at = snapshot.time
            elif self._tops_at is None or not (
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
            self._note_everyone()
        if not isinstance(item, LoggedEvent):
            self._worker.hurry()

    def _note_everyone(self) -> None:
        """Record everyone for a decision that fell between two samples; see `append` for those that fell at one."""
        with self._lock:
            snapshot = self._newest
            if snapshot is None or self._complete_at == snapshot.time:
                return
            self._complete_at = snapshot.time
            tops = take_tops(snapshot, cgroups=_EVERYONE, processes=_EVERYONE, everyone=True)
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
        statement = "SELECT data FROM state WHERE name = ?"
        rows = self._ask(lambda session: session.rows(statement, (name,)) if session else [])
        return str(rows[0][0]) if rows else None

    def _ask(self, work: Callable[[Session | None], T]) -> T:
        readers = self._keeper.readers
        try:
            if readers is not None:
                with readers.session() as session:
                    return work(session)
        except HistoryCorrupt as error:
            self._keeper.damaged(error, readers)
        except HistoryError:
            pass  # the keeper reports it when it writes next; until then memory answers
        return work(None)

    def _pieces(self) -> Sequence[Piece]:
        return self._window.view()

    def _kept(self, kind: type[R]) -> Sequence[tuple[int, R]]:
        return self._backlog.kept(kind)

    def stats(self) -> HistoryStats:
        """Return what the history holds and costs."""
        window, keeper = self._window, self._keeper
        return self._ask(
            lambda session: survey(
                session, self._directory, window, self._settings, problem=keeper.problem, series=len(self._layout)
            )
        )

    @property
    def _scratch(self) -> Path | None:
        return self._directory if self._keeper.readers is not None else None

    def export(self, path: Path, since: float, until: float) -> None:
        self._keeper.flush(final=True)
        pieces = self._window.view()
        self._ask(lambda session: write_recording(path, pieces, session, since, until))
