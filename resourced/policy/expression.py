"""What a condition compares: a metric, or a function of metrics. A fixed set of functions, not a language."""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from resourced.errors import ConfigError, QueryError
from resourced.metrics import CATALOGUE, Kind, Metric, Selector, parse_selector
from resourced.quantities import parse_duration, parse_share, parse_size

PLAUSIBLE = 1e300
"""Beyond this a number is nonsense."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric's own value."""

    selector: Selector
    metric: Metric
    text: str

    @property
    def unit(self) -> str:
        """Return the UCUM unit."""
        return self.metric.unit

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Call:
    """A function of other expressions."""

    function: str
    parts: tuple["Expression", ...]
    window: float
    limit: float | None
    unit: str
    text: str

    def __str__(self) -> str:
        return self.text


Expression = Reading | Call


@dataclass(frozen=True, slots=True)
class Function:
    """One function that a rule may use.

    Attributes:
        inputs: Number of expressions that it takes.
        window: Default window in seconds; 0 if it has none.
        unit: same, per_second, 1 or s.
        limit: Whether its last argument is a limit in the unit of the first.
        help: A sentence.
    """

    inputs: int
    window: float
    unit: str
    help: str
    limit: bool = False


FUNCTIONS: dict[str, Function] = {
    "share": Function(2, 0, "1", "Share of the second that the first is, 0-1."),
    "plus": Function(2, 0, "same", "Sum; the second may be unknown or absent, and then counts nothing."),
    "minus": Function(2, 0, "same", "Difference."),
    "rate": Function(1, 60, "per_second", "Increase a second over the window; unknown when a counter went back."),
    "growth": Function(1, 300, "same", "How much it grew over the window; negative when it shrank."),
    "mean": Function(1, 60, "same", "Mean over the window."),
    "min": Function(1, 60, "same", "Smallest over the window."),
    "max": Function(1, 60, "same", "Largest over the window."),
    "p50": Function(1, 300, "same", "Median over the window."),
    "p90": Function(1, 300, "same", "90th percentile over the window."),
    "p95": Function(1, 600, "same", "95th percentile over the window."),
    "p99": Function(1, 600, "same", "99th percentile over the window."),
    "seasonal": Function(1, 0, "same", "Difference from the mean of the same hour on earlier days (three at least)."),
    "exhaustion": Function(1, 300, "s", "Seconds until it reaches 0 at its robust slope; 30 days at most."),
    "idle": Function(1, 0, "s", "Seconds since it was last above the limit.", limit=True),
}
"""Every function, by name."""


def parse(text: str) -> Expression:
    """Return the expression that a text means.

    Raises:
        ConfigError: It is malformed, or names no metric or function; the message names the nearest.
    """
    parser = _Parser(text)
    expression = parser.expression()
    parser.end()
    return expression


def quantity(value: float | str, unit: str, where: str) -> float:
    """Return a threshold in base units.

    Args:
        value: What was written: 0.1, "10%", "512MiB", "30s".
        unit: UCUM unit of what it is compared with.
        where: Beginning of the error's sentence.

    Raises:
        ConfigError: The unit is impossible.
    """
    if isinstance(value, (int, float)):
        if value != value or abs(value) > PLAUSIBLE:  # noqa: PLR0124 - NaN alone differs from itself
            raise ConfigError(f"{where}: {value} is not a threshold; write a finite number")
        return float(value)
    text = value.strip()
    negative = text.startswith("-")
    text = text.removeprefix("-").strip().removesuffix("/s") if unit.endswith("/s") else text.removeprefix("-").strip()
    base = unit.removesuffix("/s")
    try:
        if base == "1":
            number = parse_share(text)
        elif base == "By":
            number = float(parse_size(text))
        elif base == "s":
            number = parse_duration(text) if re.search("[a-zA-Z]", text) else float(text)
        else:
            number = float(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {value!r} does not fit the unit {unit!r}: {error}") from error
    return -number if negative else number


_TOKEN = re.compile(r"""\s*(?:([A-Za-z_*?][\w.*?]*\s*(?:\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\})?)|(-?\d[\w.%]*)|([(),]))""")


class _Parser:
    """Recursive descent over names, quantities, brackets and commas."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def expression(self) -> Expression:
        name = self._next(0, "the name of a metric or function")
        if self._peek() == "(":
            return self._call(name)
        try:
            selector = parse_selector(name)
        except QueryError as error:
            raise ConfigError(f"{self._text!r}: {error}") from error
        metric = CATALOGUE.get(selector.name)
        if metric is None:
            raise ConfigError(f"{self._text!r}: patterns may stand in labels only, not in the name {name!r}")
        return Reading(selector, metric, name)

    def end(self) -> None:
        if self._text[self._position :].strip():
            raise ConfigError(f"{self._text!r}: nothing may follow after {self._text[: self._position].strip()!r}")

    def _call(self, name: str) -> Call:
        function = FUNCTIONS.get(name)
        if function is None:
            near = get_close_matches(name, FUNCTIONS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "there are " + ", ".join(FUNCTIONS)
            raise ConfigError(f"{self._text!r}: there is no function {name!r}; {hint}")
        start = self._text.rindex(name, 0, self._position)
        self._punctuation("(")
        parts = [self.expression()]
        while len(parts) < function.inputs:
            self._punctuation(",")
            parts.append(self.expression())
        written = None
        if self._peek() == "," and (function.window or function.limit):
            self._punctuation(",")
            written = self._next(1, "a limit" if function.limit else "a window such as 5m")
        self._punctuation(")")
        return self._finish(name, function, tuple(parts), written, self._text[start : self._position])

    def _finish(
        self, name: str, function: Function, parts: tuple[Expression, ...], written: str | None, text: str
    ) -> Call:
        window, limit = function.window, None
        units = [part.unit for part in parts]
        if len(set(units)) > 1:
            raise ConfigError(f"{self._text!r}: {name} needs two of the same unit, not {units[0]} and {units[1]}")
        if function.limit:
            limit = quantity(written or "0", units[0], repr(self._text))
        elif written is not None:
            try:
                window = parse_duration(written)
            except ValueError as error:
                raise ConfigError(f"{self._text!r}: {error}") from error
            if not 1 <= window <= 86400:
                raise ConfigError(f"{self._text!r}: a window lies between 1s and 1d, not {written}")
        return Call(name, parts, window, limit, _unit(function.unit, units[0]), re.sub(r"\s*,\s*", ", ", text))

    def _match(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self._position)

    def _peek(self) -> str:
        found = self._match()
        return found[0].strip() if found else ""

    def _next(self, kind: int, wanted: str) -> str:
        found = self._match()
        token = found[kind + 1] if found else None
        if found is None or token is None:
            rest = self._text[self._position :].strip() or "the end"
            raise ConfigError(f"{self._text!r}: expected {wanted}, found {rest!r}")
        self._position = found.end()
        return token.strip()

    def _punctuation(self, wanted: str) -> None:
        if self._next(2, repr(wanted)) != wanted:
            raise ConfigError(f"{self._text!r}: expected {wanted!r} at character {self._position}")


def _unit(rule: str, of: str) -> str:
    if rule == "same":
        return of
    if rule == "per_second":
        return "1" if of == "s" else f"{of}/s"
    return rule


def readings(expression: Expression) -> list[Reading]:
    """Return every metric that an expression reads, in order."""
    if isinstance(expression, Reading):
        return [expression]
    return [reading for part in expression.parts for reading in readings(part)]


def bounds(expression: Expression) -> tuple[float, float]:
    """Return the smallest and the largest value that are possible."""
    low, high = -PLAUSIBLE, PLAUSIBLE
    if isinstance(expression, Reading):
        metric = expression.metric
        return (low if metric.signed else 0.0), high if metric.maximum is None else metric.maximum
    fixed = {"share": (0.0, 1.0), "exhaustion": (0.0, FORECAST_LIMIT_SECONDS), "idle": (0.0, high)}
    if expression.function in fixed:
        return fixed[expression.function]
    inner = bounds(expression.parts[0])
    if expression.function in ("mean", "min", "max", "p50", "p90", "p95", "p99"):
        return inner
    reading = expression.parts[0]
    counts = isinstance(reading, Reading) and reading.metric.kind is Kind.COUNTER
    grows = counts and expression.function in ("rate", "growth")
    return (0.0 if grows or expression.function == "plus" else low), high


FORECAST_LIMIT_SECONDS = 30 * 86400.0
"""Farther than this no forecast goes."""
