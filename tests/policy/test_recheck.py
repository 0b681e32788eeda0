import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.policy import seconds_until_gone
from resourced.policy.recheck import SLOPE_SECONDS

AMOUNTS = st.floats(0, 2**50)


@given(before=AMOUNTS, lost=st.floats(0.001, 1), elapsed=st.floats(SLOPE_SECONDS, 1e6))
def test_what_falls_is_gone_when_the_line_through_both_meets_nothing(
    before: float, lost: float, elapsed: float
) -> None:
    now = before * (1 - lost)
    left = seconds_until_gone(before, now, elapsed)
    if now >= before:
        assert left is None
        return
    assert left is not None
    slope = (now - before) / elapsed
    assert now + slope * left == pytest.approx(0, abs=1e-6 * (before + 1))


@given(before=AMOUNTS, risen=AMOUNTS, elapsed=st.floats(0, 1e6))
def test_what_does_not_fall_is_never_gone(before: float, risen: float, elapsed: float) -> None:
    assert seconds_until_gone(before, before + risen, elapsed) is None


@given(before=AMOUNTS, now=AMOUNTS, elapsed=st.floats(-1e3, math.nextafter(SLOPE_SECONDS, 0)))
def test_a_moment_tells_no_slope(before: float, now: float, elapsed: float) -> None:
    assert seconds_until_gone(before, now, elapsed) is None


def test_what_is_unknown_is_not_forecast() -> None:
    assert seconds_until_gone(None, 1.0, 10.0) is None
    assert seconds_until_gone(1.0, None, 10.0) is None
