"""What every rung is made of: an order, a target, and what is remembered so that it can be undone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from resourced.actions.ledger import Ledger
from resourced.actions.target import Target
from resourced.collectors.base import Roots
from resourced.decision import Decision, Step


@dataclass(frozen=True, slots=True)
class Order:
    """What an action is told."""

    decision: Decision
    """Why."""
    resource: str
    """What is to be freed: memory, swap, gpu_memory, cpu, io or pids."""
    target: Target
    """Whom."""
    ledger: Ledger
    """Where what was before is kept."""
    expires_seconds: float
    """How long what can be undone may last."""
    terminals: bool = True
    """Whether the owner is told on terminals."""
    cut_short: Callable[[], bool] = lambda: False
    """Whether something graver waits, so that what takes long must end."""


class Action(Protocol):
    """One kind of rung."""

    step: Step

    def take(self, order: Order) -> str:
        """Do it; return a sentence for a person that tells what was done.

        Raises:
            StepImpossible: It has no meaning for this target.
            TargetGone: The target has gone.
            ActionRefused: A safety rule forbids it.
            ActionFailed: The kernel says no.
        """
        ...

    def press(self, order: Order) -> None:
        """Go a little further while its effect is awaited; called about once a second. Errors as in `take`."""
        ...


class Once:
    """An action of which there is nothing to go further with."""

    def press(self, order: Order) -> None:
        """Do nothing more."""


__all__ = ["Action", "Once", "Order", "Roots"]
