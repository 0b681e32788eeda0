"""The last two rungs: ask the target to end, and end it."""

import contextlib
import signal
from dataclasses import dataclass

from resourced.actions.base import Once, Order
from resourced.actions.handles import CgroupHandle, Members, ProcessHandle
from resourced.actions.ledger import Change, Ledger
from resourced.actions.target import Target
from resourced.decision import Step
from resourced.errors import ActionFailed, TargetGone

_MOST_RELEASED = 256
"""Processes whose memory is freed at once instead of by themselves; beyond it they are too small to be worth it."""
_ROUNDS = 5
"""How often a cgroup is gone through that the kernel can't kill as a whole: it may fork faster than it is killed."""


class Terminate(Once):
    """Sends SIGTERM to every process, once all that would keep it from answering has been undone."""

    step = Step.TERMINATE

    def take(self, order: Order) -> str:
        release_holds(order)
        return ask_to_end(order.target)


class Kill(Once):
    """Kills every process, the cgroup as a whole where the kernel can, and has their memory freed at once."""

    step = Step.KILL

    def take(self, order: Order) -> str:
        told = kill_all(order.target)
        # Only now: what is stopped or frozen dies of SIGKILL too, and until then it could do no harm.
        release_holds(order)
        return told


def ask_to_end(target: Target) -> str:
    """Send SIGTERM to every process of a target; return what was done.

    Raises:
        TargetGone: Nobody is left.
        ActionFailed: The kernel refuses all.
    """
    return f"SIGTERM to {_send(target, signal.SIGTERM).told(target)}"


def kill_all(target: Target) -> str:
    """Kill every process of a target; return what was done. Errors as in `ask_to_end`."""
    cgroup = target.cgroup
    if cgroup is not None and cgroup.has("cgroup.kill"):
        sent = _kill_cgroup(target, cgroup)
    else:
        sent = _send(target, signal.SIGKILL)
        for _ in range(_ROUNDS):  # it may fork faster than it is killed
            if cgroup is None or not cgroup.populated:
                break
            sent.add(_send(target, signal.SIGKILL))
    return f"SIGKILL to {sent.told(target)}{f', memory of {sent.freed} freed at once' if sent.freed else ''}"


def release_holds(order: Order) -> None:
    """Thaw the target and lift the limits that were put on it: who is held can't run its handler.

    What can't be undone now must not keep a signal from being sent; it stays in the ledger and is tried again.
    """
    for change in reversed(holds_on(order.ledger, order.target)):
        with contextlib.suppress(ActionFailed):
            order.ledger.put_back(change)


def holds_on(ledger: Ledger, target: Target) -> tuple[Change, ...]:
    """Return what keeps a target from answering, oldest first.

    That is what was done to it, and what stands still with it because of another rule: the cgroup or the processes that
    it is in, or that are in it.
    """
    frozen = [each for each in ledger.changes if each.step is Step.FREEZE and each.key != target.key]
    among = _Among(target) if frozen else None
    return tuple(
        each
        for each in ledger.changes
        if each.key == target.key or (among is not None and each in frozen and among.has(each))
    )


class _Among:
    """Where a target's processes are."""

    def __init__(self, target: Target) -> None:
        cgroup = target.cgroup
        self._starts: dict[int, int | None] = {each.pid: each.start_time_ticks for each in target.processes}
        if cgroup is not None:
            self._starts = dict.fromkeys(cgroup.pids())
        self._inside = f"{cgroup.path}/" if cgroup is not None else None
        paths = [cgroup.path] if cgroup is not None else [each.cgroup(target.roots) for each in target.processes]
        self._paths = {path for path in paths if path is not None}

    def has(self, change: Change) -> bool:
        """Return whether a process of the target stands still by a change."""
        if change.path is None:
            return change.pid in self._starts and self._starts[change.pid] in (None, change.start_time_ticks)
        frozen = f"{change.path}/"
        above = any(f"{path}/".startswith(frozen) for path in self._paths)
        return above or (self._inside is not None and frozen.startswith(self._inside))


@dataclass(slots=True)
class _Sent:
    """What became of signals."""

    delivered: int = 0
    freed: int = 0
    """Processes whose memory was freed at once."""
    refused: ActionFailed | None = None

    def add(self, more: "_Sent") -> None:
        self.delivered += more.delivered
        self.freed += more.freed
        self.refused = more.refused or self.refused

    def told(self, target: Target) -> str:
        """Return how many were reached.

        Raises:
            ActionFailed: The kernel refused all.
            TargetGone: Nobody was left.
        """
        if not self.delivered:
            raise self.refused or TargetGone(f"{target.name} has no living process any more")
        some = f", though {self.refused}" if self.refused else ""
        return f"{self.delivered} process{'' if self.delivered == 1 else 'es'}{some}"


def _send(target: Target, number: signal.Signals) -> _Sent:
    """Signal every process; one that the kernel protects does not save the others."""
    sent = _Sent()
    for batch in target.batches():
        reached = []
        for each in batch:
            try:
                if each.send(number):
                    reached.append(each)
            except ActionFailed as error:
                sent.refused = error
        sent.delivered += len(reached)
        if number is signal.SIGKILL:
            sent.freed += sum(each.release_memory() for each in reached)
    return sent


def _kill_cgroup(target: Target, cgroup: CgroupHandle) -> _Sent:
    """Kill all that lives in it by one write, which no fork escapes."""
    pids = cgroup.pids()
    with Members() as pinned:
        for pid in pids[:_MOST_RELEASED]:
            with contextlib.suppress(TargetGone, ActionFailed):
                pinned.append(ProcessHandle(pid, None, target.roots))
        cgroup.write("cgroup.kill", "1")
        # A number that was reused meanwhile does no harm: the kernel frees nothing of who isn't dying.
        return _Sent(len(pids), sum(each.release_memory() for each in pinned))
