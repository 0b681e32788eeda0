"""Who may touch somebody next for a resource: the one thing that the two threads that act agree upon.

The lock is held for a few instructions and by nobody who does anything else meanwhile.
"""

import threading


class Claims:
    """At most one target a resource, until its time is over or somebody graver comes."""

    def __init__(self) -> None:
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

    def held(self, resource: str, gravity: int, now: float) -> bool:
        """Return whether somebody is being dealt with for a resource, as gravely or more."""
        held = self._held.get(resource)
        return held is not None and held[2] > now and held[1] <= gravity
