"""Who may touch somebody next for a resource, and who is left alone: what the two threads that act agree upon.

The lock is held for a few instructions and by nobody who does anything else meanwhile.
"""

import threading
from collections.abc import Mapping


class Backoff:
    """Targets that are left alone for a while because nothing could be had of them; twice as long each time."""

    FIRST_SECONDS = 60.0
    LONGEST_SECONDS = 900.0

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}

    def leave(self, key: str, now: float, seconds: float | None = None) -> None:
        """Leave a target alone from now on, for a given time or for longer than the last time."""
        last = self._until.get(key, (0.0, 0.0))[1]
        span = seconds or min(self.LONGEST_SECONDS, max(self.FIRST_SECONDS, 2 * last))
        self._until[key] = (now + span, span)
        if len(self._until) > 256:  # of what has gone nobody asks again
            self._until = self.kept(now)

    def kept(self, now: float) -> dict[str, tuple[float, float]]:
        """Return until when each is left alone, CLOCK_MONOTONIC, and for how long that is."""
        return {key: value for key, value in self._until.items() if value[0] > now}

    def keep(self, kept: Mapping[str, tuple[float, float]]) -> None:
        """Go on leaving alone whom an earlier process of this boot did."""
        self._until = {**kept, **self._until}

    def left_alone(self, key: str, now: float) -> bool:
        """Return whether a target is left alone now."""
        return self._until.get(key, (0.0, 0.0))[0] > now


class Claims:
    """At most one target a resource, until its time is over or somebody graver comes."""

    def __init__(self) -> None:
        self.backoff = Backoff()
        """Who is left alone for now."""
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, int, float, str]] = {}

    def take(self, resource: str, key: str, gravity: int, now: float, until: float, *, owner: str) -> bool:
        """Claim a resource for a target; return whether it may be touched.

        Whoever holds it for the same target may go on; anybody else must be graver.

        Args:
            resource: What is to be freed.
            key: The target.
            gravity: How grave the rule is: 0 is hard.
            now: CLOCK_MONOTONIC.
            until: When the claim ends by itself.
            owner: Which of the two asks.
        """
        with self._lock:
            held = self._held.get(resource)
            mine = held is not None and held[0] == key and held[3] == owner
            if held is not None and held[2] > now and not mine and held[1] <= gravity:
                return False
            self._held[resource] = (key, gravity, until, owner)
            return True

    def release(self, resource: str, key: str) -> None:
        """Give up the claim for a target, if it is held."""
        with self._lock:
            if self._held.get(resource, ("", 0, 0.0, ""))[0] == key:
                del self._held[resource]

    def free(self, resource: str) -> None:
        """End the claim on a resource, whoever holds it: nothing comes of it."""
        with self._lock:
            self._held.pop(resource, None)

    def held(self, resource: str, gravity: int, now: float) -> bool:
        """Return whether somebody is being dealt with for a resource, as gravely or more."""
        held = self._held.get(resource)
        return held is not None and held[2] > now and held[1] <= gravity
