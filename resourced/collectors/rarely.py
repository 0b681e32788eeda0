"""Values that hardly change (link speed, core count, which devices there are) and need not be read at every sample."""

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Rarely(Generic[T]):
    """A value that is read again only when it has become old, or was declared so.

    Args:
        read: Reads the value.
        seconds: Age at which it is read again.
        monotonic: Tells the time in seconds.
    """

    __slots__ = ("_due", "_monotonic", "_read", "_seconds", "_value")

    def __init__(self, read: Callable[[], T], seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._seconds = seconds
        self._monotonic = monotonic
        self._due = -math.inf
        self._value: T

    def get(self) -> T:
        """Return the value, read now if it is old or was never read."""
        now = self._monotonic()
        if now >= self._due:
            self._value = self._read()
            self._due = now + self._seconds
        return self._value

    def expire(self) -> None:
        """Have the value read anew at the next `get`."""
        self._due = -math.inf
