"""The present by which old things go: a wall clock may be wrong for a while, and what has gone doesn't come back."""

from collections import deque

from resourced.clock import Clock

_PROOF_SECONDS = 3600.0


class Present:
    """The earliest time that the wall clock has told within the last hour of running, carried on by the time since.

    So a clock that is set ahead is believed after an hour, and one that is set back at once.

    Args:
        clock: Tells the time. Suspended time counts for the time since, and not for the hour.

    Attributes:
        proven: Whether an hour has passed, so that more than what the clock said at the start is known.
    """

    def __init__(self, clock: Clock) -> None:
        self.proven = False
        self._clock = clock
        self._began: float | None = None
        self._told: float | None = None
        self._earlier: deque[tuple[float, float]] = deque()
        """Pairs: until when (CLOCK_MONOTONIC) the wall clock was so far ahead of the time since boot, and how far.

        Only those are kept that none told later falls below: the first is the least."""

    def look(self) -> float:
        """Look at the clocks and return the present, seconds since the epoch.

        Between two looks the clock may have told anything: what was told at one counts until the next.
        """
        up, since_boot = self._clock.monotonic(), self._clock.boottime()
        ahead = self._clock.wall() - since_boot
        if self._began is None or self._told is None:
            self._began = up
        else:
            while self._earlier and self._earlier[-1][1] >= self._told:
                self._earlier.pop()
            self._earlier.append((up, self._told))
        self._told = ahead
        while self._earlier and self._earlier[0][0] <= up - _PROOF_SECONDS:
            self._earlier.popleft()
        self.proven = up - self._began >= _PROOF_SECONDS
        return since_boot + min(ahead, self._earlier[0][1] if self._earlier else ahead)
