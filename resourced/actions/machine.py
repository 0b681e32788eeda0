"""The machine that moves decisions down their ladders: one victim a pass, looked at again before each rung.

It has no thread and no clock of its own: `advance` does what is due and tells when to be called again. Nothing here
decides who must give way or when; that is asked of the policy anew each time.
"""

from dataclasses import replace

from resourced.actions.base import Order
from resourced.actions.course import ENDING, FREEING, Asked, Course, Status, may_go_on, measured, next_candidate
from resourced.actions.intake import Intake
from resourced.actions.target import Target
from resourced.decision import Mode, Step
from resourced.errors import ActionFailed, ActionRefused, StepImpossible, TargetGone
from resourced.policy import Look, Need, Rung, next_rung

_AGAIN_SECONDS = 1.0
"""How soon it is looked again while it can't be told whether a decision is still wanted, and at what is held."""


class Machine(Intake):
    """All decisions on their way.

    Args:
        world: What is seen and done.
        settings: How steps are taken.
    """

    def advance(self) -> float | None:
        """Do what is due; return in how many seconds to be called again, None if nothing is under way."""
        now = self._now()
        for course in list(self.courses):
            try:
                self._settle(course, now)
                self._recover(course, now)
                self._hear(course, now)
                self._press(course, now)
            except Exception as error:  # noqa: BLE001 - the border of acting: a fault ends this course and no other
                self._fail(course, _fault(error), now, more=False)
        self._act(now)
        self._holds.expire()
        self._easing.advance(self.courses, self._held_keys(), now)
        self._sweep()
        self._world.ledger.flush()
        return self._next(self._now())

    def end(self) -> None:
        """Put back all that can be put back, and let go."""
        for course in list(self.courses):
            for pending in course.pending:
                self._tell.effect(course, pending, None, "the daemon ends before the effect was known")
            self._close(course, "the daemon ends")
        self._easing.end()
        self._sweep()
        self._world.ledger.flush()

    def descriptors(self) -> list[int]:
        """Return descriptors that become readable when a process ends whose end is awaited."""
        return [
            descriptor
            for course in self._with(Status.RUNNING)
            if course.target is not None and any(each.step in ENDING and each.ended is None for each in course.pending)
            for descriptor in course.target.descriptors()
        ]

    # What is under way

    def _settle(self, course: Course, now: float) -> None:
        """Tell the effect of steps once it is known."""
        for pending in list(course.pending):
            if pending.step in ENDING:
                if pending.ended is None and (course.target is None or not course.target.alive):
                    pending.ended = now
                over = now >= (course.due if pending.ended is None else pending.ended + self.settings.settle_seconds)
            else:
                over = now >= (pending.ended or pending.began) + self.settings.settle_seconds
            if over:
                course.pending.remove(pending)
                look = self._world.look(course.decision, course.candidate, fresh=True)
                gain = measured(pending, look)
                self._tell.effect(course, pending, gain, None)
                if pending.step is Step.NOTIFY:
                    self._tell.event("workload_yielded", course, detail=pending.detail, freed=gain)
                    self._close(course)
                    return
        touched = course.target is not None and any(step in FREEING for step in course.taken)
        if touched and not course.pending and course.target is not None and not course.target.alive:
            self._close(course)

    def _recover(self, course: Course, now: float) -> None:
        """End what is no longer wanted, allowed or awaited."""
        if course.status is Status.WAITING and course.decision.mode is Mode.ENFORCE and not self._limit():
            course.status, course.due = Status.RUNNING, now  # some of those who were ended are long ago by now
        if course.status is Status.WAITING and now >= course.due:
            self._tell.outcome(course, "expired", "nobody approved it in time")
            if course.taken:  # it waits only to go on; what was done before holds
                self._watch(course)
            else:
                self._close(course)
        if course.status is Status.OVER:
            return
        rule = self._rule(course.decision)
        if self._world.need(course.decision) is Need.OVER:
            self._easing.begin(course)
            self._call_off(course, "the rule has recovered")
        elif rule is None or not may_go_on(rule.mode, course):
            self._call_off(course, f"the mode of the rule is {rule.mode if rule else 'off'} now")

    def _hear(self, course: Course, now: float) -> None:
        """Wait for those who were asked to give way; if all have done so, nothing more is done."""
        if self._asking.look(course, now, self.settings) and course.asked is not None:
            self._yielded(course, course.asked, now)

    def _yielded(self, course: Course, asked: Asked, now: float) -> None:
        asked.over, asked.pending.ended = True, now
        course.pending.append(asked.pending)
        course.status = Status.WATCHING
        key, gravity = course.candidate.key, course.gravity
        self._acted[course.resource] = (now, key, gravity)
        self._world.claims.take(course.resource, key, gravity, now, now + self.settings.settle_seconds, owner="machine")

    def _call_off(self, course: Course, why: str) -> None:
        self._asking.called_off(course, why)
        if course.status in (Status.WAITING, Status.RUNNING) and next_rung(course.rule.rungs, course.taken):
            self._tell.outcome(course, "called_off", why)
        # The effect of what can't be undone is still awaited, so that it is told; nothing more is done.
        if any(pending.step in ENDING or pending.step is Step.NOTIFY for pending in course.pending):
            course.status = Status.WATCHING
        else:
            self._close(course, why)

    def _press(self, course: Course, now: float) -> None:
        if course.status not in (Status.RUNNING, Status.WATCHING) or now - course.pressed < _AGAIN_SECONDS:
            return
        course.pressed = now
        if self._world.need(course.decision) is not Need.FIRING:
            return
        if course.target is None or not self._world.ledger.of(course.target.key):
            return
        for step in course.taken:
            try:
                self._world.actions[step].press(self._order(course, course.target, step))
            except (TargetGone, ActionFailed, ActionRefused) as error:
                self._tell.trouble(course, step, error)

    # Acting

    def _act(self, now: float) -> None:
        due = [each for each in self._with(Status.RUNNING) if each.due <= now]
        for course in sorted(due, key=lambda each: (each.gravity, each.due)):
            wait = self._blocked(course, now)
            if wait > 0:
                course.due = now + wait
                continue
            try:
                if self._step(course, now):
                    return
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(course, _fault(error), now, more=False)

    def _blocked(self, course: Course, now: float) -> float:
        """Return for how many seconds somebody else must be awaited: a graver course, one before, or its effect."""
        running = [each for each in self._with(Status.RUNNING) if each.resource == course.resource]
        if min(running, key=lambda each: each.gravity) is not course:
            return _AGAIN_SECONDS
        at, key, gravity = self._acted.get(course.resource, (-1e9, "", 9))
        if key == course.candidate.key or gravity > course.gravity:
            return 0.0
        return at + self.settings.settle_seconds - now

    def _step(self, course: Course, now: float) -> bool:
        """Take the next rung of a course, if it is still wanted; return whether anything was done to anybody."""
        look = self._world.look(course.decision, course.candidate, fresh=True)
        if look.need is Need.OVER or not may_go_on(look.mode, course):
            self._recover(course, now)
            return False
        if look.need is not Need.FIRING:
            course.due = now + _AGAIN_SECONDS
            return False
        try:
            target = self._hold(course, look, now)
            if course.asked is None and self._ask(course, target, look, now):
                return True
            self._asking.overdue(course, now)
            return self._climb(course, target, look, now)
        except TargetGone as error:
            self._gone(course, error, now)
        except ActionRefused as error:
            self._tell.outcome(course, "refused", str(error))
            self._another(course, now)
        except ActionFailed as error:
            self._fail(course, error, now)
        return False

    def _climb(self, course: Course, target: Target, look: Look, now: float) -> bool:
        """Take the next rung that means something for the target; return whether anything was done."""
        while (rung := next_rung(course.rule.rungs, course.taken)) is not None:
            if self._too_many(course, rung.step) or not self._claim(course, rung, now):
                return False
            if self._take(course, target, rung, look):
                return True
        self._bottom(course, now)
        return False

    def _ask(self, course: Course, target: Target, look: Look, now: float) -> bool:
        """Ask registered workloads first, at once with whom the first rung tells; return whether they are awaited."""
        if not self._asking.begin(course, look, now, self.settings):
            return False
        rung = next_rung(course.rule.rungs, course.taken)
        if rung is not None and rung.step is Step.NOTIFY and self._take(course, target, rung, look):
            self._asking.not_before(course, course.due, self.settings)
        return True

    def _hold(self, course: Course, look: Look, now: float) -> Target:
        """Return the target, pinned and looked over at this very moment."""
        if look.protected is not None:
            raise ActionRefused(look.protected)
        if course.target is None and self._backoff.left_alone(course.candidate.key, now):
            raise ActionRefused("it is left alone for a while, since nothing could be had of it")
        if course.target is None and not look.found:
            raise TargetGone(f"{course.candidate.name} has gone")
        if course.target is None or (course.target.cgroup is None and look.found):
            # A tree or a user may have got new processes since.
            before, course.target = course.target, self._world.open(course.candidate, look)
            if before is not None:
                before.close()
        if not course.target.alive:
            raise TargetGone(f"{course.candidate.name} has no living process any more")
        course.target.check()
        return course.target

    def _claim(self, course: Course, rung: Rung, now: float) -> bool:
        """Return whether it may be touched now: the guard may have begun with somebody else a moment ago."""
        if rung.step not in FREEING:
            return True
        until = now + max(rung.grace_seconds, self.settings.settle_seconds)
        if self._world.claims.take(course.resource, course.candidate.key, course.gravity, now, until, owner="machine"):
            return True
        course.due = now + _AGAIN_SECONDS
        return False

    def _too_many(self, course: Course, step: Step) -> bool:
        """Return whether nobody may be ended any more without a word of somebody, for which it waits then."""
        if step not in ENDING or any(each in ENDING for each in course.taken) or course.approved_by is not None:
            return False
        if not (reached := self._limit()):
            return False
        told = f"{reached}; {course.candidate.name} would be next, somebody must look"
        self._tell.outcome(course, "refused", told, step)
        self._wait_for_a_word(course)
        return True

    def _limit(self) -> str:
        """Return in words that no more may be ended for now; nothing if some may."""
        settings = self.settings
        lately = self._world.ledger.recent(self._world.clock.boottime(), settings.kill_interval_seconds)
        if len(lately) < settings.kill_limit:
            return ""
        return f"{len(lately)} targets were ended within {settings.kill_interval_seconds:.0f} s, which is the limit"

    def _wait_for_a_word(self, course: Course) -> None:
        course.status, course.due = Status.WAITING, self._now() + self.settings.approval_seconds
        self._world.claims.release(course.resource, course.candidate.key)
        self._tell.event("approval_needed", course)

    def _take(self, course: Course, target: Target, rung: Rung, look: Look) -> bool:
        try:
            detail = self._world.actions[rung.step].take(self._order(course, target, rung.step))
        except StepImpossible as error:
            course.taken.append(rung.step)
            self._tell.outcome(course, "called_off", str(error), rung.step, quietly=True)
            return False
        self._took(course, rung, detail, look, self._now())
        return True

    def _bottom(self, course: Course, now: float) -> None:
        """The whole ladder was taken and the rule fires on."""
        if any(step in ENDING for step in course.taken):
            self._fail(course, ActionFailed("it is still there"), now, more=False)
        else:
            self._watch(course)

    def _gone(self, course: Course, error: TargetGone, now: float) -> None:
        """It left by itself, or because it was asked to. What it held comes free, so nobody else is touched for now."""
        if course.asked is not None and course.asked.holders and not any(step in FREEING for step in course.taken):
            self._yielded(course, course.asked, now)
            return
        if not any(step in ENDING for step in course.taken):
            self._tell.outcome(course, "called_off", str(error))
        if not any(step in FREEING for step in course.taken):
            self._backoff.leave(course.candidate.key, now)
            self._another(course, now)
        elif course.pending:
            course.status = Status.WATCHING
        else:
            self._close(course)

    def _fail(self, course: Course, error: ActionFailed, now: float, *, more: bool = True) -> None:
        self._backoff.leave(course.candidate.key, now)
        self._tell.outcome(course, "failed", str(error), None if more or not course.taken else course.taken[-1])
        if more:
            self._another(course, now)
        else:
            self._close(course)

    def _another(self, course: Course, now: float) -> None:
        """Turn to the next candidate: one that can't be had must not save all others."""
        course.passed.add(course.candidate.key)
        self._world.claims.release(course.resource, course.candidate.key)
        busy = {each.candidate.key for each in self.courses if each is not course}
        candidate = next_candidate(course, busy, lambda key: self._backoff.left_alone(key, now))
        if candidate is None:
            self._close(course)
            return
        self._asking.withdraw(course, "somebody else is dealt with instead")
        if course.target is not None:
            course.target.close()
        course.target, course.candidate, course.taken, course.pending = None, candidate, [], []
        course.decision, course.due = replace(course.decision, target=candidate), now
        if course.approved_by is not None:  # that was for somebody else
            course.approved_by = None
            if course.decision.mode is Mode.ADVISE:
                self._wait_for_a_word(course)

    def _order(self, course: Course, target: Target, step: Step) -> Order:
        settings, world = self.settings, self._world
        expires = settings.freeze_seconds if step is Step.FREEZE else settings.throttle_seconds
        about = course.decision, course.resource, target, world.ledger
        return Order(*about, expires, settings.terminals, world.interrupted)

    # The rest

    def _next(self, now: float) -> float | None:
        if not self.courses and not self._world.ledger.changes:
            return None
        settle = self.settings.settle_seconds
        moments = [each.due for each in self._with(Status.RUNNING)]
        moments += [(p.ended or p.began) + settle for each in self.courses for p in each.pending]
        return max(0.0, min([_AGAIN_SECONDS, *(at - now for at in moments)]))


def _fault(error: Exception) -> ActionFailed:
    return ActionFailed(f"a fault in resourced: {type(error).__name__}: {error}")
