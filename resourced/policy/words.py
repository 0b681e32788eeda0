"""Expressions as people say them: "mean of cpu.utilization over 30s" for `mean(cpu.utilization, 30s)`."""

from functools import lru_cache

from resourced.errors import ConfigError
from resourced.policy.expression import FUNCTIONS, Call, Expression, parse
from resourced.quantities import format_duration, format_size

_WINDOWED = {
    "rate": "increase a second of {x} over {window}",
    "growth": "growth of {x} over {window}",
    "mean": "mean of {x} over {window}",
    "min": "smallest {x} over {window}",
    "max": "largest {x} over {window}",
    "p50": "median of {x} over {window}",
    "p90": "90th percentile of {x} over {window}",
    "p95": "95th percentile of {x} over {window}",
    "p99": "99th percentile of {x} over {window}",
    "seasonal": "{x} against the same hour of earlier days",
    "exhaustion": "time until {x} is used up",
    "idle": "time since {x} was above {limit}",
}
_JOINED = {"share": "{x} as a share of {y}", "plus": "{x} + {y}", "minus": "{x} - {y}"}


def words(expression: Expression) -> str:
    """Return what an expression means."""
    if not isinstance(expression, Call):
        return str(expression)
    parts = [_part(each) for each in expression.parts]
    if expression.function in _JOINED:
        return _JOINED[expression.function].format(x=parts[0], y=parts[-1])
    limit = _quantity(expression.limit or 0.0, expression.parts[0].unit)
    window = format_duration(expression.window) if FUNCTIONS[expression.function].window else ""
    return _WINDOWED[expression.function].format(x=parts[0], window=window, limit=limit)


@lru_cache(maxsize=256)
def say(text: str) -> str:
    """Return the same for an expression as it is written; the text itself if this release doesn't know it."""
    try:
        return words(parse(text))
    except ConfigError:
        return text


def _part(expression: Expression) -> str:
    plain = not isinstance(expression, Call)
    return words(expression) if plain else f"({words(expression)})"


def _quantity(value: float, unit: str) -> str:
    if unit == "1":
        return f"{value * 100:g} %"
    return format_size(value) if unit == "By" else f"{value:g}"
