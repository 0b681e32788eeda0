"""What goes, and when: by age and by size, the oldest first, and the disk gets its space back."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from resourced.history.store import FILE_NAME
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
    kit.history.maintain()
    assert len(kit.history.decisions(limit=1000)) == 251
    assert kit.history.events() == []
    kit.clock.now = START + 11 * DAY
    kit.history.maintain()
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
    kit.add(1.0)
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
