"""Moments as people write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.times import parse_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 9, 30, 15, tzinfo=BERLIN).timestamp()


def berlin(*moment: int) -> float:
    return datetime(*moment, tzinfo=BERLIN).timestamp()  # type: ignore[misc,arg-type]  # numbers of a date


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        (" NOW ", NOW),
        ("8h", NOW - 8 * 3600),
        ("-90s", NOW - 90),
        ("1h30m ago", NOW - 5400),
        ("2d", NOW - 2 * 86400),
        ("03:12", berlin(2026, 11, 24, 3, 12)),
        ("09:30", berlin(2026, 11, 24, 9, 30)),
        ("09:31", berlin(2026, 11, 23, 9, 31)),
        ("3:12:05", berlin(2026, 11, 24, 3, 12, 5)),
        ("today", berlin(2026, 11, 24)),
        ("yesterday", berlin(2026, 11, 23)),
        ("yesterday 22:00", berlin(2026, 11, 23, 22)),
        ("today 23:00", berlin(2026, 11, 24, 23)),
        ("2026-11-24", berlin(2026, 11, 24)),
        ("2026-11-24 03:12", berlin(2026, 11, 24, 3, 12)),
        ("2026-11-24T03:12:00Z", datetime(2026, 11, 24, 3, 12, tzinfo=UTC).timestamp()),
        ("2026-11-24T03:12:00+05:30", datetime(2026, 11, 23, 21, 42, tzinfo=UTC).timestamp()),
        ("1795489920", 1795489920.0),
        ("1795489920.25", 1795489920.25),
        ("0", 0.0),
    ],
)
def test_a_moment_is_understood(text: str, moment: float) -> None:
    assert parse_time(text, NOW, BERLIN) == moment


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "03:60", "03:12:60", "yesterday noon", "2026-13-01", "8 parsecs", "1e400", "-", "ago"]
)
def test_what_is_no_moment_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|before 1970 or after 9999"):
        parse_time(text, NOW, BERLIN)


@pytest.mark.parametrize("text", ["1e12", "100y", "9999999999999"])
def test_a_moment_out_of_reach_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="before 1970 or after 9999"):
        parse_time(text, NOW, BERLIN)


def test_an_hour_that_clocks_skip_or_show_twice_is_a_moment() -> None:
    after_spring = berlin(2026, 3, 29, 12)
    after_autumn = berlin(2026, 10, 25, 12)

    assert abs(parse_time("02:30", after_spring, BERLIN) - berlin(2026, 3, 29, 3, 30)) <= 3600
    assert parse_time("02:30", after_autumn, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()


def test_the_machine_s_zone_is_the_usual_one() -> None:
    assert parse_time("2026-11-24 03:12", NOW) == datetime(2026, 11, 24, 3, 12).timestamp()  # noqa: DTZ001 - as meant
    assert 0 <= NOW - parse_time("03:12", NOW) < 86400 + 3600


@given(st.text(max_size=30))
def test_no_text_does_harm(text: str) -> None:
    try:
        found = parse_time(text, NOW, BERLIN)
    except ValueError:
        return
    assert 0 <= found < 3e11
