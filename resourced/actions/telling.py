"""What is said of steps: outcomes for the history and those who follow, lines for the log."""

from typing import Any

from resourced.actions.course import ENDING, Course, Pending, World
from resourced.actions.ledger import Change
from resourced.decision import Outcome, Step
from resourced.journal import step_event
from resourced.policy import next_rung


class Teller:
    """Makes outcomes and events.

    Args:
        world: Where they go.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._troubled: dict[str, str] = {}

    def event(self, name: str, course: Course, **more: Any) -> None:
        """Report something about a course."""
        self._world.report(name, {**_about(course), **more})

    def step(self, course: Course, step: Step, detail: str) -> None:
        """Report that a step was taken."""
        self._world.report(step_event(step, "done"), {**_about(course), "step": step.value, "detail": detail})

    def outcome(
        self, course: Course, result: str, detail: str, step: Step | None = None, *, quietly: bool = False
    ) -> None:
        """Record what came of a step without an effect that could be measured: by default of the next one.

        Args:
            course: Of which decision.
            result: As in an outcome.
            detail: A sentence for a person.
            step: The step; the next one if None.
            quietly: Whether the log is spared.
        """
        step = step or _next_step(course)
        self._world.record(
            Outcome(
                course.decision.id,
                self._world.clock.wall(),
                step,
                result,
                course.candidate.name,
                expected_gain=course.candidate.expected_gain if result == "done" else None,
                detail=detail,
            )
        )
        if not quietly:
            told = {**_about(course), "step": step.value, "detail": detail}
            self._world.report(step_event(step, result), told)

    def effect(self, course: Course, pending: Pending, gain: float | None, note: str | None) -> None:
        """Record what came of a step, once it is known."""
        clock, detail = self._world.clock, note or ""
        duration: float | None = None
        if pending.ended is not None:
            duration = pending.ended - pending.began
        elif pending.step in ENDING and note is None:
            detail = f"it is still there after {clock.monotonic() - pending.began:.1f} s"
        self._world.record(
            Outcome(
                course.decision.id,
                clock.wall(),
                pending.step,
                "done",
                course.candidate.name,
                duration,
                course.candidate.expected_gain,
                gain,
                "; ".join(part for part in (pending.detail, detail) if part),
            )
        )

    def put_back(self, change: Change, result: str, detail: str) -> None:
        """Record that a change was put back, or that it can't be.

        Args:
            change: The change, or one of several of the same step.
            result: undone, expired or failed.
            detail: How that went.
        """
        now = self._world.clock.wall()
        self._world.record(Outcome(change.decision, now, change.step, result, change.target, detail=detail))
        about = {"decision": change.decision, "target": change.target, "step": change.step.value, "detail": detail}
        self._world.report(step_event(change.step, result), about)

    def trouble(self, course: Course, step: Step, error: Exception) -> None:
        """Report that a step can't be gone further with, once for each target and reason."""
        if self._troubled.get(course.candidate.key) != str(error):
            self._troubled = {course.candidate.key: str(error)}
            about = {**_about(course), "step": step.value, "detail": str(error)}
            self._world.report(step_event(step, "failed"), about)


def _about(course: Course) -> dict[str, Any]:
    candidate = course.candidate
    fields = {
        "target": candidate.name,
        "decision": course.decision.id,
        "rule": course.decision.rule,
        "pid": candidate.pid,
        "unit": candidate.unit,
        "uid": candidate.uid,
    }
    return {key: value for key, value in fields.items() if value not in (None, "")}


def _next_step(course: Course) -> Step:
    rung = next_rung(course.rule.rungs, course.taken)
    return rung.step if rung is not None else course.rule.rungs[-1].step
