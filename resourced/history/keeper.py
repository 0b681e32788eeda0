"""Keeps the store: writes what is in memory, packs what is complete, removes what is too old, and survives what fails.

One step is one transaction. Steps are taken by one thread, between flushes, so that a long one delays a flush by no
more than itself, and sampling never.
"""

import contextlib
import shutil
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resourced.clock import Clock
from resourced.errors import HistoryCorrupt, HistoryError
from resourced.history.backlog import Backlog
from resourced.history.columns import join
from resourced.history.present import Present
from resourced.history.reader import Readers
from resourced.history.retention import retain
from resourced.history.rollup import roll
from resourced.history.settings import HistorySettings
from resourced.history.store import FILE_NAME, SCRATCH, Store
from resourced.history.window import Window

Report = Callable[[str, Mapping[str, Any]], None]

_RETRY_SECONDS = 60.0


class Keeper:
    """The writing side of the history. Its methods may be called from any thread; one works at a time.

    Args:
        directory: The state directory; None for memory only.
        window: Samples in memory.
        backlog: Records in memory.
        settings: What is kept.
        clock: Tells the time.
        report: Told of what people should know: event and fields.

    Attributes:
        readers: For questions to the store; None while there is no store.
        problem: Why nothing can be written now; None if it can, or if there is nothing to write to.
    """

    def __init__(
        self,
        directory: Path | None,
        window: Window,
        backlog: Backlog,
        *,
        settings: HistorySettings,
        clock: Clock,
        report: Report,
    ) -> None:
        self._directory = directory
        self._window = window
        self._backlog = backlog
        self._settings = settings
        self._clock = clock
        self._present = Present(clock)
        self._report = report
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._identity: str | None = None
        self._pack_at_once = False
        self._retry_at: float | None = None
        self.readers: Readers | None = None
        self.problem: str | None = None

    def open(self) -> None:
        """Open the store and read back what is in no block; what is in the way is set aside or waited for."""
        with self._lock:
            store = self._opened()
            for left in store.path.parent.glob(f"{SCRATCH}*") if store else ():
                shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        """Write what is in memory, and close the store."""
        with self._lock:
            self.flush(final=True)
            self._forget_readers()
            self._drop()

    def flush(self, *, final: bool = False) -> bool:
        """Write what is in memory.

        Args:
            final: Whether saved states are written as well, however recently they were.

        Returns:
            Whether everything is on disk now; True if there is none.
        """
        with self._lock:
            batches = self._window.close()
            if self._directory is None:
                self._trim()
                return True
            entries = self._backlog.waiting(self._clock.monotonic(), all_states=final)
            if not batches and not entries and self._store is not None:
                return True
            store = self._opened(now=final)
            if store is None:
                self._trim()
                return False
            batches = (
                self._window.close()
            )  # a store that was opened just now may number them anew, and want all records
            entries = self._backlog.waiting(self._clock.monotonic(), all_states=final)
            try:
                store.write(batches, entries)
            except HistoryError as error:
                self._failed(error)
                self._trim()
                return False
            if batches:
                self._window.written(batches[-1].first)
            self._backlog.written(entries, self._clock.monotonic())
            self._writable()
            return True

    def step(self) -> bool:
        """Do one piece of work that can wait, if there is one: pack, roll up, or remove.

        Returns:
            Whether something was done, so that more may be to do.
        """
        with self._lock:
            self._trim()
            group = self._window.next_join()
            if group:
                self._window.put(join(group))
                return True
            store = self._store
            if store is None:
                return False
            try:
                return self._pack(store) or self._roll(store) or self._retain(store)
            except HistoryError as error:
                self._failed(error)
                return False

    def _pack(self, store: Store) -> bool:
        run = self._window.next_run(self._now(), force=self._pack_at_once)
        if not run:
            self._pack_at_once = False
            return False
        columns = join(run)
        store.write_block(columns)
        self._window.packed(columns.last)
        return True

    def _roll(self, store: Store) -> bool:
        if not roll(store, self._now()):
            return False
        store.tidy(self._now())
        return True

    def _retain(self, store: Store) -> bool:
        present = self._present.look()
        removed = retain(store, self._settings, present if self._present.proven else None)
        if removed is None:
            return False
        if removed.before is not None:
            self._report("store_trimmed", {"before": _written(removed.before), "reason": removed.reason})
        return True

    def _now(self) -> float:
        newest = self._window.newest
        return self._clock.wall() if newest is None else newest

    def _trim(self) -> None:
        if self._directory is None:  # what goes from memory is gone
            self._window.trim(self._present.look(), stored=False)
        elif (newest := self._window.newest) is not None:
            self._window.trim(newest, stored=True)

    def _opened(self, *, now: bool = False) -> Store | None:
        if self._store is not None or self._directory is None:
            return self._store
        if not now and self._retry_at is not None and self._clock.monotonic() < self._retry_at:
            return None
        try:
            self._store = self._made(self._directory)
            readers = Readers(self._store.path, live=True)
        except HistoryError as error:
            self._failed(error)
            return None
        self._retry_at = None
        self._forget_readers()
        self.readers = readers
        return self._store

    def _made(self, directory: Path) -> Store:
        try:
            store = Store(directory)
            batches = store.batches() if store.identity != self._identity else []
        except HistoryCorrupt as error:
            self._set_aside(directory, str(error))
            store, batches = Store(directory), []
        if store.identity != self._identity:
            elsewhere = self._window.load(batches, store.following, store.packed)
            if self._identity is not None:
                self._backlog.rewrite()
            self._pack_at_once |= elsewhere
            self._identity = store.identity
        else:
            self._window.packed(store.packed)  # a transaction may have been done though it seemed to fail
        return store

    def damaged(self, error: HistoryCorrupt, readers: Readers | None) -> None:
        """Learn that the store is damaged: it is set aside and a new one is begun.

        Args:
            error: What was found.
            readers: Those that found it; if there are others by now, the store has been replaced already.
        """
        with self._lock:
            if readers is not None and self.readers is readers:
                self._failed(error)

    def fault(self, error: Exception) -> None:
        """Learn of an error that nobody foresaw: it is told, and the store is opened anew after a while."""
        with self._lock:
            self._failed(HistoryError(f"a fault in resourced: {type(error).__name__}: {error}"))

    def _failed(self, error: HistoryError) -> None:
        self._drop()
        if isinstance(error, HistoryCorrupt) and self._directory is not None:
            try:
                self._set_aside(self._directory, str(error))
            except HistoryError as second:
                error = second
            else:
                self._retry_at = None
                self._opened(now=True)
                return
        if self.problem is None:
            self._report("store_unwritable", {"reason": str(error)})
        self.problem = str(error)
        self._retry_at = self._clock.monotonic() + min(_RETRY_SECONDS, self._settings.flush_seconds)

    def _writable(self) -> None:
        if self.problem is not None:
            self.problem = None
            self._report("store_writable", {})

    def _forget_readers(self) -> None:
        if self.readers is not None:
            self.readers.close()
            self.readers = None

    def _drop(self) -> None:
        """Close the writing side; what is on disk can still be read."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _set_aside(self, directory: Path, reason: str) -> None:
        """Give a store that can't be used another name.

        Raises:
            HistoryError: That can't be done.
        """
        self._forget_readers()
        stamp = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y%m%dT%H%M%SZ")
        for number in range(1000):
            name = f"{FILE_NAME}.damaged-{stamp}" + (f"-{number}" if number else "")
            if not any((directory / f"{name}{end}").exists() for end in ("", "-wal", "-shm")):
                break
        else:
            raise HistoryError(f"there are too many damaged stores in {directory}; delete some")
        try:
            for end in ("-wal", "-shm", ""):
                with contextlib.suppress(FileNotFoundError):
                    (directory / f"{FILE_NAME}{end}").replace(directory / f"{name}{end}")
        except OSError as error:
            raise HistoryError(f"{directory / FILE_NAME} is damaged and can't be renamed: {error.strerror}") from error
        self._report("store_set_aside", {"path": str(directory / name), "reason": reason})


def _written(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
