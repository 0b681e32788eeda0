"""The third rung: hold the target back, with limits that are put back later."""

from collections.abc import Callable

from resourced.actions.base import Order
from resourced.actions.handles import CgroupHandle, whole_pages
from resourced.actions.ledger import IO_WEIGHTS, Change
from resourced.clock import Clock, SystemClock
from resourced.decision import Step
from resourced.errors import ActionFailed, StepImpossible

_PERIOD_US = 100_000
_CPU_SHARE = 0.8
"""cpu.max begins at so much of what the target used, and is lowered to so much of itself at a time."""
_LEAST_CPUS = 0.1
"""However often the limit is lowered, so much of a processor stays: nothing is starved of the time to end itself."""
_WEIGHT = "10"
"""A tenth of what others have by default."""
_STEP_SHARE = 0.01
"""memory.high follows use downwards in steps of at least one percent: each step is synced to disk."""


class Throttle:
    """Limits what the rule is about.

    Memory: memory.high at present use, and lower as that falls. Processors: cpu.weight, and cpu.max a little below use,
    and lower while that does not help. I/O: io.weight.

    Args:
        clock: Tells the time.
    """

    step = Step.THROTTLE

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def take(self, order: Order) -> str:
        cgroup = order.target.cgroup
        if cgroup is None:
            raise StepImpossible("a process without a cgroup of its own has no limits of its own")
        limit = self._limits().get(order.resource)
        if limit is None:
            raise StepImpossible(f"there is no limit for {order.resource} that could be lowered softly")
        return limit(order, cgroup)

    def press(self, order: Order) -> None:
        cgroup = order.target.cgroup
        if cgroup is None:
            return
        if order.resource in ("memory", "swap"):
            self._follow(order, cgroup)
        elif order.resource == "cpu":
            self._lower(order, cgroup)

    def _limits(self) -> dict[str, Callable[[Order, CgroupHandle], str]]:
        return {"memory": self._memory, "swap": self._memory, "cpu": self._cpu, "io": self._io}

    def _memory(self, order: Order, cgroup: CgroupHandle) -> str:
        use, original = cgroup.read_int("memory.current"), cgroup.read("memory.high")
        if use is None or original is None:
            raise StepImpossible("the memory controller is not enabled for it")
        high = whole_pages(use)
        if original.isdecimal() and int(original) <= high:
            if (mine := order.ledger.find(order.target.key, "memory.high")) is not None and original in mine.written:
                self._set(order, cgroup, "memory.high", original, original)
            return f"memory.high stays at {_mib(int(original))}, which is no more than what it holds"
        self._set(order, cgroup, "memory.high", original, str(high))
        return f"memory.high {_mib(high)}, as much as it holds"

    def _follow(self, order: Order, cgroup: CgroupHandle) -> None:
        """Lower memory.high to what is used by now.

        Never below, for that would make the kernel look for memory in vain, and never where somebody else has set it.
        """
        use, now = cgroup.read_int("memory.current"), cgroup.read("memory.high")
        mine = order.ledger.find(order.target.key, "memory.high")
        if use is None or now is None or mine is None or now not in mine.written or not now.isdecimal():
            return
        high = whole_pages(use)
        if high < int(now) * (1 - _STEP_SHARE):
            self._set(order, cgroup, "memory.high", mine.original or "max", str(high), anew=False)

    def _cpu(self, order: Order, cgroup: CgroupHandle) -> str:
        maximum, weight = cgroup.read("cpu.max"), cgroup.read("cpu.weight")
        if maximum is None and weight is None:
            raise StepImpossible("the processor controller is not enabled for it")
        told = []
        if weight is not None and weight.isdecimal() and int(weight) > int(_WEIGHT):
            self._set(order, cgroup, "cpu.weight", weight, _WEIGHT)
            told.append(f"cpu.weight {_WEIGHT} instead of {weight}")
        used = order.decision.target.usage if order.decision.target is not None else None
        if maximum is not None and used:
            cpus = max(_LEAST_CPUS, used * _CPU_SHARE)
            quota, _, period = maximum.partition(" ")
            if quota == "max" or int(quota) / int(period or _PERIOD_US) > cpus:
                self._set(order, cgroup, "cpu.max", maximum, _quota(cpus))
                told.append(f"cpu.max {cpus:.2g} processors, of {used:.2g} that it used")
        return " and ".join(told) or "its limits are lower already"

    def _lower(self, order: Order, cgroup: CgroupHandle) -> None:
        """Lower cpu.max by a step, unless somebody else has set it."""
        mine = order.ledger.find(order.target.key, "cpu.max")
        now = cgroup.read("cpu.max")
        if mine is None or now is None or now not in mine.written or not (quota := now.partition(" ")[0]).isdecimal():
            return
        cpus = int(quota) / _PERIOD_US
        lower = max(_LEAST_CPUS, cpus * _CPU_SHARE)
        if lower < cpus:
            self._set(order, cgroup, "cpu.max", mine.original or "max", _quota(lower), anew=False)

    def _io(self, order: Order, cgroup: CgroupHandle) -> str:
        for name in IO_WEIGHTS:
            before = cgroup.read(name)
            if before is not None:
                original = before.splitlines()[0] if before else "default 100"
                weight = original.removeprefix("default ")
                if weight.isdecimal() and int(weight) <= int(_WEIGHT):
                    return f"{name} stays at {weight}, which is no more than {_WEIGHT}"
                self._set(order, cgroup, name, original, f"default {_WEIGHT}")
                return f"{name} {_WEIGHT} instead of {weight}"
        raise StepImpossible("the I/O controller is not enabled for it")

    def _set(
        self, order: Order, cgroup: CgroupHandle, file: str, original: str, value: str, *, anew: bool = True
    ) -> None:
        """Keep what was, then write; never the other way round."""
        if not cgroup.has(file):
            raise ActionFailed(f"{cgroup.path}/{file} can't be written")
        order.ledger.remember(change_of(order, self.step, self._clock, cgroup, (file, original, value)), anew=anew)
        cgroup.write(file, value)


def change_of(
    order: Order, step: Step, clock: Clock, cgroup: CgroupHandle | None, what: tuple[str, str, str] | tuple[int, int]
) -> Change:
    """Return what is to be remembered of a change.

    Args:
        order: Why, and whom.
        step: The rung.
        clock: Tells the time.
        cgroup: The cgroup that is changed; None for a process.
        what: File, what is in it and what is to be written; or pid and start of a process that is to be stopped.
    """
    decision, target = order.decision, order.target
    about = (target.key, target.name, decision.id, decision.rule, decision.instance, step)
    when = (clock.wall(), clock.boottime(), order.expires_seconds)
    if cgroup is not None and len(what) == 3:
        inode = int(target.key.rpartition(":")[2])
        return Change(*about, *when, cgroup.path, inode, what[0], what[1], (what[2],))
    return Change(*about, *when, pid=int(what[0]), start_time_ticks=int(what[1]))


def _quota(cpus: float) -> str:
    return f"{round(cpus * _PERIOD_US)} {_PERIOD_US}"


def _mib(size: int) -> str:
    return f"{size // 1024**2} MiB"
