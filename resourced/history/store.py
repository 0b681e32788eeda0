"""The store on disk: one SQLite file in WAL mode, written by one connection.

Everything that belongs together is one transaction: a flush; a block with the mark that says that its batches are in
it. After an error the connection is closed and made anew, so that nothing in memory can differ from the file.

A flush of samples is synchronised with the disk every third time and whenever records (a decision) are in it: a crash
of the daemon loses nothing that was flushed, a loss of power at most half a minute of samples and no decision.
"""

import contextlib
import fcntl
import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from resourced.errors import HistoryCorrupt, HistoryError
from resourced.history.batch import Batch
from resourced.history.blocks import PARTS_OF_A_BLOCK, write_block
from resourced.history.columns import Columns
from resourced.history.numbering import Numbering
from resourced.history.records import Entry, write_entry
from resourced.history.schema import APPLICATION_ID, PAGE_BYTES, READABLE, VERSION, migrate
from resourced.history.slots import Record, from_slots, to_slots
from resourced.series import Series

FILE_NAME = "history.db"
SCRATCH = ".resourced-"
"""How the names of directories begin in which recordings are made; what is left of them after a crash is removed."""
_CHECKPOINT_PAGES = 4096
WAL_BYTES = _CHECKPOINT_PAGES * (PAGE_BYTES + 24)
"""Size to which the write-ahead log grows, unless a reader holds it open."""

_SYNC_EVERY = 3
_EXCLUSIVE = "unix-excl"
"""The way SQLite reaches the system's files: it keeps the index of the write-ahead log in memory of this process, whose
connections all share it, instead of in a mapped file beside it. The file's pages change with every flush and the kernel
writes them back each half minute: a third of all bytes written (125 against 80 MB a day, flushes alone, 300 series).
Other processes find the store locked while the daemon runs; it is theirs when it has ended, and exports always are.
"""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def translate(error: sqlite3.Error) -> HistoryError:
    """Return our error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _DAMAGED:
        return HistoryCorrupt(str(error))
    return HistoryError(str(error))


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's and the system's errors into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error) from error
    except OSError as error:
        raise HistoryError(error.strerror or str(error)) from error
    except (ValueError, OverflowError, TypeError) as error:  # what SQLite can't take
        raise HistoryError(f"{type(error).__name__}: {error}") from error


class Store:
    """The writing side of a store. Used by one thread at a time.

    Args:
        directory: The directory; made if it doesn't exist.

    Attributes:
        identity: Of the store; another file has another.
        packed: The number up to which all batches are in blocks; -1 for none.

    Raises:
        HistoryCorrupt: What is in the store's place is damaged, or not a store, or of a newer release.
        HistoryError: It can't be opened for writing now.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        self._layout_used: dict[int, int] = {}
        self._flushes = 0
        with translated():
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = _locked(directory / "history.lock")
            try:
                self._connection = _connected(self.path)
            except BaseException:
                os.close(self._lock)
                raise
        try:
            with translated():
                self._numbering = Numbering(self._connection)
                self._inode = self.path.stat().st_ino
                self._read_marks()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; what was written stays."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        with contextlib.suppress(OSError):
            os.close(self._lock)

    @property
    def connection(self) -> sqlite3.Connection:
        """Return the writing connection, in autocommit mode."""
        return self._connection

    def _read_marks(self) -> None:
        values = dict(self._connection.execute("SELECT key, value FROM meta").fetchall())
        if "identity" not in values:
            values = {"identity": uuid.uuid4().hex, "packed": -1}
            with self.transaction():
                self._connection.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
        self.identity = str(values["identity"])
        self.packed = int(values["packed"])
        rows = self._connection.execute("SELECT id, data FROM slot ORDER BY id")
        self.recent, self._taken = from_slots(rows, self.packed)
        (slots,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM slot").fetchone()
        self._free = sorted(set(range(1, slots + 1)) - set(self._taken), reverse=True)
        self._slots = slots

    def batches(self) -> list[Batch]:
        """Return the batches that are in no block, oldest first."""
        self._layout_used |= {record.first: record.layout for record in self.recent}
        found = _batches(self.recent, self._numbering)
        self.recent = []
        return found

    @property
    def following(self) -> int:
        """Return the number that the next batch will have, as far as the file tells."""
        return max(self.packed, *self._taken.values(), -1) + 1 if self._taken else self.packed + 1

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Do all or nothing.

        Args:
            durable: Whether it must survive a loss of power.

        Raises:
            HistoryError: Nothing was done.
        """
        connection = self._connection
        with translated():
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def write(self, batches: Sequence[Batch], entries: Sequence[Entry]) -> None:
        """Write batches and records.

        Raises:
            HistoryError: Nothing was written; the store must be opened anew.
        """
        with translated():
            if self.path.stat().st_ino != self._inode:
                raise HistoryError("the store's file was replaced")
        self._flushes += 1
        # A saved state is worth no more than the samples that it came from: it waits for their turn.
        records = any(not isinstance(entry.item, tuple) for entry in entries)
        with self.transaction(durable=records or self._flushes % _SYNC_EVERY == 0) as connection:
            for batch in batches:
                self._write_batch(batch)
            for entry in entries:
                write_entry(connection, entry)

    def _write_batch(self, batch: Batch) -> None:
        record = Record(
            batch.first,
            self._numbering.of_layout(batch.layout, batch.end),
            batch.boot,
            batch.count,
            batch.start,
            batch.end,
            batch.body,
            batch.tops,
        )
        self._layout_used[batch.first] = record.layout
        for data in to_slots(record):
            if self._free:
                slot = self._free.pop()
                self._connection.execute("UPDATE slot SET data = ? WHERE id = ?", (data, slot))
            else:
                self._slots += 1
                slot = self._slots
                self._connection.execute("INSERT INTO slot VALUES (?, ?)", (slot, data))
            self._taken[slot] = batch.first

    def write_block(self, columns: Columns) -> None:
        """Write an hour and, in the same transaction, that its batches are in it.

        Args:
            columns: All pieces of the hour.
        """
        with self.transaction() as connection:
            numbered = [(self._numbering.of_series(series, columns.end), data) for series, data in columns.data.items()]
            self.insert_block(0, columns, columns.stamps, numbered)
            connection.executemany(
                "INSERT INTO tops (first, last, start, end, data) VALUES (?, ?, ?, ?, ?)",
                [(columns.first, columns.last, columns.start, columns.end, tops) for tops in columns.tops_blobs],
            )
            connection.execute("UPDATE meta SET value = ? WHERE key = 'packed'", (columns.last,))
            connection.executemany(
                "UPDATE series SET seen = ? WHERE id = ? AND seen < ?",
                [(columns.end, number, columns.end) for number, _ in numbered],
            )
        self.packed = columns.last
        freed = [slot for slot, first in self._taken.items() if first <= columns.last]
        for slot in freed:
            del self._taken[slot]
        self._free = sorted([*self._free, *freed], reverse=True)

    def insert_block(
        self, tier: int, about: Columns, stamps: Sequence[bytes], columns: Sequence[tuple[int, bytes]], samples: int = 0
    ) -> int:
        """Insert one block within a transaction and return its number."""
        head, parts = write_block(stamps, columns)
        size = len(head) + sum(map(len, parts))
        samples = samples or about.count * len(columns)
        cursor = self._connection.execute(
            "INSERT INTO block (tier, first, last, start, end, count, boot, bytes, samples, head)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                tier,
                about.first,
                about.last,
                about.start,
                about.end,
                about.count,
                about.boot,
                size,
                samples,
                head,
            ),
        )
        number = cursor.lastrowid or 0
        self._connection.executemany(
            "INSERT INTO part VALUES (?, ?)", [(number * PARTS_OF_A_BLOCK + n, part) for n, part in enumerate(parts)]
        )
        return number

    def number_of(self, series: Series, seen: float) -> int:
        """Return the number of a series, which it is given now if it has none; within a transaction."""
        return self._numbering.of_series(series, seen)

    def tidy(self, now: float) -> None:
        """Forget layouts of which no recent batch is left, and series that nothing tells of any more.

        Args:
            now: Wall time.
        """
        self._layout_used = {first: n for first, n in self._layout_used.items() if first > self.packed}
        with self.transaction(durable=False):
            self._numbering.tidy(set(self._layout_used.values()), now)

    def used_bytes(self) -> int:
        """Return the bytes that the store holds, without pages that are free and with what waits in the WAL."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int(pages - free) * PAGE_BYTES


def _batches(records: Sequence[Record], numbering: Numbering) -> list[Batch]:
    """Return records as batches, without those whose layout the store has forgotten."""
    return [
        Batch(each.first, layout, each.boot, each.count, each.start, each.end, each.body, each.tops)
        for each in records
        if (layout := numbering.layout(each.layout)) is not None
    ]


def read_recent(path: Path) -> list[Batch]:
    """Return the batches of a store that are in no block, oldest first.

    Raises:
        HistoryError: It can't be read now.
    """
    with translated():
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5, isolation_level=None)
        try:
            connection.execute("BEGIN")
            (packed,) = connection.execute("SELECT value FROM meta WHERE key = 'packed'").fetchone() or (-1,)
            records, _ = from_slots(connection.execute("SELECT id, data FROM slot ORDER BY id"), int(packed))
            return _batches(records, Numbering(connection))
        finally:
            connection.close()


def _locked(path: Path) -> int:
    """Return a descriptor that holds the directory's lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise HistoryError(f"another process writes the history in {path.parent}") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection to a store of today's schema."""
    new = not path.exists() or path.stat().st_size == 0
    path.touch(mode=0o640)
    connection = connected_uri(path, "rw")
    try:
        if new:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        else:
            _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.execute("PRAGMA cache_size = -1024")
        connection.execute("PRAGMA temp_store = MEMORY")
        # some distributions overwrite what is deleted: at 300 series that writes 16 MB a day once ticks begin to go
        connection.execute("PRAGMA secure_delete = OFF")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connected_uri(path: Path, mode: str) -> sqlite3.Connection:
    """Return a connection of this process to its own store.

    Args:
        path: The file.
        mode: "rw" to share the store with the connection that writes; "ro" for a file that nobody writes.
    """
    uri = f"file:{quote(str(path))}?mode={mode}" + (f"&vfs={_EXCLUSIVE}" if mode == "rw" else "")
    return sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None, check_same_thread=False)


def check_file(path: Path) -> None:
    """Check that a file is a store that this release can read.

    Raises:
        HistoryCorrupt: It is not.
        HistoryError: It can't be read.
    """
    with translated():
        if not path.is_file():
            raise HistoryError(f"there is no file {path}")
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            _check(connection)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        finally:
            connection.close()
    if version < READABLE:
        raise HistoryError(f"{path} has schema {version}; start the daemon on a copy of it to bring it to {VERSION}")


def _check(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and tables:
        raise HistoryCorrupt("it is a SQLite database, but not a store of resourced")
    if version > VERSION:
        raise HistoryCorrupt(f"it has schema {version}, of a newer release; this one knows schemas up to {VERSION}")
