"""Any value as something that JSON can say: a log line must not fail because of what it tells."""

import dataclasses
import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from enum import Enum
from typing import Any

_DEPTH = 8
"""Levels of nesting that are written out; it ends circular values too."""
_LARGEST = 1 << 256
"""Larger integers are cut short: Python refuses to write those of several thousand digits."""


def plain(value: Any, depth: int = _DEPTH) -> Any:
    """Return the value made of dict, list, str, int, finite float, bool and None; never raises.

    What has no such form is given as its `str()`, NaN and infinity as null.
    """
    if value is None or value is True or value is False:
        return value
    try:
        return _plain(value, depth)
    except Exception as error:  # noqa: BLE001 - the value's own code may do anything; the line is written nevertheless
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, str | int | float):
        return _number_or_text(value)
    if depth == 0:
        return "…"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_text(key): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [plain(item, depth - 1) for item in value]
    return _text(value)


def _number_or_text(value: str | float) -> str | float | None:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if -_LARGEST < value < _LARGEST else f"<integer of {value.bit_length()} bits>"
    return float(value) if math.isfinite(value) else None


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    return value.isoformat() if isinstance(value, date) else str(value)


def to_json(value: Any) -> str:
    """Return the value as JSON on one line; never raises."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def to_text(value: Any) -> str:
    """Return the value as one field of the journal: text as it is, null as nothing, anything nested as JSON."""
    simple = plain(value)
    if simple is None:
        return ""
    if isinstance(simple, str):
        return simple
    return json.dumps(simple, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
