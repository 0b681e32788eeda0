"""The numbers under which a store knows series and layouts."""

import json
import sqlite3
from collections.abc import Collection

from resourced.history.layout import Layout
from resourced.series import Series

_CACHED_SERIES = 8192
_SPARE_SECONDS = 2 * 86400.0


class Numbering:
    """Gives numbers to series and layouts, each for ever; used by the writing connection within transactions.

    Args:
        connection: The writing connection.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._series: dict[Series, int] = {}
        self._layouts: dict[int, Layout] = {}

    def of_series(self, series: Series, seen: float) -> int:
        """Return the number of a series, which it is given now if it has none.

        Args:
            series: The series.
            seen: Wall time at which it was there.
        """
        number = self._series.get(series)
        if number is not None:
            return number
        key = (series.metric, json.dumps(series.labels, separators=(",", ":")))
        row = self._connection.execute("SELECT id FROM series WHERE metric = ? AND labels = ?", key).fetchone()
        if row is None:
            statement = "INSERT INTO series (metric, labels, seen) VALUES (?, ?, ?)"
            row = (self._connection.execute(statement, (*key, seen)).lastrowid,)
        if len(self._series) >= _CACHED_SERIES:
            self._series.clear()
        self._series[series] = int(row[0])
        return int(row[0])

    def of_layout(self, layout: Layout, seen: float) -> int:
        """Return the number of a layout, which it is given now if it has none."""
        for number, known in self._layouts.items():
            if known is layout:
                return number
        packed = b"".join(self.of_series(each, seen).to_bytes(4, "little") for each in layout.series)
        row = self._connection.execute("SELECT id FROM layout WHERE series = ?", (packed,)).fetchone()
        if row is None:
            row = (self._connection.execute("INSERT INTO layout (series) VALUES (?)", (packed,)).lastrowid,)
        self._layouts[int(row[0])] = layout
        return int(row[0])

    def layout(self, number: int) -> Layout | None:
        """Return the layout with a number, or None if there is none."""
        if number in self._layouts:
            return self._layouts[number]
        row = self._connection.execute("SELECT series FROM layout WHERE id = ?", (number,)).fetchone()
        found = [self._read(each) for each in _numbers(row[0])] if row else [None]
        series = [each for each in found if each is not None]
        if len(series) < len(found):
            return None
        self._layouts[number] = Layout(series)
        return self._layouts[number]

    def _read(self, number: int) -> Series | None:
        row = self._connection.execute("SELECT metric, labels FROM series WHERE id = ?", (number,)).fetchone()
        return series_of(*row) if row else None

    def tidy(self, used: Collection[int], now: float) -> None:
        """Forget all layouts but those in use, and series of which nothing is left.

        Args:
            used: Numbers of the layouts that recent batches have.
            now: Wall time.
        """
        execute = self._connection.execute
        (oldest,) = execute("SELECT coalesce(min(start), ?) FROM block", (now,)).fetchone()
        for number, data in execute("SELECT id, series FROM layout").fetchall():
            if number in used:
                self._connection.executemany(
                    "UPDATE series SET seen = ? WHERE id = ?", [(now, each) for each in _numbers(data)]
                )
            else:
                execute("DELETE FROM layout WHERE id = ?", (number,))
        # the highest number stays, so that none is ever given again: those who read keep names by number
        statement = "DELETE FROM series WHERE seen < ? AND id < (SELECT max(id) FROM series)"
        execute(statement, (min(oldest, now) - _SPARE_SECONDS,))
        self._series.clear()
        self._layouts.clear()


def _numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def series_of(metric: str, labels: str) -> Series:
    """Return a series as it lies in the table."""
    return Series(metric, tuple((key, value) for key, value in json.loads(labels)))
