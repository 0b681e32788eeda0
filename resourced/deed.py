"""What the guard asks of the daemon, and what it tells it."""

from dataclasses import dataclass
from typing import Protocol

from resourced.actions import Target
from resourced.decision import Decision, Step
from resourced.policy import Judgement, Look, Rule


@dataclass(frozen=True, slots=True)
class Deed:
    """What the guard did, for those who write it down and go on from there."""

    decision: Decision
    target: Target
    step: Step
    detail: str
    look: Look
    began: float
    """CLOCK_MONOTONIC of the look that led to it."""
    acted: float
    """CLOCK_MONOTONIC when the signals had been sent."""


class Surroundings(Protocol):
    """What the guard asks of the daemon; every answer is there already and takes no lock."""

    def judgement(self) -> Judgement | None:
        """Return the manager's newest judgement."""
        ...

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in force; the very object that the manager judges by."""
        ...

    def did(self, deed: Deed) -> None:
        """Take note of a deed; must return at once."""
        ...

    def hurry(self) -> None:
        """Have what is under way for memory cut short; must return at once."""
        ...

    def trouble(self, event: str, reason: str) -> None:
        """Take note of what should be logged; must return at once."""
        ...
