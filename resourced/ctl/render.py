"""How values look: columns, units, sparklines and plots. Pure functions from values to text."""

import pwd
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any

from resourced.names import SIGNS
from resourced.quantities import format_duration, format_size

_BARS = "▁▂▃▄▅▆▇█"
_SHADE = "░"
SCALE_WIDTH = 12
"""Columns for the scale at the left of a plot."""
_DAY_SECONDS = 86400
_CONTROL = {
    **dict.fromkeys((*range(32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A)), "�"),
    **{sign: f"\\x{byte:02x}" for byte, sign in enumerate(SIGNS, 0x80)},
}
"""Names come from processes and units, which anybody may choose; none may move the cursor, begin a line, or turn the
order of what follows. A byte that is no character, for which `resourced.names` has a sign, is shown as its number."""
_BRACES = str.maketrans("", "", "{}")
"""UCUM writes what is counted in braces, as in {page}/s."""


def safe(text: str) -> str:
    """Return a text without anything that a terminal would obey."""
    return text.translate(_CONTROL)


def size(value: float | None) -> str:
    """Return bytes as a person reads them."""
    return "-" if value is None else format_size(value)


def speed(value: float | None) -> str:
    """Return bytes a second as a person reads them."""
    return "-" if value is None else f"{format_size(value)}/s"


def percent(value: float | None) -> str:
    """Return a share as a percentage."""
    return "-" if value is None else f"{value * 100:.1f}%"


def moment(value: float | None) -> str:
    """Return wall time in the local zone."""
    return "-" if value is None else datetime.fromtimestamp(value).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def remaining(seconds: float) -> str:
    """Return how long something lasts yet: whole seconds, never less than none."""
    return format_duration(max(0, round(seconds))) if seconds >= 1 else "0s"


@cache
def user(uid: int | None) -> str:
    """Return the name of a user; the number where there is no such name."""
    if uid is None:
        return "-"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def quantity(value: float | None, unit: str) -> str:
    """Return a value of a metric with its unit."""
    if value is None:
        return "-"
    match unit:
        case "By":
            return format_size(value)
        case "By/s":
            return f"{format_size(value)}/s"
        case "s":
            return format_duration(value)
        case "1":
            return f"{value * 100:.3g}%"
        case _:
            return f"{value:.4g} {unit.translate(_BRACES)}"


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table as plain text.

    Args:
        header: Titles.
        rows: Cells.
        left: How many columns, counted from the last, are aligned to the left; all others to the right.
    """
    table = [list(header), *([safe(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    first_left = len(header) - left
    lines = []
    for row in table:
        cells = [c.rjust(w) if i < first_left else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def sparkline(values: Sequence[float | None], width: int = 60) -> str:
    """Return the course of values on one line; the largest of each bin is shown, and a gap is a blank."""
    binned = bins(values, width)
    known = [value for value in binned if value is not None]
    if not known:
        return " " * len(binned)
    low, span = min(known), max(known) - min(known)
    return "".join(" " if v is None else _BARS[round((v - low) / span * 7) if span else 0] for v in binned)


def bins(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return at most `width` values, each the largest of its bin, so that no peak is lost."""
    if len(values) <= width:
        return list(values)
    edges = [i * len(values) // width for i in range(width + 1)]
    parts = ([v for v in values[a:b] if v is not None] for a, b in pairwise(edges))
    return [max(part) if part else None for part in parts]


def stretched(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return exactly `width` values: of fewer each is shown in several columns, of more the largest of each bin."""
    if not values or len(values) >= width:
        return bins(values, width)
    return [values[i * len(values) // width] for i in range(width)]


def plot(
    values: Sequence[float | None],
    unit: str,
    width: int = 70,
    height: int = 10,
    *,
    peaks: Sequence[float | None] | None = None,
) -> str:
    """Return a plot with its scale at the left; a gap stays empty.

    Args:
        values: What is drawn, over the whole width.
        unit: UCUM unit of the values.
        width: Columns of the whole.
        height: Lines.
        peaks: Largest values where `values` are means, drawn as a shade above them.
    """
    columns_ = max(1, width - SCALE_WIDTH - 1)
    solid, tall = stretched(values, columns_), stretched(peaks or values, columns_)
    known = [value for value in (*solid, *tall) if value is not None]
    if not known:
        return "(no values)"
    low, span = min(known), (max(known) - min(known)) or 1.0
    lines = []
    for row in range(height - 1, -1, -1):
        label = quantity(low + span * row / (height - 1), unit) if row in {0, height - 1} else ""
        cells = "".join(_cell(value, peak, low, span, row, height) for value, peak in zip(solid, tall, strict=True))
        lines.append(f"{label:>{SCALE_WIDTH}}┤{cells}".rstrip())
    return "\n".join(lines)


def axis(start: float, end: float, width: int) -> str:
    """Return the line below a plot: when it begins, its middle and its end, as far as there is room."""
    form = "%H:%M:%S" if end - start < _DAY_SECONDS else "%m-%d %H:%M"
    room = max(1, width - SCALE_WIDTH - 1)
    labels = [datetime.fromtimestamp(moment).astimezone().strftime(form) for moment in (start, (start + end) / 2, end)]
    if room < sum(map(len, labels)) + 4:
        return ""
    middle = labels[1].center(room - len(labels[0]) - len(labels[2]))
    return " " * (SCALE_WIDTH + 1) + labels[0] + middle + labels[2]


def _cell(value: float | None, peak: float | None, low: float, span: float, row: int, height: int) -> str:
    filled = _filled(value, low, span, row, height)
    if filled > 0:
        return _BARS[filled - 1]
    return _SHADE if _filled(peak, low, span, row, height) > 0 else " "


def _filled(value: float | None, low: float, span: float, row: int, height: int) -> int:
    """Return how many eighths of a cell a column of this height fills; 0 or less for none."""
    if value is None:
        return 0
    eighths = round((value - low) / span * (height * 8 - 1)) + 1
    return min(8, eighths - row * 8)


def pairs(values: dict[str, Any], indent: str = "") -> str:
    """Return nested names and values, one a line."""
    width = max((len(str(name)) for name in values), default=0)
    lines = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{safe(str(name))}:", pairs(value, indent + "  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{name:<{width}}  {safe(', '.join(map(str, value))) or '-'}")
        else:
            lines.append(f"{indent}{name:<{width}}  {'-' if value is None else safe(str(value))}")
    return "\n".join(lines)
