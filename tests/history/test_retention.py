"""What goes, and when: by age and by size, the oldest first, and the disk gets its space back."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from resourced.history.store import FILE_NAME
from resourced.snapshot import Health
from resourced.snapshot.processes import Processes
from tests.api.fakes import process
from tests.history.fakes import START, Kit, decision, event, outcome

DAY = 86400.0


def noise(kit: Kit, hours: int, *, passed: float = 10.0) -> None:
    dice = np.random.default_rng(5)
    for n in range(int(hours * 3600 / passed)):
        kit.add(list(dice.random(4)), passed=passed)
        if n % 36 == 0:
            kit.history.flush()
            kit.history.maintain()


def test_each_tier_is_kept_for_its_own_time(tmp_path: Path) -> None:
    kit = Kit(tmp_path, raw_seconds=DAY, minute_seconds=3 * DAY, hour_seconds=5 * DAY)
    noise(kit, 24 * 9, passed=60.0)

    ages = [kit.clock.now - (tier.start or 0) for tier in kit.history.stats().tiers]

    assert DAY - 3600 <= ages[0] <= DAY + 3600
    assert 3 * DAY - 3600 <= ages[1] <= 4 * DAY + 3600
    assert 5 * DAY - 3600 <= ages[2] <= 6 * DAY + 3600
    assert kit.events == []


def test_records_are_kept_for_their_own_time(tmp_path: Path) -> None:
    kit = Kit(tmp_path, decisions_seconds=10 * DAY, events_seconds=DAY)
    for n in range(250):
        kit.history.record(decision(n))
        kit.history.record(outcome(n))
        kit.history.record(event(n))
    kit.history.record(decision(5_000_000, time=START + 9 * DAY))
    kit.history.flush()
    kit.reopen()

    kit.clock.now = START + 5 * DAY
    kit.prove()
    assert len(kit.history.decisions(limit=1000)) == 251
    assert kit.history.events() == []
    kit.clock.now = START + 11 * DAY
    kit.prove()
    assert [each.time for each in kit.history.decisions(limit=1000)] == [START + 9 * DAY]
    assert kit.history.outcomes(decision(1).id) == []


def test_a_store_that_is_too_large_loses_its_oldest_ticks_and_says_so(tmp_path: Path) -> None:
    kit = Kit(tmp_path, max_bytes=6_000_000)
    noise(kit, 40, passed=2.0)
    kit.history.maintain()

    stats = kit.history.stats()
    store = kit.history._keeper._store
    assert store is not None
    assert store.used_bytes() <= 6_000_000
    assert stats.tiers[0].start is not None
    assert stats.tiers[0].start > START + 3600
    assert stats.tiers[1].start == START
    assert set(kit.events) == {"store_trimmed"}
    assert kit.reports[0][1]["before"] < kit.reports[-1][1]["before"]
    assert "are allowed" in kit.reports[0][1]["reason"]
    counted = kit.values(step=3600.0, aggregate="count", start=START, end=kit.clock.now + 1)
    assert sum(counted.values()) == 40 * 1800
    kit.crash()
    on_disk = sum(path.stat().st_size for path in tmp_path.glob(f"{FILE_NAME}*"))
    assert on_disk <= 6_500_000


def test_free_pages_go_back_in_bounded_steps(tmp_path: Path) -> None:
    kit = Kit(tmp_path, raw_seconds=20 * 3600.0)
    noise(kit, 26, passed=2.0)
    store = kit.history._keeper._store
    assert store is not None
    before = store.connection.execute("PRAGMA page_count").fetchone()[0]
    kit.clock.now += 2 * DAY
    kit.history.maintain()
    kit.add(1.0, passed=3600.0)
    kit.history.flush()

    free = []
    while kit.history._keeper.step():
        free.append(store.connection.execute("PRAGMA freelist_count").fetchone()[0])
    after = store.connection.execute("PRAGMA page_count").fetchone()[0]

    assert after < before * 0.7
    assert free[-1] <= 512
    assert max(earlier - later for earlier, later in pairwise(free)) <= 600


def test_ticks_are_rolled_up_before_they_go(tmp_path: Path) -> None:
    kit = Kit(tmp_path, raw_seconds=2 * 3600.0)
    noise(kit, 8)

    assert kit.history.stats().tiers[0].start >= START + 5 * 3600  # type: ignore[operator]
    counted = kit.values(step=3600.0, aggregate="count", start=START, end=kit.clock.now + 1)
    assert sum(counted.values()) == 8 * 360


def busy(number: int) -> Mapping[str, Any]:
    """Return what a snapshot says of one process."""
    return {
        "processes": Processes(items=(process(number),), states={}, threads=1, kernel_threads=0, unreadable=0),
        "collectors": {"processes": Health("ok")},
    }


def filled(kit: Kit) -> None:
    """Append two days of ticks with who used most, and a decision with what belongs to it."""
    for n in range(1, 2 * 1440 + 60):
        kit.add(float(n), passed=60.0, snapshot=busy(n))
        if n % 60 == 0:
            kit.history.flush()
            kit.history.maintain()
    for record in (decision(time=kit.clock.now), outcome(time=kit.clock.now), event(time=kit.clock.now)):
        kit.history.record(record)
    kit.history.flush()
    kit.history.maintain()


def held(kit: Kit) -> tuple[Any, ...]:
    """Return all that a history holds of that time."""
    end = START + 2 * DAY + 3599
    top = kit.history.top("process", by="memory", start=START, end=end, limit=10_000)
    tiers = [kit.values(step=step, aggregate="count", start=START, end=end) for step in (60.0, 3600.0)]
    records = kit.history.decision(decision().id), kit.history.outcomes(decision().id), kit.history.events()
    return kit.values(start=START, end=end), tiers, top.moments, len(top.entries), records


KEPT = {
    "tops_interval_seconds": 60.0,
    "tops_seconds": 3 * DAY,
    "raw_seconds": 7 * DAY,
    "minute_seconds": 90 * DAY,
    "decisions_seconds": 95 * DAY,
    "events_seconds": 90 * DAY,
}


def test_a_clock_that_is_far_ahead_for_a_moment_removes_nothing(tmp_path: Path) -> None:
    kit = Kit(tmp_path, **KEPT)
    filled(kit)
    before = held(kit)
    assert (len(before[0]), before[2], before[3]) == (2939, 2940, 2939)  # all were recorded anew for the decision

    kit.clock.now += 100 * DAY
    for n in range(20):
        kit.add(float(n))
        kit.history.flush()
        kit.history.maintain()
    assert held(kit) == before
    kit.clock.now -= 100 * DAY - 3600
    for n in range(600):
        kit.add(float(n), passed=10.0)
        kit.history.flush()
        kit.history.maintain()

    assert held(kit) == before
    kit.reopen()
    assert held(kit) == before


def test_a_clock_that_is_wrong_when_the_daemon_starts_removes_nothing(tmp_path: Path) -> None:
    kit = Kit(tmp_path, **KEPT)
    filled(kit)
    before = held(kit)

    kit.crash()
    kit.clock.now += 75 * 365 * DAY
    kit.history = kit.made()
    for n in range(59):
        kit.add(float(n), passed=60.0)
        kit.history.flush()
        kit.history.maintain()

    assert held(kit) == before


def test_a_clock_that_stays_ahead_is_believed(tmp_path: Path) -> None:
    kit = Kit(tmp_path, **KEPT)
    filled(kit)

    kit.clock.now += 100 * DAY
    for n in range(75):
        kit.add(float(n), passed=60.0)
        kit.history.flush()
        kit.history.maintain()

    kit.reopen()
    ticks, (minutes, hours), moments, _, records = held(kit)
    assert sum(hours.values()) == 2939
    assert len(ticks) == len(minutes) == len(hours) == 49
    assert (moments, records) == (0, (None, [], []))


def test_size_is_kept_to_before_any_time_is_believed(tmp_path: Path) -> None:
    kit = Kit(tmp_path, max_bytes=6_000_000)
    noise(kit, 30, passed=2.0)
    kit.settings = replace(kit.settings, max_bytes=5_000_000)
    kit.reopen()
    kit.history.maintain()

    store = kit.history._keeper._store
    assert store is not None
    assert store.used_bytes() <= 5_000_000
    assert not kit.history._keeper._present.proven


def test_in_memory_alone_the_last_hour_outlives_a_clock_that_is_ahead_for_a_moment() -> None:
    kit = Kit(None)
    kit.fill(5000)
    kit.clock.now += 100 * DAY
    kit.fill(20)
    kit.clock.now -= 100 * DAY + 20
    kit.fill(20)
    kit.history.maintain()

    assert len(kit.values(end=kit.clock.now)) >= 3600
    assert len(kit.values()) <= 3600 + 600
