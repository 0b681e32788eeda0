"""Who was chosen lately: how long each is dealt with, who waits for that, and who is passed over as it was in vain.

What comes of a decision reaches nobody here, so that the past is judged as the present was. What is known is how long a
ladder takes and what may hold it up. Whoever may only have been named, while somebody else was still being dealt with,
counts as untouched.
"""

from typing import NamedTuple

from resourced.decision import Candidate, Scope
from resourced.policy.observation import Tick, Workload
from resourced.snapshot.processes import Process

UNKILLABLE_SECONDS = 60.0
"""How long somebody who was dealt with and is still there is passed over afterwards."""

_REMEMBERED_SECONDS = 900.0


class Pruned(NamedTuple):
    """A target chosen lately."""

    time: float
    """Monotonic time."""
    gravity: int
    """Gravity of the rule: 0 is hard."""
    resource: str
    """What was to be freed."""
    key: str
    """The candidate."""
    by: str = ""
    """Key of the instance that chose it."""
    busy: float = 0.0
    """Seconds for which it is dealt with; 0 if nothing is done."""
    late: float = 0.0
    """Seconds that it may take longer."""
    sure: bool = False
    """Whether it must have been dealt with: nobody else can have been in the way."""

    def in_the_way(self, now: float) -> bool:
        """Return whether it may still be dealt with."""
        return now - self.time < self.busy + self.late


def choose(pruned: tuple[Pruned, ...], new: Pruned) -> tuple[Pruned, ...]:
    """Return who was chosen lately, with one more.

    Who was chosen by a milder rule is dealt with by this one from here on, or goes on after it.
    """
    kept: list[Pruned] = []
    sure = new.busy > 0
    for each in pruned:
        if each.resource != new.resource:
            kept.append(each)
        elif each.key == new.key:
            kept += [each] if each.gravity < new.gravity else []
        elif each.gravity > new.gravity and each.in_the_way(new.time):
            kept.append(each._replace(late=each.late + new.busy))
        else:
            sure = sure and not each.in_the_way(new.time)
            kept.append(each)
    return *kept, new._replace(sure=sure)


def must_wait(pruned: tuple[Pruned, ...], resource: str, gravity: int, cooldown_seconds: float, now: float) -> bool:
    """Return whether nobody may be chosen for a resource now: one is dealt with, or was a moment ago.

    Args:
        pruned: Who was chosen lately.
        resource: What is to be freed.
        gravity: Of the rule that asks; it waits for nobody whom a milder one chose.
        cooldown_seconds: How long it waits for the effect, whoever was chosen.
        now: Monotonic time.
    """
    least = max(cooldown_seconds, 1e-9)
    return any(
        each.resource == resource and each.gravity <= gravity and now - each.time < max(least, each.busy)
        for each in pruned
    )


def in_vain(pruned: tuple[Pruned, ...], resource: str, gravity: int, now: float) -> dict[str, float]:
    """Return the seconds since somebody was chosen who is passed over now, by key; arguments as in `must_wait`.

    What a milder rule has done does not spare anybody: it may only have told him.
    """
    return {
        each.key: now - each.time
        for each in pruned
        if each.sure
        and each.resource == resource
        and each.gravity <= gravity
        and now - each.time < each.busy + UNKILLABLE_SECONDS
    }


def hold_up(pruned: tuple[Pruned, ...], by: str, now: float, seconds: float) -> tuple[Pruned, ...]:
    """Return who was chosen lately after a time in which an instance was clearing, so that nothing more was done."""
    return tuple(
        each._replace(late=each.late + seconds) if each.by == by and each.in_the_way(now - seconds) else each
        for each in pruned
    )


def call_off(pruned: tuple[Pruned, ...], by: str, now: float) -> tuple[Pruned, ...]:
    """Return who was chosen lately after an instance has recovered: what was done for it was undone."""
    return tuple(
        each._replace(busy=min(each.busy, now - each.time), late=0.0, sure=False) if each.by == by else each
        for each in pruned
    )


def remembered(pruned: tuple[Pruned, ...], now: float) -> tuple[Pruned, ...]:
    """Return those who still matter."""
    return tuple(
        each
        for each in pruned
        if now - each.time <= max(_REMEMBERED_SECONDS, each.busy + max(each.late, UNKILLABLE_SECONDS))
    )


def asks_first(tick: Tick, target: Candidate) -> bool:
    """Return whether workloads may be registered in a target: those are asked first, and awaited."""
    if not tick.workloads:
        return False
    snapshot = tick.snapshot
    running = {each.pid: each for each in snapshot.processes.items} if snapshot and snapshot.processes else {}
    return any(_is_in(each, running.get(each.pid or -1), target) for each in tick.workloads)


def _is_in(workload: Workload, process: Process | None, target: Candidate) -> bool:
    place, whole = f"{target.cgroup}/", target.key.startswith("/")
    if workload.cgroup is not None and place.startswith(f"{workload.cgroup}/"):
        return True
    if whole:
        lives = workload.cgroup or (process.cgroup if process is not None else None)
        return lives is not None and f"{lives}/".startswith(place)
    if target.scope is Scope.USER:
        return process is not None and process.uid == target.uid
    if target.scope is Scope.TREE:  # all of a tree have one user and one cgroup
        return process is not None and (process.uid, process.cgroup) == (target.uid, target.cgroup)
    return workload.pid == target.pid
