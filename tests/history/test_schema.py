"""Stores of earlier releases become today's, or stay as they were."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from resourced.errors import HistoryCorrupt
from resourced.history import Recording, schema, store
from resourced.history.store import FILE_NAME
from tests.history.fakes import START, Kit, decision, event, outcome

FIRST = Path(__file__).parent / "schema-1.sql"
"""A store of the first schema as text: ten minutes every ten seconds, packed and rolled up, then ten more in slots.

Never changed: it is what is on the disks of those who have it.
"""

MIDNIGHT = START + 86400


def store_of_the_first_schema(directory: Path) -> None:
    with contextlib.closing(sqlite3.connect(directory / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.executescript(FIRST.read_text())
        connection.execute("PRAGMA application_id = 0x72737264")
        connection.execute("PRAGMA user_version = 1")


def version(directory: Path) -> int:
    with contextlib.closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found


def test_a_store_of_the_first_schema_is_read_and_goes_on(tmp_path: Path) -> None:
    store_of_the_first_schema(tmp_path)

    kit = Kit(tmp_path)
    kit.clock.now = MIDNIGHT + 700
    kit.fill(10)

    assert kit.events == []
    values = kit.values()
    assert list(values.items())[:120] == [(MIDNIGHT - 600 + 10.0 * n, float(n)) for n in range(1, 121)]
    assert len(values) == 120 + 10
    assert kit.history.decisions() == [decision()]
    assert kit.history.outcomes(decision().id) == [outcome()]
    assert kit.history.events() == [event()]
    assert kit.history.load_state("policy") == "{}"
    assert kit.values(step=60.0, aggregate="count", end=MIDNIGHT)[MIDNIGHT - 60] == 6
    kit.history.close()
    assert version(tmp_path) == schema.VERSION


def shape(directory: Path) -> set[tuple[str, str | None]]:
    with contextlib.closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        return set(connection.execute("SELECT name, sql FROM sqlite_schema"))


def test_a_store_of_the_first_schema_becomes_like_a_new_one(tmp_path: Path) -> None:
    for directory in (old := tmp_path / "old", new := tmp_path / "new"):
        directory.mkdir()
    store_of_the_first_schema(old)
    for directory in (old, new):
        Kit(directory).history.close()

    assert shape(old) == shape(new)
    with contextlib.closing(sqlite3.connect(old / FILE_NAME)) as connection:
        plan = "EXPLAIN QUERY PLAN SELECT key, data FROM outcome WHERE time >= 1 ORDER BY time DESC LIMIT 9"
        assert [row[-1] for row in connection.execute(plan)] == [
            "SEARCH outcome USING INDEX outcome_time (time>?)"
        ]  # and nothing is sorted


def test_a_recording_of_the_first_schema_is_read_as_it_is(tmp_path: Path) -> None:
    store_of_the_first_schema(tmp_path)
    before = (tmp_path / FILE_NAME).read_bytes()

    with Recording(tmp_path / FILE_NAME) as recording:
        assert recording.decisions() == [decision()]
        assert recording.outcomes_since(0) == [outcome()]
        assert list(recording.query(["memory.available"], start=0, end=4e9).times)

    assert (tmp_path / FILE_NAME).read_bytes() == before


def _adds_a_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE later (x)")
    connection.execute("INSERT INTO later SELECT count(*) FROM block")


def _fails(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half (x)")
    raise sqlite3.OperationalError("disk I/O error")


def with_steps(monkeypatch: pytest.MonkeyPatch, *more: Callable[[sqlite3.Connection], None]) -> None:
    steps = (*schema.MIGRATIONS, *more)
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    monkeypatch.setattr(schema, "VERSION", len(steps))
    monkeypatch.setattr(store, "VERSION", len(steps))


def test_a_step_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of_the_first_schema(tmp_path)
    with_steps(monkeypatch, _adds_a_table)

    for _ in range(2):
        kit = Kit(tmp_path)
        keeper_store = kit.history._keeper._store
        assert keeper_store is not None
        assert keeper_store.connection.execute("SELECT x FROM later").fetchall() == [(3,)]
        assert kit.events == []
        assert len(kit.values()) == 120
        kit.history.close()
    assert version(tmp_path) == len(schema.MIGRATIONS)


def test_a_step_that_fails_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of_the_first_schema(tmp_path)
    with_steps(monkeypatch, _adds_a_table, _fails)

    kit = Kit(tmp_path)
    kit.clock.now = MIDNIGHT + 700
    kit.fill(10)
    assert kit.events == ["store_unwritable"]
    assert len(kit.values()) == 10
    kit.crash()

    assert version(tmp_path) == 1
    monkeypatch.undo()
    again = Kit(tmp_path)
    assert again.events == []
    assert len(again.values()) == 120


def test_a_recording_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    store_of_the_first_schema(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(HistoryCorrupt, match="newer release"):
        Recording(tmp_path / FILE_NAME)
