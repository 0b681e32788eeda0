import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.policy.derived import make, slopes
from resourced.policy.expression import FORECAST_LIMIT_SECONDS
from resourced.policy.window import Window, empty

Values = Sequence[float | None]


def feed(function: str, values: Values, window: float = 10.0, limit: float | None = None) -> list[float | None]:
    """Return the results, one a second."""
    update, state, results = make(function, window, limit), empty(), []
    for second, value in enumerate(values):
        state, result = update(state, float(second), second * 3600.0, value)
        results.append(result)
    return results


def test_a_function_says_nothing_until_half_of_its_window_is_known() -> None:
    assert feed("mean", [1, 2, 3, 4, 5, 6])[:5] == [None] * 5
    assert feed("mean", [1, 2, 3, 4, 5, 6])[5] == 3.5


def test_what_is_missing_is_neither_zero_nor_the_last_value() -> None:
    assert feed("mean", [5] * 8 + [None, 5])[-2:] == [None, 5]


@pytest.mark.parametrize(
    ("function", "result"),
    [("growth", 10.0), ("rate", 1.0), ("min", 9.0), ("max", 19.0), ("p50", 14.0), ("p95", 19.0), ("mean", 14.0)],
)
def test_functions_of_a_steady_rise(function: str, result: float) -> None:
    assert feed(function, list(range(20)))[-1] == pytest.approx(result)


def test_a_counter_that_went_back_has_no_rate_until_the_step_has_left_the_window() -> None:
    results = feed("rate", [*range(100, 120), *range(20)])
    assert results[19] == pytest.approx(1)
    assert results[21] is None
    assert results[-1] == pytest.approx(1)


def test_time_to_exhaustion_of_a_leak() -> None:
    results = feed("exhaustion", [1000.0 - 10 * second for second in range(60)], window=30)
    assert results[-1] == pytest.approx(41, abs=0.5)


def test_a_saw_is_not_a_leak() -> None:
    results = feed("exhaustion", [1000 - 50 * (second % 6) for second in range(120)], window=30)
    assert results[-1] == FORECAST_LIMIT_SECONDS


def test_one_outlier_does_not_bend_the_slope() -> None:
    values: list[float | None] = [1000.0 - second for second in range(60)]
    values[45] = 5000.0
    assert feed("exhaustion", values, window=30)[-1] == pytest.approx(941, rel=0.05)


def test_rising_is_not_exhausting() -> None:
    assert feed("exhaustion", list(range(60)), window=30)[-1] == FORECAST_LIMIT_SECONDS


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_the_slope_of_a_line_is_its_slope(slope: float, start: float) -> None:
    low, middle, high = slopes([0, 1, 2, 5], [start + slope * at for at in (0, 1, 2, 5)])
    assert middle == pytest.approx(slope, rel=1e-6, abs=1e-4)
    assert low <= middle <= high


def test_idle_counts_from_the_last_value_above_its_limit() -> None:
    assert feed("idle", [0.5, 0.0, 0.0, 0.9, 0.0, None, 0.0], limit=0.1) == [0, 1, 2, 0, 1, None, 3]


def test_seasonal_compares_with_the_same_hour_of_earlier_days() -> None:
    hours: list[float | None] = [float(hour % 24) for hour in range(24 * 4)]
    hours[-1] = 100.0
    results = feed("seasonal", hours)
    assert results[24 * 2] is None
    assert results[-2] == 0
    assert results[-1] == 100 - 23


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.integers(1, 50))
def test_a_window_holds_its_span_and_the_value_before(values: list[float], span: int) -> None:
    window = empty()
    for second, value in enumerate(values):
        window = window.add(second, value, span)
        kept = values[max(0, second - span) : second + 1]
        assert window.values() == kept
        assert math.isclose(window.total, math.fsum(kept), rel_tol=1e-6, abs_tol=1e-2)


def test_windows_made_from_one_do_not_see_each_other() -> None:
    base = empty().add(0, 1.0, 10)
    one, other = base.add(1, 2.0, 10), base.add(1, 3.0, 10)
    assert (base.values(), one.values(), other.values()) == ([1.0], [1.0, 2.0], [1.0, 3.0])


def test_a_window_survives_json() -> None:
    window = empty().add(0, 1.0, 10).add(1, 2.0, 10)
    again = Window.from_json(window.to_json())
    assert (again.times(), again.values(), again.total) == ([0, 1], [1.0, 2.0], 3.0)


def test_a_long_window_is_compacted() -> None:
    window = empty()
    for second in range(10_000):
        window = window.add(second, 1.0, 5)
    assert len(window) == 6
    assert len(window._times) < 8000
