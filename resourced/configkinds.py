"""The kinds of value that a setting may have: how people write them, and how they are written back for people."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic import BaseModel as _BaseModel

from resourced.quantities import parse_duration, parse_share, parse_size

_DURATION_UNITS = (
    ("y", 31536000.0),
    ("d", 86400.0),
    ("h", 3600.0),
    ("min", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
)
_SIZE_UNITS = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1))


def write_duration(seconds: float) -> str | float:
    """Return seconds as a person writes them, such that they are read back exactly; as a number if no unit fits."""
    for unit, size in _DURATION_UNITS:
        count = round(seconds / size)
        text = f"{count}{unit}"
        if count > 0 and parse_duration(text) == seconds:
            return text
    return "0s" if seconds == 0 else seconds


def write_size(size_bytes: int) -> str:
    """Return bytes as a person writes them, exactly: "256MiB"."""
    unit, size = next(
        each for each in _SIZE_UNITS if (size_bytes % each[1] == 0 and size_bytes >= each[1]) or each[1] == 1
    )
    return f"{size_bytes // size}{unit}"


def write_share(fraction: float) -> str | float:
    """Return a fraction as a percentage that is read back exactly; as a number if there is none."""
    text = f"{fraction * 100:.10g}%"
    return text if "e" not in text and parse_share(text) == fraction else fraction


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of quantity, for messages and for people."""

    name: str
    """With its article, as messages say it."""
    example: str
    """As people write it."""
    write: Callable[[Any], str | float | int]
    """Writes a value so that it is read back exactly."""


DURATION = Kind("a duration", '"10s"', write_duration)
SIZE = Kind("a size", '"256MiB"', write_size)
SHARE = Kind("a share", '"85%"', write_share)


def _quantity(parse: Callable[[str], float]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"found {str(value).lower()}; write text with a unit, or a number")  # noqa: TRY004 - pydantic collects ValueErrors
        if not isinstance(value, str):
            return value
        read = parse(value)
        if not math.isfinite(read):
            raise ValueError(f"{value!r} is too large")
        return read

    return read


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{str(path)!r} is not an absolute path; write it from / on")
    return path


Duration = Annotated[float, BeforeValidator(_quantity(parse_duration)), DURATION, Field(allow_inf_nan=False)]
"""Written as "500ms", "10s", "7d", or as a number of seconds."""

Size = Annotated[int, BeforeValidator(_quantity(parse_size)), SIZE]
"""Written as "512MiB", or as a number of bytes."""

Fraction = Annotated[float, BeforeValidator(_quantity(parse_share)), SHARE, Field(ge=0, le=1)]
"""Written as "85%" or 0.85."""

Count = Annotated[int, Field(strict=True)]
"""A whole number."""

Switch = Annotated[bool, Field(strict=True)]
"""true or false, and nothing that may be taken for one."""

AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
"""A path from / on: the daemon's working directory means nothing."""


class Section(_BaseModel):
    """A table of the configuration: it can't be changed, and every key is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True)
