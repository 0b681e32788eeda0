"""The fourth rung: the target stands still, keeps what it has, and goes on later as if nothing had been."""

import select
import signal
import time

from resourced.actions.base import Once, Order
from resourced.actions.handles import CgroupHandle
from resourced.actions.throttle import change_of
from resourced.clock import Clock, SystemClock
from resourced.decision import Step
from resourced.errors import ActionFailed, StepImpossible

_LONGEST_SECONDS = 1.0
"""How long it is awaited that a whole cgroup stands still: tasks in the kernel stop when they return from it."""
_STOPPED = ("T", "t")


class Freeze(Once):
    """Freezes a cgroup (cgroup.freeze), or stops processes (SIGSTOP).

    Args:
        clock: Tells the time.
    """

    step = Step.FREEZE

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def take(self, order: Order) -> str:
        if order.target.cgroup is not None:
            return self._cgroup(order, order.target.cgroup)
        return self._processes(order)

    def _cgroup(self, order: Order, cgroup: CgroupHandle) -> str:
        original = cgroup.read("cgroup.freeze")
        if original is None:
            raise StepImpossible("the kernel can't freeze it")
        if original == "1":
            return "it was frozen already, and stays so"
        if not cgroup.has("cgroup.freeze"):
            raise ActionFailed(f"{cgroup.path}/cgroup.freeze can't be written")
        order.ledger.remember(change_of(order, self.step, self._clock, cgroup, ("cgroup.freeze", original, "1")))
        cgroup.write("cgroup.freeze", "1")
        return "frozen" if _stands_still(cgroup) else "freezing; some of its tasks are in the kernel still"

    def _processes(self, order: Order) -> str:
        roots = order.target.roots
        running = [each for each in order.target.processes if each.alive and each.state(roots) not in _STOPPED]
        places = [(each.pid, each.start_time_ticks) for each in running]
        order.ledger.remember(*(change_of(order, self.step, self._clock, None, each) for each in places))
        stopped = sum(each.send(signal.SIGSTOP) for each in running)
        return f"{stopped} process{'' if stopped == 1 else 'es'} stopped"


def _stands_still(cgroup: CgroupHandle) -> bool:
    ends = time.monotonic() + _LONGEST_SECONDS
    while True:
        events = cgroup.read("cgroup.events") or ""
        if "frozen 1" in events:
            return True
        if time.monotonic() >= ends:
            return False
        select.select([], [], [], 0.01)
