"""Disks that are full, files that are damaged, foreign or gone: sampling and answers go on, and people are told."""

import contextlib
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resourced.errors import HistoryError
from resourced.history import store
from resourced.history.store import FILE_NAME
from tests.history.fakes import AVAILABLE, START, Kit, decision


@contextlib.contextmanager
def full_disk(path: Path, room: int = 0) -> Iterator[None]:
    """Let the write-ahead log grow by so much, and no file beyond that."""
    log = path / f"{FILE_NAME}-wal"
    size = log.stat().st_size if log.exists() else 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.fill(100)
    kit.history._keeper._store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    with full_disk(tmp_path):
        for _ in range(40):
            kit.fill(50)
        kit.history.record(decision())
        assert not kit.history.flush()
        assert kit.events == ["store_unwritable"]
        assert len(kit.values()) == 2100
        assert kit.history.decisions() == [decision()]
        assert kit.history.stats().problem is not None

    kit.clock.up += 60
    kit.add(2101.0)
    assert kit.history.flush()

    assert kit.events == ["store_unwritable", "store_writable"]
    assert kit.history.stats().problem is None
    kit.reopen()
    assert list(kit.values().values()) == [float(n) for n in range(1, 2102)]
    assert kit.history.decisions() == [decision()]


def test_a_disk_that_fills_up_while_an_hour_is_packed_loses_nothing(tmp_path: Path) -> None:
    for room in (0, 1000, 5000, 20_000):
        directory = tmp_path / str(room)
        kit = Kit(directory)
        for n in range(3700):
            kit.add([float(n), n * 7.0 % 1013, n * 13.0 % 1009, n * n % 997.0])
            if n % 10 == 0:
                kit.history.flush()
        with full_disk(directory, room):
            kit.history.maintain()
            assert len(kit.values()) == 3700
        kit.clock.up += 60
        kit.add(1.0)
        kit.history.flush()
        kit.history.maintain()
        kit.reopen()
        assert len(kit.values()) == 3701
        assert kit.history.stats().tiers[0].blocks == 1


def test_memory_is_bounded_while_nothing_can_be_written(tmp_path: Path) -> None:
    kit = Kit(tmp_path, memory_limit_bytes=20_000, window_seconds=60.0)
    with full_disk(tmp_path):
        kit.fill(5000)
        stats = kit.history.stats()

        assert stats.lost_ticks > 0
        assert stats.memory_bytes < 60_000
        assert len(kit.values()) == 5000 - stats.lost_ticks
        assert max(kit.values().values()) == 5000


class FaultyConnection(sqlite3.Connection):
    """Fails once, at a statement counted down to."""

    until_fault = -1

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self._count()
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self._count()
        return super().executemany(*arguments)

    @staticmethod
    def _count() -> None:
        FaultyConnection.until_fault -= 1
        if FaultyConnection.until_fault == 0:
            raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("position", [*range(1, 40), *range(40, 200, 20)])
def test_no_statement_that_fails_loses_or_doubles_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **({"factory": FaultyConnection} | k)))
    kit = Kit(tmp_path)
    kit.clock.now += 86400 - 3600
    kit.fill(60)
    FaultyConnection.until_fault = position
    for n in range(8):
        kit.history.record(decision(n))
        kit.fill(20)
        kit.clock.now += 1200
        kit.clock.up += 1200
        kit.history.maintain()
    failed = FaultyConnection.until_fault <= 0
    FaultyConnection.until_fault = -1
    kit.clock.up += 60
    assert kit.history.flush()
    kit.history.maintain()

    wanted = [float(n) for n in range(1, 221)]
    for _ in range(2):
        assert list(kit.values().values()) == wanted
        assert len(kit.history.decisions()) == 8
        assert sum(kit.values(step=3600, aggregate="count").values()) == 220
        kit.reopen()
    assert failed
    assert "store_set_aside" not in kit.events


def harmed(path: Path, offset: int, length: int = 3000) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * length)


def set_aside(directory: Path) -> list[Path]:
    return sorted(directory.glob("history.db.damaged-*"))


def test_a_damaged_page_sets_the_store_aside_and_memory_goes_into_a_new_one(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    for n in range(3 * 3600):
        kit.add([float(n), n * 7.0 % 1013, n * 13.0 % 1009, n * n % 997.0])
        if n % 60 == 0:
            kit.history.flush()
    kit.history.maintain()
    kit.history.record(decision())
    kit.history.close()
    kit.history = kit.made()
    kit.add(5.0)
    path = tmp_path / FILE_NAME
    for offset in range(8000, path.stat().st_size - 4000, 8000):
        harmed(path, offset)

    values = kit.values()

    assert kit.events == ["store_set_aside"]
    assert max(values.values()) >= 5.0
    assert len(set_aside(tmp_path)) == 1
    kit.clock.up += 60
    kit.add(6.0)
    assert kit.history.flush()
    kit.history.maintain()
    kept = len(kit.values())
    kit.reopen()
    assert len(kit.values()) == kept
    assert kit.events == ["store_set_aside"]


@pytest.mark.parametrize("content", [b"not a database " * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_wrong_file_in_its_place_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)

    kit = Kit(tmp_path)
    kit.fill(20)
    kit.reopen()

    assert kit.events == ["store_set_aside"]
    assert [path.read_bytes() for path in set_aside(tmp_path)] == [content]
    assert len(kit.values()) == 20


def test_a_database_of_something_else_is_set_aside(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
        other.execute("CREATE TABLE theirs (x)")

    kit = Kit(tmp_path)

    assert kit.events == ["store_set_aside"]
    assert "not a store of resourced" in kit.reports[0][1]["reason"]
    with contextlib.closing(sqlite3.connect(set_aside(tmp_path)[0])) as other:
        assert other.execute("SELECT count(*) FROM theirs").fetchone() == (0,)


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()

    kit = Kit(tmp_path)
    kit.fill(10)

    assert kit.events == []


def test_a_store_of_a_newer_release_is_set_aside_and_not_touched(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.fill(10)
    keeper_store = kit.history._keeper._store
    assert keeper_store is not None
    keeper_store.connection.execute("PRAGMA user_version = 99")
    kit.history.close()
    before = (tmp_path / FILE_NAME).read_bytes()

    kit.history = kit.made()

    assert kit.events == ["store_set_aside"]
    assert "newer release" in kit.reports[0][1]["reason"]
    assert set_aside(tmp_path)[0].read_bytes() == before


def test_a_directory_in_its_place_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()

    kit = Kit(tmp_path)
    kit.fill(100)

    assert kit.events in (["store_unwritable"], ["store_set_aside"])
    assert len(kit.values()) == 100


def test_a_state_directory_that_can_not_be_made_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    kit = Kit(tmp_path / "file" / "state")
    kit.fill(100)

    assert kit.events == ["store_unwritable"]
    assert len(kit.values()) == 100
    assert kit.history.stats().disk_bytes == 0


def test_two_daemons_do_not_write_to_one_store(tmp_path: Path) -> None:
    one = Kit(tmp_path)
    one.fill(10)
    other = Kit(tmp_path)
    other.clock.now += 100
    other.fill(10)

    assert other.events == ["store_unwritable"]
    assert "another process" in other.reports[0][1]["reason"]
    assert len(other.values()) == 10
    one.history.close()
    other.clock.up += 60
    other.fill(10)
    assert other.events == ["store_unwritable", "store_writable"]
    assert len(other.values()) == 30
    other.reopen()
    assert len(other.values()) == 30


def test_a_store_that_is_deleted_is_made_anew_with_what_memory_holds(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.history.record(decision())
    kit.fill(1000)
    for path in tmp_path.glob("history.db*"):
        path.unlink()

    kit.fill(10)
    kit.clock.up += 60
    kit.fill(10)
    kit.history.maintain()

    assert kit.events == ["store_unwritable", "store_writable"]
    kit.reopen()
    assert len(kit.values()) == 1020
    assert kit.history.decisions() == [decision()]


def test_a_store_in_which_a_transaction_was_done_though_it_seemed_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = Kit(tmp_path)
    kit.fill(30)
    kit.clock.now += 3600
    kit.add(31.0)
    kit.history.flush()
    written = store.Store.write_block

    def fails(self: store.Store, *arguments: Any) -> None:
        written(self, *arguments)
        raise HistoryError("it can't be told")

    monkeypatch.setattr(store.Store, "write_block", fails)
    kit.history.maintain()
    monkeypatch.undo()
    kit.clock.up += 60
    kit.add(32.0)
    kit.history.flush()
    kit.history.maintain()

    assert len(kit.values()) == 32
    assert kit.history.stats().tiers[0].blocks == 1


@given(at=st.integers(0, 9), keep=st.floats(0, 1))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_loss_of_power_leaves_what_was_before(crashed: list[Path], tmp_path: Path, at: int, keep: float) -> None:
    """Pages of the write-ahead log that never reached the disk: the log is cut anywhere."""
    directory = tmp_path / f"{at}-{keep}"
    shutil.copytree(crashed[at], directory, dirs_exist_ok=True)
    wal = directory / f"{FILE_NAME}-wal"
    if wal.exists():
        with wal.open("r+b") as file:
            file.truncate(int(wal.stat().st_size * keep))

    kit = Kit(directory)

    values = list(kit.values().values())
    assert kit.events == []
    assert values == [float(n) for n in range(1, len(values) + 1)]
    assert sum(kit.values(step=3600, aggregate="count").values()) == len(values)
    kit.crash()


@given(database=st.integers(0, 9), log=st.integers(0, 9))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_log_of_another_moment_does_no_harm(crashed: list[Path], tmp_path: Path, database: int, log: int) -> None:
    directory = tmp_path / f"{database}-{log}"
    directory.mkdir(exist_ok=True)
    shutil.copyfile(crashed[database] / FILE_NAME, directory / FILE_NAME)
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(crashed[log] / f"{FILE_NAME}-wal", directory / f"{FILE_NAME}-wal")

    kit = Kit(directory)
    kit.clock.now = START + 9 * 86400
    kit.fill(20)
    values = list(kit.values().values())
    kit.history.maintain()

    assert len(set(values[:-20])) == len(values[:-20])
    assert set(values) <= {float(n) for n in range(1, 20_000)}
    kit.crash()


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return copies of a store's files taken while it was written to."""
    place = tmp_path_factory.mktemp("power")
    kit = Kit(place / "live")
    copies = []
    for number in range(10):
        kit.fill(700, flush_every=20)
        copies.append(place / str(number))
        shutil.copytree(place / "live", copies[-1])
    assert kit.values(AVAILABLE)
    kit.crash()
    return copies
