"""One decision on its way down the ladder, and what the machine that moves it needs of the world."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from resourced.actions.base import Action
from resourced.actions.claims import Claims
from resourced.actions.ledger import Ledger
from resourced.actions.target import Target
from resourced.clock import Clock
from resourced.decision import Candidate, Decision, Mode, Outcome, Request, Step
from resourced.policy import Look, Need, Rule
from resourced.policy.judge import GRAVITY
from resourced.policy.ranking import eligible

FREEING = (Step.RECLAIM, Step.THROTTLE, Step.FREEZE, Step.TERMINATE, Step.KILL)
"""Steps whose effect is awaited before anybody else is touched for the same resource."""
ENDING = (Step.TERMINATE, Step.KILL)
"""Steps that can't be undone, of which there may be only so many."""


class Status(StrEnum):
    """Where a course is."""

    WAITING = "waiting"
    """For somebody's approval."""
    RUNNING = "running"
    """A step was taken and its effect is awaited, or the next one is due."""
    WATCHING = "watching"
    """Nothing more is done; what can be undone is, when the rule has recovered."""
    OVER = "over"
    """Done with."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How steps are taken."""

    settle_seconds: float = 2.0
    """How long after a step the machine is left alone before its gain is measured and anybody else is touched."""
    terminals: bool = True
    """Whether owners of targets are told on their terminals."""
    throttle_seconds: float = 3600.0
    """Limits expire after this."""
    freeze_seconds: float = 900.0
    """What is frozen is thawed after this."""
    approval_seconds: float = 300.0
    """How long a decision waits for approval."""
    kill_limit: int = 10
    """Most targets that are terminated or killed in kill_interval_seconds."""
    kill_interval_seconds: float = 600.0
    """The time that kill_limit counts."""
    patience_seconds: float = 30.0
    """How long a registered workload that was asked to give way may take to acknowledge."""
    grace_limit_seconds: float = 300.0
    """How long one that has acknowledged may take at most, whatever it wishes."""


@dataclass(slots=True)
class Pending:
    """A step whose effect is not known yet."""

    step: Step
    detail: str
    began: float
    """CLOCK_MONOTONIC."""
    left: float | None
    """What the machine had left of the resource before."""
    usage: float | None
    """What the target held of it before."""
    ended: float | None = None
    """CLOCK_MONOTONIC when the target was seen to have ended."""


class Leaseholder(Protocol):
    """A registered workload, as much of it as the machine of courses has to know."""

    @property
    def id(self) -> str:
        """Its lease."""
        ...

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def pid(self) -> int:
        """Its process."""
        ...

    @property
    def start_time_ticks(self) -> int:
        """Start of the process."""
        ...

    @property
    def grace_seconds(self) -> float:
        """Time that it wants after being told."""
        ...


@dataclass(slots=True)
class Asked:
    """Those who were asked to give way before the first step, and how long they are awaited."""

    decision: str
    """Id of the decision for which they were asked."""
    holders: tuple[Leaseholder, ...]
    pending: Pending
    """What was before; ended when all have gone by themselves."""
    least: float
    """CLOCK_MONOTONIC before which the next step isn't due anyway."""
    due: float = 0.0
    """CLOCK_MONOTONIC until which they are awaited."""
    acknowledged: set[str] = field(default_factory=set)
    """Leases whose answer was taken note of."""
    exhausted: float | None = None
    """CLOCK_MONOTONIC at which nothing may be left of the resource; None if that can't be told."""
    looked: float = 0.0
    """CLOCK_MONOTONIC when that was last thought about."""
    over: bool = False
    """Nobody is awaited any more."""


@dataclass(slots=True)
class Course:
    """One decision on its way."""

    decision: Decision
    rule: Rule
    candidate: Candidate
    """Who is dealt with: the decision's target, or one after it if that can't be had."""
    status: Status
    due: float
    """CLOCK_MONOTONIC of what is next: a step, or the end of waiting."""
    target: Target | None = None
    taken: list[Step] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    """Keys of candidates that were tried in vain."""
    pending: list[Pending] = field(default_factory=list)
    approved_by: str | None = None
    pressed: float = 0.0
    """CLOCK_MONOTONIC when what was begun was last gone further with."""
    asked: Asked | None = None
    """Registered workloads that were asked first; None as long as nobody was looked for."""

    @property
    def gravity(self) -> int:
        """Return how grave it is: 0 is hard."""
        return GRAVITY[self.rule.level]

    @property
    def resource(self) -> str:
        """Return what is to be freed."""
        return self.rule.resource


class Workloads(Protocol):
    """Registered workloads, and how they are reached."""

    def approach(self, candidate: Candidate, look: Look, resource: str) -> Sequence[Leaseholder]:
        """Return who is registered in a target that will be dealt with, and wake who waits there for pressure."""
        ...

    def ask(self, lease_id: str, request: Request) -> None:
        """Ask a workload to give way."""
        ...

    def move(self, lease_id: str, decision: str, deadline: float) -> None:
        """Say that the next step follows earlier or later: at what wall time."""
        ...

    def has_acknowledged(self, lease_id: str, decision: str) -> bool | None:
        """Return whether a workload has said that it gives way; None if it has gone or was released."""
        ...

    def withdraw(self, lease_id: str, decision: str, reason: str) -> None:
        """Ask no longer."""
        ...


class World(Protocol):
    """What the machine of courses sees of the world and does to it."""

    @property
    def clock(self) -> Clock:
        """Tells the time."""
        ...

    @property
    def ledger(self) -> Ledger:
        """What can be undone."""
        ...

    @property
    def actions(self) -> Mapping[Step, Action]:
        """One a rung."""
        ...

    @property
    def claims(self) -> Claims:
        """Who may touch somebody next."""
        ...

    @property
    def workloads(self) -> Workloads:
        """Who is told before anything is done."""
        ...

    def rules(self) -> Sequence[Rule]:
        """Return the rules in force."""
        ...

    def need(self, decision: Decision) -> Need:
        """Return whether a decision is still wanted, by the newest sample."""
        ...

    def calm(self, decision: Decision) -> bool:
        """Return whether the condition of a decision's rule is known not to hold, by the newest sample."""
        ...

    def available(self) -> tuple[int, float] | None:
        """Return the number of the newest sample, and the bytes of memory left in it; None if they aren't known."""
        ...

    def look(self, decision: Decision, candidate: Candidate, *, fresh: bool) -> Look:
        """Look at a candidate again, by a sample that is taken now if `fresh`."""
        ...

    def open(self, candidate: Candidate, look: Look) -> Target:
        """Pin a candidate; raises TargetGone, ActionRefused or ActionFailed."""
        ...

    def interrupted(self) -> bool:
        """Return whether something new waits, so that what takes long must end."""
        ...

    def report(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write a line to the log."""
        ...

    def record(self, outcome: Outcome) -> None:
        """Remember what came of a step, and tell those who follow."""
        ...


def next_candidate(course: Course, busy: Collection[str], left_alone: Callable[[str], bool]) -> Candidate | None:
    """Return who comes next if a course's candidate can't be had; None if there is nobody.

    Args:
        course: With what was tried in vain.
        busy: Keys of those who are dealt with already.
        left_alone: Tells whether a key is left alone now.
    """
    for each in course.decision.candidates:
        if eligible(each) and each.key not in course.passed and each.key not in busy and not left_alone(each.key):
            return each
    return None


def measured(pending: Pending, now: Look) -> float | None:
    """Return what a step freed: what the machine has more of it, or, without such a number, what the target has less.

    Args:
        pending: The step, with what was before.
        now: What is seen once it has settled.
    """
    if pending.left is not None and now.left is not None:
        return now.left - pending.left
    if pending.usage is None:
        return None
    if not now.found:
        return pending.usage
    return None if now.usage is None else pending.usage - now.usage


def may_go_on(mode: Mode, course: Course) -> bool:
    """Return whether a rule of this mode lets the course go on."""
    if mode is Mode.ADVISE:
        return course.approved_by is not None or (course.status is Status.WAITING and not course.taken)
    return mode is Mode.ENFORCE
