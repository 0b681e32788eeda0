"""Query parameters: declared once, read from requests and written into the API's description."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from resourced.api.problem import Problem
from resourced.quantities import parse_duration
from resourced.times import parse_time

_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")
_MOST = 64


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter.

    Attributes:
        name: As it is written.
        kind: integer, number, boolean, string, time or duration.
        description: A sentence.
        default: Value when it is left out.
        minimum: Smallest value.
        maximum: Largest value; of a string, the longest.
        choices: All values allowed, if they are few.
        pattern: Regular expression that a string must match as a whole.
        allowed: What the pattern means, for people.
        many: Whether it may be repeated; the value is then a tuple.
        required: Whether it must be given.
    """

    name: str
    kind: str
    description: str
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    allowed: str = ""
    many: bool = False
    required: bool = False

    def parse(self, text: str, now: float) -> Any:
        """Return the value that a text means.

        Args:
            text: As it was written.
            now: The present moment, seconds since the epoch, from which times are told.

        Raises:
            Problem: 422, with the parameter's name and what is allowed.
        """
        try:
            value = parse_time(text, now) if self.kind == "time" else _PARSERS[self.kind](text)
        except ValueError:
            raise self.wrong(text) from None
        if isinstance(value, str):
            if not self._fits(value):
                raise self.wrong(text)
        elif not _within(value, self.minimum, self.maximum):
            raise self.wrong(text)
        return value

    def _fits(self, text: str) -> bool:
        if self.choices and text not in self.choices:
            return False
        if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
            return False
        return len(text) <= (self.maximum or 1000) and "\0" not in text

    def wrong(self, text: str) -> Problem:
        """Return the problem of a text that isn't allowed."""
        allowed = self.allowed or " or ".join(self.choices) or _ALLOWED[self.kind]
        if self.minimum is not None and self.kind != "string":
            allowed += f" from {self.minimum:g}"
        if self.maximum is not None:
            allowed += f" to {self.maximum:g}" if self.kind != "string" else f" of at most {self.maximum:g} characters"
        return Problem(422, f"{self.name}={text[:80]!r} is not allowed; write {allowed}", parameter=self.name)

    def schema(self, place: str = "query") -> dict[str, Any]:
        """Return the OpenAPI object that describes it, in the query or as a header."""
        kind = {"time": "string", "duration": "string"}.get(self.kind, self.kind)
        if self.kind == "boolean":
            schema: dict[str, Any] = {"type": "string", "enum": [*_TRUE, *_FALSE]}
        else:
            schema = {"type": kind}
        if self.choices:
            schema["enum"] = list(self.choices)
        if kind in ("integer", "number"):
            limits = {"minimum": self.minimum, "maximum": self.maximum}
            schema |= {key: value for key, value in limits.items() if value is not None}
        elif self.kind == "string" and not self.choices and place == "query":
            schema["maxLength"] = int(self.maximum or 1000)
            if self.pattern is not None:
                schema["pattern"] = f"^({self.pattern})$"
        if self.default is not None and self.kind not in ("time", "boolean", "duration"):
            schema["default"] = self.default
        if self.many:
            schema = {"type": "array", "items": schema, "maxItems": _MOST}
        about = {"name": self.name, "in": place, "required": self.required, "description": self.description}
        if self.kind in _EXAMPLES:
            about["example"] = _EXAMPLES[self.kind]
        return {**about, "schema": schema}


def read_parameters(query: bytes, declared: Sequence[Parameter], now: float) -> dict[str, Any]:
    """Return the value of every declared parameter.

    Args:
        query: The query string as it came.
        declared: All that the route knows.
        now: The present moment, seconds since the epoch, from which times are told.

    Raises:
        Problem: 422 for a parameter that is unknown, repeated, missing or malformed.
    """
    known: Mapping[str, Parameter] = {parameter.name: parameter for parameter in declared}
    values: dict[str, Any] = {}
    for name, text in _pairs(query):
        parameter = known.get(name)
        if parameter is None:
            allowed = ", ".join(known) or "none"
            raise Problem(422, f"there is no parameter {name[:80]!r} here; allowed: {allowed}", parameter=name[:80])
        if parameter.many:
            values[name] = (*values.get(name, ()), parameter.parse(text, now))
        elif name in values:
            raise Problem(422, f"{name} is given more than once; give it once", parameter=name)
        else:
            values[name] = parameter.parse(text, now)
    for parameter in declared:
        if parameter.name not in values:
            if parameter.required:
                raise Problem(422, f"{parameter.name} is missing: {parameter.description}", parameter=parameter.name)
            values[parameter.name] = () if parameter.many and parameter.default is None else parameter.default
    return values


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:
        detail = f"the query is not percent-encoded UTF-8, or has more than {_MOST} parameters"
        raise Problem(422, detail, parameter="query") from None


def _integer(text: str) -> int:
    if len(text) > 20 or not text.lstrip("-").isascii() or not text.lstrip("-").isdigit():
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _boolean(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(text)


def _duration(text: str) -> float:
    try:
        return _number(text)
    except ValueError:
        return parse_duration(text)


def _within(value: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


_PARSERS: dict[str, Any] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": str,
    "duration": _duration,
}
_EXAMPLES = {"time": "1h", "duration": "5s"}
_ALLOWED = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "1 or 0",
    "string": "a text",
    "time": "a time: seconds since the epoch, RFC 3339, a clock such as 03:12, or 8h for eight hours ago",
    "duration": "seconds, or a duration such as 90s",
}
