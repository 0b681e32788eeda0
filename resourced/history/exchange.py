"""Recordings: some time of a history as one portable file, and how such a file is read.

A recording is a store like the daemon's own (one SQLite file, without what only a living one needs), so whatever can be
asked of a history can be asked of it.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Self

from resourced.errors import HistoryError
from resourced.history.columns import Columns, Piece, join
from resourced.history.questions import Questions, R, T
from resourced.history.reader import Readers, Session, StoredBlock
from resourced.history.settings import HistorySettings
from resourced.history.sources import find_sources
from resourced.history.stats import HistoryStats
from resourced.history.store import FILE_NAME, SCRATCH, Store, check_file, read_recent, translated
from resourced.history.survey import survey
from resourced.history.window import Window, run_key

_RECORDS = {
    "decision": "id, time, rule, unit, uid, user, data",
    "outcome": "key, decision, time, data",
    "event": "key, time, event, data",
}


def write_recording(path: Path, pieces: Sequence[Piece], session: Session | None, since: float, until: float) -> None:
    """Write a recording; see `History.export`.

    Raises:
        HistoryError: It can't be written, or there is such a file already.
    """
    if path.exists():
        raise HistoryError(f"{path} exists already; choose another name")
    with translated(), tempfile.TemporaryDirectory(dir=path.parent, prefix=SCRATCH) as place:
        store = Store(Path(place))
        try:
            _copy(store, pieces, session, since, until)
            store.connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            store.close()
        written = Path(place, FILE_NAME)
        with written.open("rb") as file:
            os.fsync(file.fileno())
        written.rename(path)


def _copy(store: Store, pieces: Sequence[Piece], session: Session | None, since: float, until: float) -> None:
    blocks: list[StoredBlock] = []
    memory: list[Piece] = []
    for source in find_sources(pieces, session, 0, since, math.nextafter(until, math.inf)):
        if isinstance(source.holder, StoredBlock):
            blocks.append(source.holder)
        else:
            memory.append(source.holder)
    for block in blocks:
        with store.transaction(durable=False):
            store.insert_block(
                block.tier,
                Columns(block.first, block.last, block.boot, block.count, block.start, block.end, (b"",) * 3, {}),
                block.directory.stamps,
                [
                    (store.number_of(series, block.end), data)
                    for number in block.directory.numbers
                    if (series := block.session.series(number)) and (data := block.data(number)) is not None
                ],
            )
    if session is not None:
        _copy_rows(store, session, since, until)
    for _, run in groupby(memory, run_key):
        store.write_block(join(list(run)))
    last = max((each.last for each in (*blocks, *memory)), default=-1)
    with store.transaction():
        store.connection.execute("UPDATE meta SET value = ? WHERE key = 'packed'", (last,))


def _copy_rows(store: Store, session: Session, since: float, until: float) -> None:
    with store.transaction(durable=False) as connection:
        tops = session.rows(
            "SELECT first, last, start, end, data FROM tops WHERE end >= ? AND start <= ? ORDER BY id", (since, until)
        )
        connection.executemany("INSERT INTO tops (first, last, start, end, data) VALUES (?, ?, ?, ?, ?)", tops)
        for table, columns in _RECORDS.items():
            statement = f"SELECT {columns} FROM {table} WHERE time >= ? AND time <= ?"  # noqa: S608 - from a constant
            rows = session.rows(statement, (since, until))
            marks = ", ".join("?" * (columns.count(",") + 1))
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608 - likewise


class Recording(Questions):
    """A recording in a file, which is only read; or the store of a daemon that is not running.

    Args:
        path: The file.

    Raises:
        HistoryError: It can't be read.
        HistoryCorrupt: It is no recording, or it is damaged.
    """

    def __init__(self, path: Path) -> None:
        check_file(path)
        self._path = path
        self._readers = Readers(path)
        self._recent = read_recent(path)
        with self._readers.session() as session:
            start, end = session.row("SELECT min(start), max(end) FROM block")
        if self._recent:
            start = min(self._recent[0].start, self._recent[0].start if start is None else start)
            end = max(self._recent[-1].end, self._recent[-1].end if end is None else end)
        self.start: float | None = start
        """Wall time of the first sample; None if there is none."""
        self.end: float | None = end
        """Wall time of the last."""

    def close(self) -> None:
        """Close the file."""
        self._readers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ask(self, work: Callable[[Session | None], T]) -> T:
        with self._readers.session() as session:
            return work(session)

    def _pieces(self) -> Sequence[Piece]:
        return self._recent

    @property
    def _scratch(self) -> Path | None:
        return None

    def export(self, path: Path, since: float, until: float) -> None:
        self._ask(lambda session: write_recording(path, self._recent, session, since, until))

    def stats(self) -> HistoryStats:
        """Return what the recording holds."""
        window = Window(HistorySettings())
        with self._readers.session() as session:
            (series,) = session.row("SELECT count(*) FROM series")
            found = survey(session, self._path.parent, window, HistorySettings(), problem=None, series=series)
        return replace(found, path=str(self._path), disk_bytes=self._path.stat().st_size, maximum_bytes=0)

    def _kept(self, kind: type[R]) -> Sequence[tuple[int, R]]:
        del kind
        return ()


def import_recording(path: Path, directory: Path) -> None:
    """Make a recording the store of a state directory that has none.

    Raises:
        HistoryError: There is a store already, or it can't be written.
        HistoryCorrupt: The file is no recording, or it is damaged.
    """
    check_file(path)
    target = directory / FILE_NAME
    if target.exists():
        raise HistoryError(f"{target} exists already; give a directory without a history")
    with translated():
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        shutil.copyfile(path, partial)
        partial.chmod(0o640)
        if os.geteuid() == 0:  # whoever runs the daemon owns the directory, and must be able to open what is in it
            owner = directory.stat()
            os.chown(partial, owner.st_uid, owner.st_gid)
        partial.rename(target)
