"""Registered workloads are asked to give way by themselves before anything is done to them, and awaited."""

from collections.abc import Mapping

from resourced.actions.claims import Backoff
from resourced.actions.course import Asked, Course, Leaseholder, Pending, Settings, Status, World, measured
from resourced.actions.telling import Teller
from resourced.decision import Request, Step
from resourced.policy import Look, seconds_until_gone

_SPENT_SECONDS = 900.0
"""A process that gave its lease up when it was asked is not asked again so soon: a word alone frees nothing."""
_AGAIN_SECONDS = 1.0
"""How often the deadline is thought about anew while somebody is awaited."""
_REASON_LENGTH = 500


class Asking:
    """Asks, waits, and takes note of answers.

    Args:
        world: Has the workloads.
        tell: Says what was done.
    """

    def __init__(self, world: World, tell: Teller) -> None:
        self._world = world
        self._tell = tell
        self._spent = Backoff()

    def begin(self, course: Course, look: Look, now: float, settings: Settings) -> bool:
        """Ask the workloads in a course's target, once; return whether somebody is awaited.

        Args:
            course: Whose next step has to wait.
            look: What was seen of the target now.
            now: CLOCK_MONOTONIC.
            settings: How long they may take.
        """
        found = self._world.workloads.approach(course.candidate, look, course.resource)
        holders = tuple(each for each in found if not self._spent.left_alone(_process(each), now))
        names = ", ".join(each.name for each in holders)
        pending = Pending(Step.NOTIFY, f"asked {names} to give way", now, look.left, look.usage)
        course.asked = asked = Asked(course.decision.id, holders, pending, now)
        if not holders:
            asked.over = True
            return False
        asked.exhausted = self._exhausted(asked, look, now)
        self._set_due(course, asked, now, settings)
        clock = self._world.clock
        for each in holders:
            grace, deadline = min(each.grace_seconds, settings.grace_limit_seconds), clock.wall() + course.due - now
            self._world.workloads.ask(each.id, _request(course, grace, clock.wall(), deadline))
            told = {"workload": each.name, "seconds": round(max(0.0, course.due - now), 1)}
            self._tell.event("workload_told", course, **told)
        self._tell.outcome(course, "done", pending.detail, Step.NOTIFY, quietly=True)
        return True

    def not_before(self, course: Course, least: float, settings: Settings) -> None:
        """Let the next step wait at least so long: others were told something too."""
        if course.asked is not None:
            course.asked.least = least
            self._set_due(course, course.asked, self._world.clock.monotonic(), settings)

    def look(self, course: Course, now: float, settings: Settings) -> bool:
        """Hear what those who were asked have answered; return whether all of them have gone by themselves."""
        asked = course.asked
        if asked is None or asked.over or course.status is not Status.RUNNING:
            return False
        said = {each.id: self._world.workloads.has_acknowledged(each.id, asked.decision) for each in asked.holders}
        for each in asked.holders:
            if said[each.id] is None:
                self._spent.leave(_process(each), now, _SPENT_SECONDS)
        if all(each is None for each in said.values()):
            return True
        if now < asked.due:
            self._wait_on(course, asked, said, now, settings)
        return False

    def overdue(self, course: Course, now: float) -> None:
        """Take note, once, that the next step is taken though somebody who was asked is still there."""
        asked = course.asked
        if asked is None or asked.over:
            return
        asked.over = True
        waited = now - asked.pending.began
        for each in asked.holders:
            said = self._world.workloads.has_acknowledged(each.id, asked.decision)
            if said is not None:
                told = f"{each.name} {'has not left' if said else 'has not answered'} within {waited:.1f} s"
                self._tell.outcome(course, "expired", told, Step.NOTIFY, quietly=True)
                self._tell.event("workload_overdue", course, workload=each.name, detail=told)

    def hurry(self, course: Course, now: float) -> None:
        """Wait no longer."""
        if course.asked is not None and not course.asked.over:
            course.asked.due = min(course.asked.due, now)
            course.due = min(course.due, now)

    def withdraw(self, course: Course, reason: str) -> None:
        """Ask no longer."""
        asked, course.asked = course.asked, None
        if asked is None:
            return
        for each in asked.holders:
            if self._world.workloads.has_acknowledged(each.id, asked.decision) is not None:
                self._world.workloads.withdraw(each.id, asked.decision, reason)
                self._tell.event("workload_withdrawn", course, workload=each.name, reason=reason)

    def called_off(self, course: Course, why: str) -> None:
        """Tell what the waiting has brought if it ends because nothing has to be done any more."""
        asked = course.asked
        if asked is not None and not asked.over:
            now = self._world.look(course.decision, course.candidate, fresh=False)
            self._tell.effect(course, asked.pending, measured(asked.pending, now), why)

    def _wait_on(
        self, course: Course, asked: Asked, said: Mapping[str, bool | None], now: float, settings: Settings
    ) -> None:
        new = [each for each in asked.holders if said[each.id] and each.id not in asked.acknowledged]
        for each in new:
            asked.acknowledged.add(each.id)
            self._tell.outcome(course, "done", f"{each.name} has acknowledged", Step.NOTIFY, quietly=True)
            self._tell.event("workload_acknowledged", course, workload=each.name)
        if not new and now - asked.looked < _AGAIN_SECONDS:
            return
        asked.looked = now
        look = self._world.look(course.decision, course.candidate, fresh=False)
        asked.exhausted = self._exhausted(asked, look, now)
        there = [each for each in asked.holders if said[each.id] is not None]
        asked.holders = tuple(there)
        self._set_due(course, asked, now, settings)
        deadline = self._world.clock.wall() + course.due - now
        for each in there:
            self._world.workloads.move(each.id, asked.decision, deadline)

    def _set_due(self, course: Course, asked: Asked, now: float, settings: Settings) -> None:
        """The next step follows when the last of them has had its time, or when what is left may not last longer."""
        spans = []
        for each in asked.holders:
            grace = min(each.grace_seconds, settings.grace_limit_seconds)
            spans.append(grace if each.id in asked.acknowledged else min(grace, settings.patience_seconds))
        asked.due = asked.pending.began + max(spans, default=0.0)
        if asked.exhausted is not None:
            asked.due = min(asked.due, asked.exhausted - _reserve(course, settings))
        course.due = max(asked.due, asked.least)
        key, until = course.candidate.key, max(course.due, now)
        self._world.claims.take(course.resource, key, course.gravity, now, until, owner="machine")

    @staticmethod
    def _exhausted(asked: Asked, look: Look, now: float) -> float | None:
        """Return when nothing is left at the steeper of two slopes: of the last half minute, and since the asking."""
        lately = seconds_until_gone(asked.pending.left, look.left, now - asked.pending.began)
        known = [each for each in (look.seconds_left, lately) if each is not None]
        return now + min(known) if known else None


def _reserve(course: Course, settings: Settings) -> float:
    """Return the time that ending the target may take: what it is given to answer SIGTERM, and to settle."""
    graces = [rung.grace_seconds for rung in course.rule.rungs if rung.step is Step.TERMINATE]
    return settings.settle_seconds + max(graces, default=0.0)


def _process(holder: Leaseholder) -> str:
    return f"{holder.pid}:{holder.start_time_ticks}"


def _request(course: Course, grace_seconds: float, time: float, deadline: float) -> Request:
    decision = course.decision
    steps = tuple(rung.step for rung in course.rule.rungs if rung.step not in (*course.taken, Step.NOTIFY))
    return Request(
        decision.id,
        decision.rule,
        decision.level,
        course.resource,
        str(decision)[:_REASON_LENGTH],
        time,
        deadline,
        grace_seconds,
        steps,
    )
