"""What differs between the decisions of two policies over the same past."""

from collections.abc import Sequence
from dataclasses import dataclass

from resourced.decision import Decision

MOVED_SECONDS = 300.0
"""Two decisions of one rule within this are the same decision, moved."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One decision that both policies take, at another time or on another target."""

    old: Decision
    """As the one policy decides."""
    new: Decision
    """As the other does."""
    seconds: float
    """How much later the other is; negative if it is earlier."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two policies over the same past."""

    same: tuple[Decision, ...]
    """Taken by both at the same moment on the same target."""
    new: tuple[Decision, ...]
    """Taken by the second only."""
    gone: tuple[Decision, ...]
    """Taken by the first only."""
    moved: tuple[Moved, ...]
    """Taken by both, but earlier, later or on another target."""


def compare(old: Sequence[Decision], new: Sequence[Decision]) -> Comparison:
    """Return what differs between two lists of decisions over the same past, each in order of time."""
    rest = list(old)
    same: list[Decision] = []
    added: list[Decision] = []
    moved: list[Moved] = []
    for decision in new:
        near = [
            each
            for each in rest
            if (each.rule, each.instance) == (decision.rule, decision.instance)
            and abs(each.time - decision.time) <= MOVED_SECONDS
        ]
        if not near:
            added.append(decision)
            continue
        match = min(near, key=lambda each: abs(each.time - decision.time))
        rest.remove(match)
        if match.time == decision.time and _target(match) == _target(decision):
            same.append(decision)
        else:
            moved.append(Moved(match, decision, decision.time - match.time))
    return Comparison(tuple(same), tuple(added), tuple(rest), tuple(moved))


def _target(decision: Decision) -> str | None:
    return decision.target.key if decision.target else None
