"""Moments as people write them: "03:12", "yesterday 22:00", "8h", "2026-11-24T03:12:00Z", 1795489920."""

import math
import re
from datetime import datetime, timedelta, tzinfo

from resourced.quantities import parse_duration

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")
_DAYS = {"today": 0, "yesterday": -1}
_LATEST = 253402300799.0  # the last second of the year 9999
_ALLOWED = 'write a time such as 03:12, "yesterday 22:00", 2026-11-24T03:12:00Z, seconds since the epoch, or 8h for ago'


def parse_time(text: str, now: float, zone: tzinfo | None = None) -> float:
    """Return the moment that a text means, seconds since the epoch.

    Args:
        text: "now"; a duration, which means so long ago ("8h", "-90s", "2d ago"); a time of day, which means the last
            time that clocks showed it ("03:12", "yesterday 22:00"); a date; ISO 8601 with or without an offset; or
            seconds since the epoch.
        now: The present moment, seconds since the epoch.
        zone: Where times without an offset are meant; by default where the machine is.

    Raises:
        ValueError: The text is none of these; the message says what is allowed.
    """
    words = text.strip().lower()
    if words == "now":
        return now
    for reading in (_number, _ago, _of_day, _iso):
        found = reading(words, now, zone)
        if found is not None:
            if not (math.isfinite(found) and 0 <= found <= _LATEST):
                raise ValueError(f"{text!r} is before 1970 or after 9999")
            return found
    raise ValueError(f"{text!r} is not a time; {_ALLOWED}")


def _number(text: str, _now: float, _zone: tzinfo | None) -> float | None:
    try:
        return float(text) if text[:1].isdigit() or text[:1] == "." else None
    except ValueError:
        return None


def _ago(text: str, now: float, _zone: tzinfo | None) -> float | None:
    duration = text.removeprefix("-").removesuffix("ago").strip()
    try:
        return now - parse_duration(duration)
    except ValueError:
        return None


def _of_day(text: str, now: float, zone: tzinfo | None) -> float | None:
    first, _, rest = text.partition(" ")
    day = _DAYS.get(first)
    clock = _CLOCK.fullmatch(rest.strip() if day is not None else text)
    if clock is None and not (day is not None and not rest.strip()):
        return None
    hour, minute, second = (int(clock[1]), int(clock[2]), float(clock[3] or 0)) if clock else (0, 0, 0.0)
    if hour > 23 or minute > 59 or second >= 60:
        return None
    today = _local(now, zone).replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    if day is not None:
        return _epoch(today + timedelta(days=day), zone) + second
    moment = _epoch(today, zone) + second
    return moment if moment <= now else _epoch(today - timedelta(days=1), zone) + second


def _iso(text: str, _now: float, zone: tzinfo | None) -> float | None:
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.timestamp() if moment.tzinfo is not None else _epoch(moment, zone)
    except (ValueError, OverflowError, OSError):
        return None


def _local(now: float, zone: tzinfo | None) -> datetime:
    """Return a moment as clocks show it, without a zone."""
    return datetime.fromtimestamp(now, zone).replace(tzinfo=None) if zone else datetime.fromtimestamp(now)  # noqa: DTZ006


def _epoch(moment: datetime, zone: tzinfo | None) -> float:
    return moment.replace(tzinfo=zone).timestamp() if zone else moment.timestamp()
