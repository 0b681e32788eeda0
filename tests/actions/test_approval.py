"""Decisions that wait for somebody's word."""

from typing import Any

import pytest

from resourced.decision import Candidate, Scope
from resourced.errors import ActionRefused
from resourced.policy import Need
from tests.actions.fakes import (
    MIB,
    FakeWorld,
    decision,
    go_on,
    machine_of,
    rule,
)


def someone(name: str, **more: Any) -> Candidate:
    return Candidate(Scope.PROCESS, f"{name}:1", name, usage=50.0 * MIB, expected_gain=50.0 * MIB, **more)


def steps(world: FakeWorld) -> list[str]:
    return [step.value for _, step, _ in world.done]


def test_an_advised_decision_waits_for_a_word_and_then_runs() -> None:
    advised = rule(mode="advise")
    world = FakeWorld(advised)
    machine = machine_of(world)
    machine.submit(decision(advised, someone("hog")))
    go_on(machine, world, 30)
    assert (world.done, world.events()) == ([], ["approval_needed"])

    machine.approve(f"{1:020x}", "uid 0")
    go_on(machine, world, 6)

    assert steps(world) == ["notify", "throttle"]
    assert "approved" in world.events()
    with pytest.raises(ActionRefused):
        machine.approve(f"{1:020x}", "uid 0")


def test_an_advised_decision_expires() -> None:
    advised = rule(mode="advise")
    world = FakeWorld(advised)
    machine = machine_of(world, approval_seconds=20.0)
    machine.submit(decision(advised, someone("hog")))
    go_on(machine, world, 21)

    assert world.results() == [("notify", "expired")]
    with pytest.raises(ActionRefused):
        machine.approve(f"{1:020x}", "uid 0")


def test_a_decision_waits_its_whole_time_though_the_same_is_decided_again() -> None:
    advised = rule(mode="advise")
    world = FakeWorld(advised)
    machine = machine_of(world)
    machine.submit(decision(advised, someone("hog")))
    machine.submit(decision(advised, someone("hog"), number=2))

    assert [course.decision.id for course in machine.courses] == [f"{1:020x}"]
    assert world.results() == [("notify", "called_off")]
    assert f"{1:020x}" in str(world.outcomes[0].detail)


def test_a_newer_decision_takes_the_place_of_one_that_waits() -> None:
    advised = rule(mode="advise")
    world = FakeWorld(advised)
    machine = machine_of(world)
    machine.submit(decision(advised, someone("hog")))
    machine.submit(decision(advised, someone("other"), number=2))

    assert [course.decision.id for course in machine.courses] == [f"{2:020x}"]
    assert world.results() == [("notify", "expired")]


def test_nothing_is_approved_that_has_recovered() -> None:
    advised = rule(mode="advise")
    world = FakeWorld(advised)
    machine = machine_of(world)
    machine.submit(decision(advised, someone("hog")))
    world.needs["low"] = Need.OVER

    with pytest.raises(ActionRefused, match="recovered"):
        machine.approve(f"{1:020x}", "uid 0")
