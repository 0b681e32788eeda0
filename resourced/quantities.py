"""Arithmetic on measured values, and the quantities that people write: "90s", "2GiB", "85%".

`rate` and `share` are the only places where two samples meet; what is unknown stays None.
"""

import math
import re

_DURATION_UNITS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
_SIZE_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "k": 1024,
    "m": 1024**2,
    "g": 1024**3,
    "t": 1024**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}
_DURATION_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_PERCENT = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*%\s*")


def rate(before: float | None, now: float | None, elapsed_s: float) -> float | None:
    """Return the increase of a counter per second.

    Args:
        before: The counter at the earlier moment, or None if unknown.
        now: The counter at the later moment, in the same unit, or None if unknown.
        elapsed_s: Seconds between the two on the monotonic clock.

    Returns:
        Units per second, or None if either value is unknown, no time has passed, or the counter went back (a reset,
        a hot-plugged device): a rate that is not known is never guessed.
    """
    if before is None or now is None or elapsed_s <= 0 or now < before:
        return None
    return (now - before) / elapsed_s


def share(part: float | None, whole: float | None) -> float | None:
    """Return `part / whole` clamped to 0-1, or None if either is unknown or the whole is not positive."""
    if part is None or whole is None or whole <= 0:
        return None
    return min(1.0, max(0.0, part / whole))


def parse_duration(text: str) -> float:
    """Return the seconds in a duration such as "500ms", "90s", "1h30m", "7d".

    Raises:
        ValueError: The text is not a duration; the message says what is allowed.
    """
    position, total = 0, 0.0
    stripped = text.strip()
    while position < len(stripped):
        part = _DURATION_PART.match(stripped, position)
        unit = _DURATION_UNITS.get(part[2].lower()) if part else None
        if part is None or unit is None:
            raise ValueError(
                f"{text!r} is not a duration; write a number with us, ms, s, min, h, d, w or y: 90s, 1h30m"
            )
        total += float(part[1]) * unit
        position = part.end()
    if not stripped:
        raise ValueError("an empty text is not a duration; write for example 10s")
    return total


def parse_size(text: str) -> int:
    """Return the bytes in a size such as "512MiB", "2G" (binary) or "1.5GB" (decimal).

    Raises:
        ValueError: The text is not a size; the message says what is allowed.
    """
    found = _SIZE.fullmatch(text)
    unit = _SIZE_UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise ValueError(f"{text!r} is not a size; write a number with B, KiB, MiB, GiB, TiB or KB, MB, GB, TB: 512MiB")
    size = float(found[1]) * unit
    if not math.isfinite(size):
        raise ValueError(f"a size of {text[:20]!r}... is more than can be counted")
    return round(size)


def parse_share(text: str) -> float:
    """Return the fraction in a percentage such as "85%", or in a plain number such as "0.85".

    Raises:
        ValueError: The text is neither; the message says what is allowed.
    """
    percent = _PERCENT.fullmatch(text)
    try:
        value = float(percent[1]) / 100 if percent else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a share; write a percentage (85%) or a fraction (0.85)")
    return value


def format_size(value: float) -> str:
    """Return bytes as a person reads them, at most four digits: "1.4 GiB"."""
    magnitude = abs(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if magnitude < 1024 or unit == "TiB":
            digits = 0 if unit == "B" or magnitude >= 100 else 1
            return f"{math.copysign(magnitude, value):.{digits}f} {unit}"
        magnitude /= 1024
    raise AssertionError("unreachable")


def format_duration(seconds: float) -> str:
    """Return seconds as a person reads them, the two largest units: "2h 5m", "1.5s", "20ms"."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    whole = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
