"""A window of recent values that is never changed: adding to it gives a new one that shares what is stored.

Like a slice of an append-only log: an older window doesn't see what was added after it, and two windows made from the
same one don't see each other. So the judge stays pure and still pays a constant price a tick.
"""

from typing import Any

MOST_SAMPLES = 512
"""Samples that a window keeps; over longer windows they are thinned."""

_COMPACT_AT = 4096


class Window:
    """Recent values with their times, oldest first, and the result that was last computed from them."""

    __slots__ = ("_times", "_values", "end", "result", "start", "total")

    def __init__(
        self,
        times: list[float],
        values: list[float],
        start: int = 0,
        end: int = 0,
        total: float = 0.0,
        result: Any = None,
    ) -> None:
        self._times = times
        self._values = values
        self.start = start
        self.end = end
        self.total = total
        self.result = result

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def first_time(self) -> float:
        """Return the time of the oldest value; there must be one."""
        return self._times[self.start]

    @property
    def last_time(self) -> float:
        """Return the time of the newest value; there must be one."""
        return self._times[self.end - 1]

    @property
    def first(self) -> float:
        """Return the oldest value; there must be one."""
        return self._values[self.start]

    @property
    def last(self) -> float:
        """Return the newest value; there must be one."""
        return self._values[self.end - 1]

    def times(self) -> list[float]:
        """Return the times."""
        return self._times[self.start : self.end]

    def values(self) -> list[float]:
        """Return the values."""
        return self._values[self.start : self.end]

    def add(self, now: float, value: float, span: float) -> "Window":
        """Return the window with one more value, without those older than `span` seconds but the last of them.

        The last older one stays, so that the window covers its span whole.
        """
        times, values, start, end = self._times, self._values, self.start, self.end
        if end != len(times) or start > _COMPACT_AT:
            times, values = times[start:end], values[start:end]
            start, end = 0, end - start
        times.append(now)
        values.append(value)
        total = self.total + value
        oldest = now - span
        while start < end and times[start + 1] <= oldest:
            total -= values[start]
            start += 1
        if start == 0 and end == 0:
            total = value
        return Window(times, values, start, end + 1, total)

    def detached(self) -> "Window":
        """Return the same window with a store of its own, for another thread to go on with."""
        times, values = self.times(), self.values()
        return Window(times, values, 0, len(times), self.total, self.result)

    def to_json(self) -> list[Any]:
        """Return what `from_json` takes."""
        return [self.times(), self.values(), self.result]

    @classmethod
    def from_json(cls, saved: list[Any]) -> "Window":
        """Return the window that `to_json` wrote."""
        times, values, result = list(saved[0]), list(saved[1]), saved[2]
        return cls(times, values, 0, len(times), sum(values), result)


def empty() -> Window:
    """Return a window without values."""
    return Window([], [])
