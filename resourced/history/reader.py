"""The reading side of a store: read-only connections, each question in one transaction, so that it sees one state."""

import contextlib
import json
import math
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resourced.errors import HistoryCorrupt
from resourced.history.blocks import PARTS_OF_A_BLOCK, Directory, read_head, unseal
from resourced.history.cells import Cells, decode_cells
from resourced.history.codec import decode_column
from resourced.history.numbering import series_of
from resourced.history.store import connected_uri, translated
from resourced.metrics import Selector, is_pattern
from resourced.series import Series

if TYPE_CHECKING:
    from resourced.history.arrays import Floats

_CONNECTIONS = 4
_CACHED_SERIES = 4096
_CACHE_KIB = 512


@dataclass(frozen=True, eq=False)
class StoredBlock:
    """A block of a store. It is usable as long as the session that it came from."""

    session: "Session"
    """Where its parts are read."""
    number: int
    """Key in the table."""
    tier: int
    """Seconds of a cell; 0 for single ticks."""
    first: int
    """Place of its first batch in the order of all batches."""
    last: int
    """Place of its last batch."""
    start: float
    """Smallest wall time."""
    end: float
    """Largest wall time; of cells, the end of the last."""
    count: int
    """Number of ticks or cells."""
    boot: str
    """Identity of the boot; empty if unknown, or if there are several."""

    @cached_property
    def directory(self) -> Directory:
        """What it holds, and where."""
        (head,) = self.session.row("SELECT head FROM block WHERE id = ?", (self.number,))
        return read_head(head)

    def names(self) -> Iterable[Series]:
        """Return the series that have values here."""
        return [series for number in self.directory.numbers if (series := self.session.series(number)) is not None]

    def own(self, which: int) -> "Floats":
        """Return a column that every tick has, see `batch`; of cells 0 is their start and 1 the batch behind them."""
        return decode_column(self.directory.stamps[which], self.count)

    def data(self, number: int) -> bytes | None:
        """Return the column of a series by its number, as it was written; None if it has none here."""
        place = self.directory.place(number)
        if place is None:
            return None
        part, offset, length = place
        return bytes(self.session.part(self.number * PARTS_OF_A_BLOCK + part)[offset : offset + length])

    def column(self, series: Series) -> "Floats | None":
        """Return the values of a series at single ticks, NaN for gaps; None if it has none here."""
        number = self.session.number(series)
        return None if number is None else self.column_of(number)

    def column_of(self, number: int) -> "Floats | None":
        """Return the same for the series with a number."""
        data = self.data(number)
        return None if data is None else decode_column(data, self.count)

    def cells(self, series: Series) -> Cells | None:
        """Return the cells of a series in a block of a tier; None if it has none here."""
        number = self.session.number(series)
        data = None if number is None else self.data(number)
        return None if data is None else decode_cells(data, self.count)


class Session:
    """One question: a transaction on a read-only connection.

    Args:
        connection: In a read transaction.
        names: Cache of series by number, shared by all sessions of one store.
    """

    def __init__(self, connection: sqlite3.Connection, names: "OrderedDict[int, Series] | None" = None) -> None:
        self._connection = connection
        self._names: OrderedDict[int, Series] = OrderedDict() if names is None else names
        self._numbers: dict[Series, int | None] = {}
        self._part: tuple[int, memoryview] | None = None
        values = dict(self.rows("SELECT key, value FROM meta"))
        self.identity = str(values.get("identity", ""))
        self.packed = int(values.get("packed", -1))

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a statement."""
        with translated():
            return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Return the first row of a statement.

        Raises:
            HistoryCorrupt: There is none.
        """
        with translated():
            found = self._connection.execute(statement, values).fetchone()
        if found is None:
            raise HistoryCorrupt("a row that the history points to is missing")
        return found

    def part(self, key: int) -> memoryview:
        """Return a part of a block; the one that was asked for last is kept."""
        if self._part is None or self._part[0] != key:
            self._part = key, unseal(self.row("SELECT data FROM part WHERE id = ?", (key,))[0])
        return self._part[1]

    def blocks(self, tier: int, start: float, end: float) -> list[StoredBlock]:
        """Return the blocks of a tier that overlap a time, in the order in which they were recorded."""
        rows = self.rows(
            "SELECT id, tier, first, last, start, end, count, boot FROM block"
            " WHERE tier = ? AND end >= ? AND start <= ? ORDER BY first, id",
            (tier, start, end),
        )
        return [StoredBlock(self, *row) for row in rows]

    def block(self, number: int) -> StoredBlock | None:
        """Return the block with a number, or None if it has gone."""
        columns = "id, tier, first, last, start, end, count, boot"
        rows = self.rows(f"SELECT {columns} FROM block WHERE id = ?", (number,))  # noqa: S608 - a constant
        return StoredBlock(self, *rows[0]) if rows else None

    def all_blocks(self, tier: int) -> list[StoredBlock]:
        """Return all blocks of a tier, in the order in which they were recorded."""
        return self.blocks(tier, -math.inf, math.inf)

    def floor(self, tier: int) -> int | None:
        """Return the place of the oldest batch that a tier still has; None if the tier is empty."""
        rows = self.rows("SELECT first FROM block WHERE tier = ? ORDER BY first LIMIT 1", (tier,))
        return int(rows[0][0]) if rows else None

    def rolled(self) -> int:
        """Return the place of the last batch that is in the tiers; -1 if there is none."""
        rows = self.rows("SELECT coalesce(max(last), -1) FROM block WHERE tier > 0")
        return int(rows[0][0])

    def number(self, series: Series) -> int | None:
        """Return the number of a series, or None if the store doesn't know it."""
        if series not in self._numbers:
            key = (series.metric, json.dumps(series.labels, separators=(",", ":")))
            rows = self.rows("SELECT id FROM series WHERE metric = ? AND labels = ?", key)
            self._numbers[series] = int(rows[0][0]) if rows else None
        return self._numbers[series]

    def series(self, number: int) -> Series | None:
        """Return the series with a number, or None if there is none."""
        found = self._names.get(number)
        if found is None:
            rows = self.rows("SELECT metric, labels FROM series WHERE id = ?", (number,))
            if not rows:
                return None
            found = series_of(*rows[0])
            self._names[number] = found
            while len(self._names) > _CACHED_SERIES:
                self._names.popitem(last=False)
        return found

    def matching(self, selectors: Iterable[Selector]) -> list[Series]:
        """Return the series that any selector matches, in order of their numbers."""
        found: dict[int, Series] = {}
        for selector in selectors:
            if selector.exact:
                series = Series(selector.name, selector.labels)
                if (number := self.number(series)) is not None:
                    found[number] = series
                continue
            pattern = is_pattern(selector.name)
            operator = "GLOB" if pattern else "="
            statement = f"SELECT id, metric, labels FROM series WHERE metric {operator} ?"  # noqa: S608 - one of two words
            for number, metric, labels in self.rows(statement, (selector.name,)):
                series = self._names.get(number) or series_of(metric, labels)
                if selector.matches(series.metric, series.labels):
                    found[number] = series
        for number, series in found.items():
            self._numbers[series] = number
        return [found[number] for number in sorted(found)]


class Readers:
    """Hands out sessions on one store; at most a few connections stay open.

    Args:
        path: The store's file.
        live: Whether this process writes it. A first connection is then made now: it can still be used when the file
            system has become read-only and the writing connection has gone.

    Raises:
        HistoryError: It can't be read now.
    """

    def __init__(self, path: Path, *, live: bool = False) -> None:
        self._path = path
        self._mode = "rw" if live else "ro"
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._names: OrderedDict[int, Series] = OrderedDict()
        self._closed = False
        if live:
            with translated():
                self._idle.append(_connected(path, self._mode))

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """Give a session that ends with the block.

        Raises:
            HistoryCorrupt: The store is damaged.
            HistoryError: It can't be read now.
        """
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        fresh = False
        try:
            with translated():
                connection = connection or _connected(self._path, self._mode)
                connection.execute("BEGIN")
            yield Session(connection, self._names)
            with translated():
                connection.execute("COMMIT")
            fresh = True
        finally:
            if connection is not None:
                self._give_back(connection, keep=fresh)

    def _give_back(self, connection: sqlite3.Connection, *, keep: bool) -> None:
        with self._lock:
            if keep and not self._closed and len(self._idle) < _CONNECTIONS:
                self._idle.append(connection)
                return
        with contextlib.suppress(sqlite3.Error):
            connection.close()

    def close(self) -> None:
        """Close all connections, those in use when their sessions end."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    connection = connected_uri(path, mode)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection
