"""What is in force and can be undone: put back when nobody asks for it any more, when it expires, and after a crash."""

from collections.abc import Iterable

from resourced.actions.course import World
from resourced.actions.ledger import Change
from resourced.actions.telling import Teller
from resourced.errors import ActionFailed

_AGAIN_SECONDS = 10.0
"""What can't be put back now is tried again so often."""
_MOST_TOLD = 3
"""More changes of one step than this are only counted."""


class Holds:
    """Puts changes back.

    Args:
        world: Has the ledger.
        tell: Says what was done.
    """

    def __init__(self, world: World, tell: Teller) -> None:
        self._world = world
        self._tell = tell
        self._again: dict[object, float] = {}

    def sweep(self, wanted: frozenset[str], eased: frozenset[str]) -> None:
        """Put back all changes, newest first, but those of targets that are still dealt with.

        Args:
            wanted: Keys of these targets.
            eased: Keys of targets whose memory.high is raised step by step.
        """
        changes = [each for each in self._world.ledger.changes if each.key not in wanted]
        self._put_back([each for each in changes if not (each.file == "memory.high" and each.key in eased)], "undone")

    def expire(self) -> None:
        """Put back what has lasted as long as it may."""
        now = self._world.clock.boottime()
        self._put_back([each for each in self._world.ledger.changes if each.expired(now)], "expired")

    def undo(self, changes: Iterable[Change], why: str) -> bool:
        """Put these back now, although they were asked for; return whether all are.

        Args:
            changes: Some that are in force.
            why: Told with each.
        """
        asked = list(changes)
        for each in asked:
            self._again.pop(each.place, None)
        self._put_back(asked, "undone", why)
        return not any(each in self._world.ledger.changes for each in asked)

    def _put_back(self, changes: Iterable[Change], result: str, why: str | None = None) -> None:
        told: dict[tuple[str, str, str], tuple[Change, list[str]]] = {}
        now = self._world.clock.monotonic()
        for change in reversed(list(changes)):
            if self._again.get(change.place, now) > now:
                continue
            try:
                sentence = self._world.ledger.put_back(change)
            except ActionFailed as error:
                first = change.place not in self._again
                self._again[change.place] = now + _AGAIN_SECONDS
                if first:
                    self._tell.put_back(change, "failed", str(error))
                continue
            self._again.pop(change.place, None)
            key = (change.decision, change.key, change.step.value)
            told.setdefault(key, (change, []))[1].append(sentence)
        for change, sentences in told.values():
            shown = sentences if len(sentences) <= _MOST_TOLD else [f"{len(sentences)} changes put back"]
            self._tell.put_back(change, result, "; ".join([why, *shown] if why else shown))
