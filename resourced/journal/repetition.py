"""How often the same thing is said: the first few times in an interval, then once how often it was held back."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

_MOST_KEYS = 1024
"""Keys that are remembered; beyond it the oldest is closed early."""


@dataclass(slots=True)
class _Window:
    began: float
    admitted: int = 0
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What was held back in one interval that has ended.

    Attributes:
        key: What was repeated.
        count: How many times it was held back.
        seconds: Length of the interval.
    """

    key: Hashable
    count: int
    seconds: float


class Repetition:
    """Counts how often each key comes in its own interval, which begins with the first time.

    Not safe for use by several threads at once: the caller holds a lock.

    Args:
        limit: Times that a key is admitted in an interval.
        interval_seconds: Length of the interval on the caller's clock.
    """

    def __init__(self, limit: int, interval_seconds: float) -> None:
        self._limit = limit
        self._interval = interval_seconds
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()

    def admit(self, key: Hashable, now: float) -> bool:
        """Return whether the key may be told at this moment. `ended` must have been called for the same moment."""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(now)
        if window.admitted < self._limit:
            window.admitted += 1
            return True
        window.suppressed += 1
        return False

    def ended(self, now: float) -> list[Suppressed]:
        """Forget the intervals that are over and return what was held back in them.

        Intervals are kept in the order in which they began, so this looks at none that goes on, but one.
        """
        told = []
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if now - window.began < self._interval and len(self._windows) < _MOST_KEYS:
                break
            del self._windows[key]
            if window.suppressed:
                told.append(Suppressed(key, window.suppressed, now - window.began))
        return told

    def close(self, now: float) -> list[Suppressed]:
        """Forget everything and return what was held back and not told yet."""
        told = [Suppressed(key, w.suppressed, now - w.began) for key, w in self._windows.items() if w.suppressed]
        self._windows.clear()
        return told
