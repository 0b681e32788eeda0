"""What is remembered over flushes, packing, restarts and without a disk."""

from dataclasses import replace
from pathlib import Path

import pytest

from resourced.decision import Scope
from resourced.history import History, HistorySettings
from tests.history.fakes import AVAILABLE, LAYOUT, START, SWITCHES, FakeClock, Kit, decision, event, outcome
from tests.policy import fakes as machines


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path / "state")


def test_a_sample_can_be_asked_for_at_once(kit: Kit) -> None:
    time = kit.add([1.0, 2.0, None, 4.0])

    table = kit.history.query(["*"], start=time - 1, end=time)

    assert list(table.times) == [time]
    assert {series: list(values) for series, values in table.series.items()} == {
        LAYOUT[0]: [1.0],
        LAYOUT[1]: [2.0],
        LAYOUT[3]: [4.0],
    }


def test_what_was_flushed_survives_a_kill(kit: Kit) -> None:
    kit.add(1.0)
    kit.add(2.0)
    assert kit.history.flush()
    kit.add(3.0)

    kit.reopen()

    assert list(kit.values().values()) == [1.0, 2.0]
    assert kit.reports == []


def test_values_are_read_from_the_snapshot_by_the_catalogue(kit: Kit) -> None:
    snapshot = replace(
        machines.snapshot(5.0), memory=machines.memory(total_bytes=100, available_bytes=40), interval_seconds=1.0
    )

    kit.history.append(snapshot)

    assert kit.values(AVAILABLE) == {snapshot.time: 40.0}


def test_hours_are_packed_and_days_rolled_up(kit: Kit) -> None:
    kit.clock.now = START + 86400 - 2 * 3600
    kit.fill(3 * 3600 + 60)
    kit.history.maintain()

    stats = kit.history.stats()

    assert [(tier.resolution_seconds, tier.blocks, tier.samples) for tier in stats.tiers] == [
        (0, 3, 3 * 3 * 3600 - 3),
        (60, 1, 3 * 120),
        (3600, 1, 3 * 2),
    ]
    assert stats.bytes_per_sample is not None
    assert stats.bytes_per_sample < 1
    assert (stats.oldest, stats.newest) == (START + 86400 - 7200, START + 86400 + 3660)
    assert stats.series == 4
    assert stats.lost_ticks == 0
    assert stats.problem is None
    assert len(kit.values()) == 3 * 3600 + 60
    kit.reopen()
    assert len(kit.values()) == 3 * 3600 + 60


def test_one_hour_is_all_that_memory_keeps_of_what_is_packed(kit: Kit) -> None:
    kit.fill(4 * 3600)
    kit.history.maintain()

    pieces = kit.history._window.view()

    assert pieces[0].end >= kit.clock.now - 3600
    assert pieces[-1].end - pieces[0].start >= 3500
    assert kit.history.stats().memory_bytes < 200_000


def test_without_a_directory_the_window_is_all_that_is_known() -> None:
    kit = Kit(None, window_seconds=600.0)
    kit.history.record(decision())
    kit.fill(2000)

    assert 600 <= len(kit.values()) <= 1000
    assert kit.history.decisions() == [decision()]
    stats = kit.history.stats()
    assert (stats.path, stats.disk_bytes, stats.tiers, stats.bytes_per_day) == (None, 0, (), None)
    assert kit.history.flush()
    kit.history.close()


def test_records_are_found_before_and_after_they_are_written(kit: Kit) -> None:
    user = replace(decision().target, scope=Scope.USER, name="ada", unit=None, uid=1001)  # type: ignore[type-var]
    items = [decision(1), decision(2, rule="other"), decision(3, target=user), decision(4, target=None)]
    for item in items:
        kit.history.record(item)
    refused = outcome(1, time=START, result="refused")
    for done in (outcome(1), refused, outcome(4, time=START + 9)):
        kit.history.record(done)
    kit.history.record(event(7))

    for _ in range(2):
        ask = kit.history
        assert ask.decisions() == items[::-1]
        assert ask.decisions(rule="other") == [items[1]]
        assert ask.decisions(unit="job.service") == [items[1], items[0]]
        assert ask.decisions(user="1000") == [items[1], items[0]]
        assert ask.decisions(user="ada") == [items[2]]
        assert ask.decisions(user="nobody-of-this-name") == []
        assert ask.decisions(since=START + 2, until=START + 3) == [items[2], items[1]]
        assert ask.decisions(limit=1) == [items[3]]
        assert ask.decision(items[2].id) == items[2]
        assert ask.decision("none") is None
        assert [each.result for each in ask.outcomes(items[0].id)] == ["refused", "done"]
        assert ask.outcomes(items[1].id) == []
        assert ask.outcomes_since(START) == [outcome(4, time=START + 9), outcome(1), refused]
        assert ask.outcomes_since(START + 1) == [outcome(4, time=START + 9), outcome(1)]
        assert ask.outcomes_since(START, limit=1) == [outcome(4, time=START + 9)]
        assert ask.events() == [event(7)]
        assert ask.events(since=START + 8) == []
        kit.history.flush()
        kit.reopen()


def test_a_record_of_a_later_release_is_read_as_far_as_it_is_known(kit: Kit) -> None:
    kit.history.record(decision())
    kit.history.flush()
    store = kit.history._keeper._store
    assert store is not None
    store.connection.execute("UPDATE decision SET data = json_set(data, '$.mood', 'grim')")

    kit.reopen()

    assert kit.history.decisions() == [decision()]


def test_a_saved_state_comes_back(kit: Kit) -> None:
    assert kit.history.load_state("judge") is None
    kit.history.save_state("judge", "{}")
    assert kit.history.load_state("judge") == "{}"
    kit.history.flush()
    kit.history.save_state("judge", '{"newer": 1}')
    kit.history.flush()

    kit.reopen()

    assert kit.history.load_state("judge") == '{"newer": 1}'
    assert kit.history.load_state("other") is None


def test_states_that_change_all_the_time_are_written_once_a_minute(kit: Kit) -> None:
    keeper = kit.history._keeper
    written = []
    for second in range(180):
        kit.add(1.0)
        kit.history.save_state("judge", str(second))
        keeper.flush()
        store = keeper._store
        assert store is not None
        written.append(store.connection.execute("SELECT data FROM state").fetchone()[0])

    assert sorted(set(written), key=int) == ["0", "60", "120"]


def test_only_records_are_brought_to_the_disk_at_once(kit: Kit) -> None:
    kit.fill(1)
    kit.history.flush()
    store = kit.history._keeper._store
    assert store is not None
    said: list[str] = []
    store.connection.set_trace_callback(said.append)

    kit.add(1.0)
    kit.history.save_state("judge", "{}")
    kit.history.flush()
    assert "PRAGMA synchronous = NORMAL" in said
    assert "PRAGMA synchronous = FULL" not in said

    kit.history.record(decision())
    kit.history.flush()
    assert "PRAGMA synchronous = FULL" in said


def test_a_restart_of_the_daemon_goes_on_in_the_same_hour(kit: Kit) -> None:
    for _ in range(5):
        kit.fill(60)
        kit.reopen()
    kit.clock.now += 3600
    kit.fill(1)
    kit.history.maintain()

    assert kit.history.stats().tiers[0].blocks == 1
    assert len(kit.values()) == 301


def test_another_boot_begins_another_block(kit: Kit) -> None:
    kit.fill(60)
    kit.boot = "another"
    kit.fill(60)
    kit.clock.now += 3600
    kit.fill(1)
    kit.history.maintain()

    assert kit.history.stats().tiers[0].blocks == 2
    assert len(kit.values()) == 121


def test_a_clock_that_is_set_back_overwrites_nothing(kit: Kit) -> None:
    kit.fill(2 * 3600)
    kit.clock.now -= 3600
    kit.fill(2 * 3600)
    kit.history.maintain()
    kit.clock.now -= 86400
    kit.fill(600)
    kit.history.maintain()

    table = kit.history.query(["memory.available"], start=0, end=4e9)
    column = table.series[AVAILABLE]

    assert list(table.times) == sorted(table.times)
    assert sorted(value for value in column if value is not None) == [float(n) for n in range(1, 4 * 3600 + 601)]
    per_hour = kit.values(step=3600, aggregate="count")
    assert sum(per_hour.values()) == 4 * 3600 + 600


def test_a_series_that_is_gone_can_still_be_asked_for(kit: Kit) -> None:
    kit.fill(3600)
    for _ in range(3700):
        kit.add([1.0], layout=(SWITCHES,))
    kit.history.flush()
    kit.history.maintain()

    assert len(kit.values(AVAILABLE)) == 3600
    assert len(kit.values(SWITCHES)) == 7300


def test_names_of_layouts_and_series_do_not_pile_up(tmp_path: Path) -> None:
    from resourced.series import Series  # noqa: PLC0415 - only here

    kit = Kit(tmp_path, raw_seconds=86400.0, minute_seconds=86400.0, hour_seconds=86400.0)
    for day in range(12):
        kit.clock.up += START + day * 86400 - kit.clock.now
        kit.clock.now = START + day * 86400
        layout = (AVAILABLE, Series("system.network.io", (("network.interface.name", f"veth{day}"),)))
        for _ in range(10):
            kit.add(1.0, layout=layout)
        kit.history.flush()
        kit.history.maintain()
    store = kit.history._keeper._store
    assert store is not None
    (series,) = store.connection.execute("SELECT count(*) FROM series").fetchone()
    (layouts,) = store.connection.execute("SELECT count(*) FROM layout").fetchone()

    assert series <= 6
    assert layouts <= 3
    assert max(kit.values()) == START + 11 * 86400 + 10


def test_its_own_thread_writes_decisions_at_once(tmp_path: Path) -> None:
    with History(tmp_path, settings=HistorySettings(), clock=FakeClock(), report=lambda *_: None) as history:
        history.record(decision())
        while history._backlog.urgent:
            pass
        with History(None, clock=FakeClock(), report=lambda *_: None):
            pass

    other = Kit(tmp_path)
    assert other.history.decisions() == [decision()]


def test_the_end_writes_what_is_in_memory(kit: Kit) -> None:
    kit.fill(3)
    kit.add(9.0)
    kit.history.save_state("judge", "last")

    kit.history.close()

    kit.history = kit.made()
    assert list(kit.values().values()) == [1.0, 2.0, 3.0, 9.0]
    assert kit.history.load_state("judge") == "last"
    assert {path.name for path in (kit.directory or Path()).iterdir()} >= {"history.db", "history.lock"}
