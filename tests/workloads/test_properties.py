"""Registry and ladder together, against a plain model: whatever workloads say and whenever, promises are kept."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from resourced.actions import Machine
from resourced.decision import Candidate, Request, Scope
from resourced.errors import ActionRefused
from resourced.policy import Look, Need
from resourced.workloads import State
from tests.actions import fakes
from tests.actions.fakes import FakeWorld, Holder, decision, machine_of
from tests.workloads.fakes import Kit

NAMES = ("a", "b", "c")
TARGETS = ("one", "two")
PATIENCE, GRACE_LIMIT = 10.0, 40.0
RULE = fakes.rule("low", steps=({"step": "terminate", "grace": 5}, {"step": "kill", "grace": 5}))


@dataclass
class Model:
    """What a workload must be by all that was said."""

    target: str
    grace: float
    every: float | None
    heard: float
    asked: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When, and what it wished for then, by decision."""
    acknowledged: set[str] = field(default_factory=set)


class Told:
    """The registry as the machine of courses sees it: each workload lives in one target."""

    def __init__(self, machine: "Cooperating") -> None:
        self.all = machine

    def approach(self, candidate: Candidate, look: Look, resource: str) -> Sequence[Holder]:
        # Each as if it were a process of its own: of one that has given its lease up a word is taken only once.
        return [
            Holder(key, model.grace, crc32(key.encode()))
            for key, model in self.all.model.items()
            if f"{model.target}:1" == candidate.key
        ]

    def ask(self, lease_id: str, request: Request) -> None:
        self.all.kit.registry.ask(lease_id, request)
        model = self.all.model[lease_id]
        model.asked[request.decision] = self.all.kit.clock.now, model.grace

    def move(self, lease_id: str, decision: str, deadline: float) -> None:
        self.all.kit.registry.move(lease_id, decision, deadline)

    def has_acknowledged(self, lease_id: str, decision: str) -> bool | None:
        return self.all.kit.registry.has_acknowledged(lease_id, decision)

    def withdraw(self, lease_id: str, decision: str, reason: str) -> None:
        self.all.kit.registry.withdraw(lease_id, decision, reason)
        self.all.model[lease_id].asked.pop(decision, None)
        self.all.model[lease_id].acknowledged.discard(decision)


class World(FakeWorld):
    """A world whose workloads are those of a real registry."""

    workloads: Told  # type: ignore[assignment] # instead of the fake


class Cooperating(RuleBasedStateMachine):
    """Workloads that come, answer, fall silent and go; decisions, recoveries, crashes and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.kit = Kit(self.directory)
        self.model: dict[str, Model] = {}
        self.world = World(RULE)
        self.world.clock = self.kit.clock
        self.world.workloads = Told(self)
        self.machine = self.made()
        self.number = 0

    def made(self) -> Machine:
        return machine_of(self.world, patience_seconds=PATIENCE, grace_limit_seconds=GRACE_LIMIT)

    @rule(
        name=st.sampled_from(NAMES),
        place=st.sampled_from(TARGETS),
        grace=st.sampled_from([0.0, 5.0, 20.0, 100.0]),
        every=st.sampled_from([None, 15.0]),
    )
    def register(self, name: str, place: str, grace: float, every: float | None) -> None:
        lease = self.kit.register(name, grace_seconds=grace, heartbeat_seconds=every)
        before = self.model.get(lease.id)
        model = Model(place, grace, every, self.kit.clock.now)
        if before is not None:
            model.target, model.asked, model.acknowledged = before.target, before.asked, before.acknowledged
        self.model[lease.id] = model

    def named(self, name: str) -> str | None:
        """Return the id under which a name is registered."""
        leases = self.kit.registry.leases
        return next((key for key in self.model if leases[key].name == name), None)

    @rule(name=st.sampled_from(NAMES))
    def release(self, name: str) -> None:
        lease_id = self.named(name)
        if lease_id is not None:
            self.kit.registry.release(lease_id, "released")
            del self.model[lease_id]

    @rule(name=st.sampled_from(NAMES))
    def live(self, name: str) -> None:
        lease_id = self.named(name)
        if lease_id is not None:
            self.kit.registry.heartbeat(lease_id)
            self.model[lease_id].heard = self.kit.clock.now

    @rule(name=st.sampled_from(NAMES))
    def acknowledge(self, name: str) -> None:
        lease_id = self.named(name)
        if lease_id is None:
            return
        model = self.model[lease_id]
        if not model.asked:
            with pytest.raises(ActionRefused):
                self.kit.registry.acknowledge(lease_id, None)
            return
        self.kit.registry.acknowledge(lease_id, None)
        model.acknowledged |= set(model.asked)
        model.heard = self.kit.clock.now

    @rule(place=st.sampled_from(TARGETS))
    def decide(self, place: str) -> None:
        self.number += 1
        candidate = Candidate(Scope.PROCESS, f"{place}:1", place, usage=50.0)
        self.machine.submit(decision(RULE, candidate, number=self.number))

    @rule(name=st.sampled_from(NAMES), place=st.sampled_from(TARGETS), grace=st.sampled_from([5.0, 20.0, 100.0]))
    def squeeze(self, name: str, place: str, grace: float) -> None:
        """What matters in one, since chance seldom brings it together."""
        self.change_need(Need.FIRING)
        self.register(name, place, grace, None)
        self.decide(self.model[str(self.named(name))].target)
        self.pass_time(0.5)

    @rule(need=st.sampled_from([Need.FIRING, Need.FIRING, Need.HOLDING, Need.OVER]))
    def change_need(self, need: Need) -> None:
        self.world.needs["low"] = need

    @rule(seconds=st.sampled_from([0.5, 2.0, 6.0, 15.0]))
    def pass_time(self, seconds: float) -> None:
        ends = self.kit.clock.now + seconds
        while self.kit.clock.now < ends:
            self.kit.clock.now += 0.5
            self.kit.registry.tend()
            now = self.kit.clock.now
            self.model = {
                key: each for key, each in self.model.items() if each.every is None or now < each.heard + each.every
            }
            self.step()

    def step(self) -> None:
        """Let the machine do what is due, and look whether that was due."""
        before, now = len(self.world.done), self.kit.clock.now
        awaited = {
            course.candidate.name: [
                asked[0] + self.allowed(asked[1], answered=course.asked.decision in each.acknowledged)
                for each in self.model.values()
                if (asked := each.asked.get(course.asked.decision)) is not None
            ]
            for course in self.machine.courses
            if course.asked is not None and not course.taken
        }
        self.machine.advance()
        for _, _, name in self.world.done[before:]:
            until = awaited.get(name)
            assert until is None or now >= max(until, default=0.0), "nobody is touched before its time is over"

    def allowed(self, grace: float, *, answered: bool) -> float:
        return min(grace, GRACE_LIMIT) if answered else min(grace, PATIENCE)

    @rule()
    def crash(self) -> None:
        """The daemon is killed and started again: leases stay, and nothing is asked any more."""
        self.kit.registry.close()
        after = Kit(self.directory)
        after.clock = self.kit.clock
        after.registry._clock = self.kit.clock
        self.kit = after
        self.machine = self.made()
        for model in self.model.values():
            model.asked, model.acknowledged, model.heard = {}, set(), self.kit.clock.now
        for held in after.registry._held.values():
            held.silent_since = self.kit.clock.now

    @invariant()
    def leases_are_as_everything_said_makes_them(self) -> None:
        leases = self.kit.registry.leases
        assert set(leases) == set(self.model)
        for lease_id, model in self.model.items():
            lease = leases[lease_id]
            assert (lease.pid, lease.grace_seconds) == (os.getpid(), model.grace)
            if not model.asked:
                assert (lease.state, lease.request) == (State.REGISTERED, None)
                continue
            assert lease.request is not None
            assert lease.request.decision in model.asked
            answered = lease.request.decision in model.acknowledged
            assert lease.state is (State.ACKNOWLEDGED if answered else State.TOLD)

    @invariant()
    def nobody_is_asked_for_what_is_over(self) -> None:
        under_way = {course.asked.decision for course in self.machine.courses if course.asked is not None}
        assert {key for model in self.model.values() for key in model.asked} <= under_way

    @invariant()
    def nobody_is_awaited_for_ever(self) -> None:
        now = self.kit.clock.now
        for course in self.machine.courses:
            if course.asked is not None and not course.asked.over:
                assert course.asked.due <= course.asked.pending.began + max(PATIENCE, GRACE_LIMIT)
                assert course.due <= max(now + 1.0, course.asked.due)

    def teardown(self) -> None:
        self.machine.end()
        self.nobody_is_asked_for_what_is_over()
        self.kit.registry.close()
        shutil.rmtree(self.directory)


TestCooperating = Cooperating.TestCase
TestCooperating.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
