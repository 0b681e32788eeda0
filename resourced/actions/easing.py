"""Memory limits of what has recovered: raised step by step as long as the target takes all it is given.

What has recovered only because it was held back would take the rest of the machine in the moment in which it is let go.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from resourced.actions.course import Course, Status, World, may_go_on
from resourced.actions.handles import whole_pages
from resourced.actions.ledger import Change
from resourced.actions.telling import Teller
from resourced.errors import ActionFailed, TargetGone
from resourced.policy import Need

MEMORY = ("memory", "swap")
"""Resources for whose sake memory.high is set."""
_SHARE = 1 / 64
"""So much of the memory that the machine has left is given at a time."""
_LEAST = 1024**2
_MOST_TIMES = 16
"""So many times as much is given at most to who takes it without leaving the machine less: it fills the page cache."""
_LOOKS = 4
"""Who leaves half of a step unused so often in a row wants no more."""


@dataclass(slots=True)
class _Eased:
    course: Course
    """For which the limit was set last."""
    sequence: int = -1
    """Of the sample in which it was looked at last."""
    left: float = 0.0
    """What the machine had left when it was raised last."""
    times: int = 1
    unused: int = 0
    """So often in a row has it left unused what it was given."""


class Easing:
    """Raises limits.

    Args:
        world: Has the ledger and the machine.
        tell: Says what was done.
    """

    def __init__(self, world: World, tell: Teller) -> None:
        self._world = world
        self._tell = tell
        self._eased: dict[str, _Eased] = {}

    @property
    def keys(self) -> frozenset[str]:
        """Return the targets whose memory.high is not to be put back yet."""
        return frozenset(self._eased)

    def begin(self, course: Course) -> None:
        """Let go of a target step by step, if it is held back: the rule has recovered."""
        key = course.candidate.key
        if course.resource not in MEMORY or self._limit(key) is None:
            return
        before = self._eased.get(key)
        if before is not None and not course.taken:
            return
        self._eased[key] = _Eased(course)
        if before is None:
            self._tell.event("limit_easing", course)

    def end(self, key: str | None = None) -> None:
        """Have a target's limit put back at once; all if none is named."""
        if key is None:
            self._eased.clear()
        else:
            self._eased.pop(key, None)

    def advance(self, courses: Collection[Course], held: Collection[str], now: float) -> None:
        """Raise what is to be raised, and leave to the others what is to be put back.

        Args:
            courses: All that are on their way. While one of them is about memory nobody is given any.
            held: Targets to which something is being done.
            now: CLOCK_MONOTONIC.
        """
        if not self._eased:
            return
        shortage = self._world.claims.held("memory", 9, now) or any(self._short(each) for each in courses)
        for key, eased in list(self._eased.items()):
            if self._wanted(eased) and (change := self._limit(key)) is not None:
                if shortage or key in held or not self._world.calm(eased.course.decision):
                    eased.unused = 0
                elif not self._ease(eased, change):
                    del self._eased[key]
            else:
                del self._eased[key]

    def _short(self, course: Course) -> bool:
        """Return whether a course is about memory that is short still."""
        if course.resource not in MEMORY or course.status is Status.WAITING:
            return False
        return course.status is Status.RUNNING or self._world.need(course.decision) is not Need.OVER

    def _wanted(self, eased: _Eased) -> bool:
        """Return whether the rule may hold anybody back still."""
        name = eased.course.decision.rule
        rule = next((each for each in self._world.rules() if each.name == name), None)
        return rule is not None and may_go_on(rule.mode, eased.course)

    def _limit(self, key: str) -> Change | None:
        return self._world.ledger.find(key, "memory.high")

    def _ease(self, eased: _Eased, change: Change) -> bool:
        """Raise a limit, once for each sample; return whether to go on so."""
        available = self._world.available()
        if available is None or available[0] == eased.sequence:
            return True
        sequence, left = available
        eased.sequence = sequence
        try:
            return self._raise(eased, change, left)
        except TargetGone:
            return False
        except (ActionFailed, OSError, ValueError) as error:
            self._tell.trouble(eased.course, change.step, error)
            return True  # it stays as it is, and is tried again with the next sample

    def _raise(self, eased: _Eased, change: Change, left: float) -> bool:
        ledger = self._world.ledger
        cgroup = ledger.open(change)
        try:
            use, now = cgroup.read_int("memory.current"), cgroup.read("memory.high")
            if use is None or now is None or not now.isdecimal() or now not in change.written:
                return False
            step = max(_LEAST, round(left * _SHARE))
            if int(now) - use >= step / 2:
                eased.unused += 1
                return eased.unused < _LOOKS
            eased.times = min(_MOST_TIMES, 2 * eased.times) if left >= eased.left - step / 4 > 0 else 1
            eased.unused, eased.left = 0, left
            high = whole_pages(max(int(now), use) + step * eased.times)
            if change.original is not None and change.original.isdecimal() and int(change.original) <= high:
                return False
            ledger.remember(replace(change, written=(str(high),)))
            cgroup.write("memory.high", str(high))
            return True
        finally:
            cgroup.close()
