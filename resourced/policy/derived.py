"""The functions of expressions: each takes its window, the time and the newest value, and returns window and result.

None in gives None out: what is missing is neither 0 nor the last value known. A window that covers less than half of
its span has no result yet.
"""

from collections.abc import Callable
from itertools import pairwise
from statistics import median

from resourced.policy.expression import FORECAST_LIMIT_SECONDS
from resourced.policy.window import MOST_SAMPLES, Window

Update = Callable[[Window, float, float, float | None], tuple[Window, float | None]]
"""(window, monotonic seconds, wall seconds, newest value) -> (window, result)."""

SLOPE_POINTS = 20
"""Points that a slope is taken from: 190 pairs."""


def make(function: str, window: float, limit: float | None) -> Update:
    """Return the update of a windowed function.

    Args:
        function: Its name in expression.FUNCTIONS.
        window: Seconds that it looks back.
        limit: Its limit, if it takes one.
    """
    if function == "idle":
        return _idle(limit or 0.0)
    if function == "seasonal":
        return _seasonal
    if function == "exhaustion":
        return _exhaustion(window)
    if function == "rate":
        return _windowed(window, _rate)
    return _windowed(window, _REDUCE[function])


def _windowed(span: float, reduce: Callable[[Window], float | None]) -> Update:
    step, half = span / MOST_SAMPLES, span / 2

    def update(window: Window, now: float, _wall: float, value: float | None) -> tuple[Window, float | None]:
        if value is None:
            return window, None
        if len(window) == 0 or now - window.last_time >= step:
            window = window.add(now, value, span)
            window.result = reduce(window) if now - window.first_time >= half else None
        result: float | None = window.result
        return window, result

    return update


def _rate(window: Window) -> float | None:
    """A counter that went back makes the rate unknown until it has left the window."""
    elapsed = window.last_time - window.first_time
    if elapsed <= 0:
        return None
    values = window.values()
    if any(later < earlier for earlier, later in pairwise(values)):
        return None
    return (values[-1] - values[0]) / elapsed


def _percentile(share: float) -> Callable[[Window], float | None]:
    def reduce(window: Window) -> float:
        values = sorted(window.values())
        return values[min(len(values) - 1, int(share * len(values)))]

    return reduce


_REDUCE: dict[str, Callable[[Window], float | None]] = {
    "growth": lambda window: window.last - window.first,
    "mean": lambda window: window.total / len(window),
    "min": lambda window: min(window.values()),
    "max": lambda window: max(window.values()),
    "p50": _percentile(0.5),
    "p90": _percentile(0.9),
    "p95": _percentile(0.95),
    "p99": _percentile(0.99),
}


def slopes(times: list[float], values: list[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile of the slopes between all pairs of points (Theil and Sen).

    Args:
        times: Seconds, increasing.
        values: One a time; at least two.
    """
    count = len(times)
    found = sorted(
        (values[j] - values[i]) / (times[j] - times[i])
        for i in range(count)
        for j in range(i + 1, count)
        if times[j] > times[i]
    )
    return found[len(found) // 4], median(found), found[(3 * len(found)) // 4]


def _exhaustion(span: float) -> Update:
    """Time left at the robust slope; only a fall that three quarters of the pairs agree on is a fall."""
    step, half = span / SLOPE_POINTS, span / 2

    def update(window: Window, now: float, _wall: float, value: float | None) -> tuple[Window, float | None]:
        if value is None:
            return window, None
        if len(window) == 0 or now - window.last_time >= step:
            window = window.add(now, value, span)
            enough = len(window) >= SLOPE_POINTS // 4 and now - window.first_time >= half
            window.result = list(slopes(window.times(), window.values())) if enough else None
        if window.result is None:
            return window, None
        _, middle, upper = window.result
        if upper >= 0 or middle >= 0:
            return window, FORECAST_LIMIT_SECONDS
        return window, min(FORECAST_LIMIT_SECONDS, max(0.0, value) / -middle)

    return update


def _idle(limit: float) -> Update:
    def update(window: Window, now: float, _wall: float, value: float | None) -> tuple[Window, float | None]:
        if value is None:
            return window, None
        since = window.result
        if value > limit or since is None:
            if since != now:
                window = Window([], [], result=now)
            since = now
        return window, now - since

    return update


_HOURS, _DAYS = 24, 3


def _seasonal(window: Window, _now: float, wall: float, value: float | None) -> tuple[Window, float | None]:
    """The result holds [hour since the epoch, sum, count] of each of the last 14 days' hours."""
    if value is None:
        return window, None
    hour = int(wall // 3600)
    rows: list[list[float]] = window.result or []
    if rows and rows[-1][0] == hour:
        rows = [*rows[:-1], [hour, rows[-1][1] + value, rows[-1][2] + 1]]
    else:
        rows = [*rows, [hour, value, 1]][-_HOURS * 14 :]
    window = Window([], [], result=rows)
    same = [total / count for at, total, count in rows[:-1] if (hour - at) % _HOURS == 0]
    return window, value - sum(same) / len(same) if len(same) >= _DAYS else None
