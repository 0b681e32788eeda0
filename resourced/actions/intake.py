"""Decisions that come in, and people's word on them: which run, which wait, which are called off."""

import contextlib

from resourced.actions.asking import Asking
from resourced.actions.course import ENDING, FREEING, Asked, Course, Pending, Settings, Status, World
from resourced.actions.easing import Easing
from resourced.actions.holds import Holds
from resourced.actions.ledger import Change
from resourced.actions.target import Target
from resourced.actions.telling import Teller
from resourced.actions.terminate import holds_on
from resourced.decision import Decision, Mode, Step
from resourced.errors import ActionFailed, ActionRefused
from resourced.policy import Look, Need, Rule, Rung

_ACTING = (Mode.ADVISE, Mode.ENFORCE)
_VETOED_SECONDS = 900.0
"""How long a target of which somebody said no is left alone."""


class Intake:
    """The decisions on their way, and how they got there.

    Args:
        world: What is seen and done.
        settings: How steps are taken.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self.settings = settings
        self.courses: list[Course] = []
        self._world = world
        self._tell = Teller(world)
        self._holds = Holds(world, self._tell)
        self._easing = Easing(world, self._tell)
        self._asking = Asking(world, self._tell)
        self._backoff = world.claims.backoff
        self._acted: dict[str, tuple[float, str, int]] = {}

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return what is in force and can be undone."""
        return self._world.ledger.changes

    def submit(self, decision: Decision) -> None:
        """Take a decision: it runs, waits for approval, or only is what it says, as its mode has it."""
        rule = self._rule(decision)
        if rule is None or not rule.prunes or decision.target is None or decision.mode not in _ACTING:
            return
        if any(each.decision.id == decision.id for each in self.courses):
            return  # the guard was first
        now = self._now()
        course = Course(decision, rule, decision.target, Status.RUNNING, now)
        if decision.mode is Mode.ADVISE:
            if self._replaces(course):
                course.status, course.due = Status.WAITING, now + self.settings.approval_seconds
                self.courses.append(course)
                self._tell.event("approval_needed", course)
            return
        busy = [each for each in self._with(Status.RUNNING) if each.resource == course.resource]
        before = next((each for each in busy if each.gravity <= course.gravity), None)
        if before is not None:
            self._tell.outcome(course, "called_off", f"{before.candidate.name} is being dealt with already")
            return
        if not self._replaces(course):
            return
        for each in busy:
            if each.candidate.key == decision.target.key:
                self._go_on(each, course, now)
        self.courses.append(course)

    def _replaces(self, course: Course) -> bool:
        """Let a new course take the place of one that waits; return whether it does, since that is about another."""
        decision = course.decision
        for each in self._with(Status.WAITING):
            if (each.decision.rule, each.decision.instance) != (decision.rule, decision.instance):
                continue
            if each.decision.mode is decision.mode and each.candidate.key == course.candidate.key:
                told = f"decision {each.decision.id} waits for approval already, and is about the same"
                self._tell.outcome(course, "called_off", told, quietly=True)
                return False
            self._tell.outcome(each, "expired", "a newer decision took its place")
            if each.taken:  # what was done to it holds as long as the rule fires
                self._watch(each)
            else:
                self._close(each)
        return True

    def adopt(self, decision: Decision, target: Target, step: Step, detail: str, look: Look, began: float) -> None:
        """Go on with what the guard has begun by itself: it has taken a step already.

        Args:
            decision: Why.
            target: Whom.
            step: What was done.
            detail: The same for a person.
            look: What was seen before.
            began: When, CLOCK_MONOTONIC.
        """
        rule = self._rule(decision)
        if rule is None or decision.target is None:
            target.close()
            return
        for each in self._with(Status.RUNNING):
            if each.resource == rule.resource and each.candidate.key == decision.target.key:
                self._supersede(each)
        course = Course(decision, rule, decision.target, Status.RUNNING, began, target)
        before = Pending(step, detail, began, look.left, look.usage)
        course.asked = Asked(decision.id, (), before, began, over=True)  # there was no time to ask
        self._world.claims.release(rule.resource, decision.target.key)
        self.courses.append(course)
        order = list(Step)
        course.taken = [each.step for each in rule.rungs if order.index(each.step) < order.index(step)]
        rung = next((each for each in rule.rungs if each.step is step), Rung(step, 0.0))
        self._took(course, rung, detail, look, began)
        claims, key = self._world.claims, course.candidate.key
        claims.take(course.resource, key, course.gravity, began, course.due, owner="machine")
        # It may have been frozen or limited in the very moment in which the guard let it go.
        self._easing.end(key)
        for change in reversed(holds_on(self._world.ledger, target)):
            with contextlib.suppress(ActionFailed):
                self._world.ledger.put_back(change)
        self._world.workloads.approach(course.candidate, look, course.resource)  # wakes who waits for pressure

    def approve(self, identity: str, who: str) -> None:
        """Let a decision that waits run.

        Raises:
            ActionRefused: It doesn't wait, or is no longer wanted.
        """
        course = self._waiting(identity)
        if self._world.need(course.decision) is Need.OVER:
            raise ActionRefused(f"rule {course.decision.rule} has recovered: nothing needs to be done any more")
        other = next((e for e in self._with(Status.RUNNING) if e.candidate.key == course.candidate.key), None)
        if other is not None:
            raise ActionRefused(
                f"{course.candidate.name} is being dealt with already, for decision {other.decision.id}"
            )
        course.status, course.due, course.approved_by = Status.RUNNING, self._now(), who
        self._tell.event("approved", course, caller=who)

    def veto(self, identity: str, who: str) -> None:
        """Call a decision off, whether it waits or is under way; what can be undone is undone.

        Raises:
            ActionRefused: Nothing is done for it, or all that was done can't be undone.
        """
        course = next((each for each in self.courses if each.decision.id == identity), None)
        if course is None:
            raise ActionRefused("nothing waits or is under way for this decision; resourcectl actions lists what is")
        self._backoff.leave(course.candidate.key, self._now(), _VETOED_SECONDS)
        self._world.ledger.leave_alone(self._backoff.kept(self._now()))
        self._tell.event("vetoed", course, caller=who)
        self._tell.outcome(course, "called_off", f"refused by {who}")
        for each in [each for each in self.courses if each.candidate.key == course.candidate.key]:
            self._close(each, f"refused by {who}")
        self._easing.end(course.candidate.key)
        self._sweep()
        self._world.ledger.flush()

    def thaw(self, identity: str, who: str) -> None:
        """Let what a decision has frozen run on; all else stays as it is, and the next rung comes when it is due.

        Raises:
            ActionRefused: Nothing is frozen for it, or the kernel refuses.
        """
        frozen = [each for each in self.changes if each.decision == identity and each.step is Step.FREEZE]
        if not frozen:
            raise ActionRefused("nothing is frozen for this decision; resourcectl freeze list lists what is")
        if not self._holds.undo(frozen, f"thawed by {who}"):
            raise ActionRefused(f"{frozen[0].target} can't be thawed now, which is tried again; the journal says why")

    def hurry(self, resource: str) -> None:
        """Cut short the time that the gravest decisions leave to a target for what was done to it, short of killing."""
        for course in self._with(Status.RUNNING):
            if course.gravity != 0 or course.resource != resource:
                continue
            self._asking.hurry(course, self._now())
            if course.taken and course.taken[-1] is not Step.KILL:
                course.due = min(course.due, self._now())

    def _took(self, course: Course, rung: Rung, detail: str, look: Look, began: float) -> None:
        ends = rung.step in ENDING and not any(each in ENDING for each in course.taken)
        course.taken.append(rung.step)
        wait = max(rung.grace_seconds, self.settings.settle_seconds if rung.step in FREEING else 0.0)
        course.due = began + wait
        if rung.step in FREEING:
            self._acted[course.resource] = (began, course.candidate.key, course.gravity)
            course.pending.append(Pending(rung.step, detail, began, look.left, look.usage))
        else:
            self._tell.outcome(course, "done", detail, rung.step, quietly=True)
            claims, key = self._world.claims, course.candidate.key
            claims.take(course.resource, key, course.gravity, began, course.due, owner="machine")
        if ends:
            clock = self._world.clock
            self._world.ledger.count_end(clock.boottime(), self.settings.kill_interval_seconds)
        self._tell.step(course, rung.step, detail)

    def _go_on(self, before: Course, course: Course, now: float) -> None:
        """Let a graver course go on where one with the same target stands.

        What was done to the target stays, since it belongs to the target; whom it was asked of is awaited no longer
        than before.
        """
        course.asked, before.asked = before.asked, None
        if course.asked is not None and not course.asked.over:
            course.due = max(now, course.asked.due)
        self._supersede(before)

    def _supersede(self, course: Course) -> None:
        for pending in course.pending:
            self._tell.effect(course, pending, None, "a graver decision went on from there")
        self._close(course)

    def _close(self, course: Course, why: str = "nothing more is asked") -> None:
        course.status = Status.OVER
        self._asking.withdraw(course, why)
        self._world.claims.release(course.resource, course.candidate.key)
        if course in self.courses:
            self.courses.remove(course)
        if course.target is not None:
            course.target.close()
            course.target = None

    def _watch(self, course: Course) -> None:
        """Do nothing more but what keeps up what was done, until the rule has recovered; once for each target."""
        about = (course.rule.name, course.decision.instance, course.candidate.key)
        for each in self._with(Status.WATCHING):
            if not each.pending and (each.rule.name, each.decision.instance, each.candidate.key) == about:
                self._close(each)
        course.status = Status.WATCHING

    def _sweep(self) -> None:
        """Put back what nobody asks for any more."""
        self._holds.sweep(self._held_keys(), self._easing.keys)

    def _held_keys(self) -> frozenset[str]:
        return frozenset(each.candidate.key for each in self.courses if each.taken or each.status is not Status.WAITING)

    def _with(self, *statuses: Status) -> list[Course]:
        return [each for each in self.courses if each.status in statuses]

    def _waiting(self, identity: str) -> Course:
        course = next((each for each in self._with(Status.WAITING) if each.decision.id == identity), None)
        if course is None:
            raise ActionRefused("this decision does not wait for anybody's word (any more)")
        return course

    def _rule(self, decision: Decision) -> Rule | None:
        return next((each for each in self._world.rules() if each.name == decision.rule), None)

    def _now(self) -> float:
        return self._world.clock.monotonic()
