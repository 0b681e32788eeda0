"""Acting: the rungs of the ladder, what can be undone of them, and the machine that takes them one by one."""

from resourced.actions.base import Action, Order
from resourced.actions.claims import Claims
from resourced.actions.course import Settings, Workloads, World
from resourced.actions.executor import Executor
from resourced.actions.freeze import Freeze
from resourced.actions.ledger import Change, Ledger
from resourced.actions.machine import Machine
from resourced.actions.notify import Notify
from resourced.actions.reclaim import Reclaim
from resourced.actions.target import Target
from resourced.actions.terminate import Kill, Terminate
from resourced.actions.throttle import Throttle
from resourced.clock import Clock
from resourced.decision import Step

__all__ = [
    "Action",
    "Change",
    "Claims",
    "Executor",
    "Ledger",
    "Machine",
    "Order",
    "Settings",
    "Target",
    "Workloads",
    "World",
    "all_actions",
]


def all_actions(clock: Clock | None = None) -> dict[Step, Action]:
    """Return one action a rung."""
    made: tuple[Action, ...] = (Notify(), Reclaim(), Throttle(clock), Freeze(clock), Terminate(), Kill())
    return {each.step: each for each in made}
