"""Clocks that jump, summer time that ends, machines that sleep: time stays ordered, nothing is overwritten."""

import time
from pathlib import Path

import pytest

from tests.history.fakes import START, Kit

HOUR = 3600.0


def test_a_clock_that_is_set_forward_and_back_again_overwrites_nothing(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.fill(2 * 3600)
    kit.clock.now += 3 * 86400
    kit.fill(600)
    kit.clock.now -= 3 * 86400 + 600
    kit.fill(2 * 3600)
    kit.history.maintain()

    for _ in range(2):
        table = kit.history.query(["memory.available"], start=0, end=4e9)
        assert list(table.times) == sorted(table.times)
        (column,) = table.series.values()
        assert sorted(value for value in column if value is not None) == [float(n) for n in range(1, 15001)]
        counted = kit.values(step=HOUR, aggregate="count")
        assert sum(counted.values()) == 15000
        kit.reopen()
    assert kit.events == []


def test_ticks_of_the_same_moment_by_a_clock_set_back_are_all_there(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.fill(3000)
    kit.clock.now -= 1000
    kit.fill(3000)
    kit.history.maintain()

    times = kit.history.query(["memory.available"], start=0, end=4e9).times

    assert len(times) == 6000
    assert list(times) == sorted(times)
    counted = kit.values(step=1000.0, aggregate="count", start=START, end=START + 5000)
    assert sum(counted.values()) == 6000


def test_the_hour_that_summer_time_repeats_is_two_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end_of_summer = 1_698_541_200.0  # 2023-10-29 01:00 UTC: 3:00 becomes 2:00 in Berlin
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        kit = Kit(tmp_path)
        kit.clock.now = end_of_summer - HOUR
        kit.fill(2 * 3600)
        kit.history.maintain()

        counted = kit.values(step=HOUR, aggregate="count", start=end_of_summer - HOUR, end=end_of_summer + HOUR)

        assert counted == {end_of_summer - HOUR: 3599, end_of_summer: 3600}
        assert list(kit.values().values()) == [float(n) for n in range(1, 7201)]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_hours_of_sleep_are_a_gap_and_not_a_rate(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.fill(1800)
    kit.add([1801.0, 1e9, 0.0, None], time=kit.clock.now + 5 * HOUR)  # the monotonic clock stood still
    kit.fill(1800)
    kit.history.maintain()

    table = kit.history.query(["cpu.context_switches"], start=START, end=kit.clock.now, step=60.0, aggregate="rate")

    (rates,) = table.series.values()
    asleep = [rate for at, rate in zip(table.times, rates, strict=True) if START + 1860 <= at < START + 5 * HOUR + 1740]
    assert asleep
    assert set(asleep) == {None}
    assert max(rate for rate in rates if rate is not None) == pytest.approx(10.0)
    assert len(kit.values()) == 3601
    kit.reopen()
    assert len(kit.values()) == 3601
