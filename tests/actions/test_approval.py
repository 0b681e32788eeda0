"""Decisions that wait for somebody's word."""

import pytest

from resourced.actions.course import Status
from resourced.decision import Step
from resourced.errors import ActionFailed, ActionRefused
from resourced.policy import Need
from tests.actions.fakes import (
    FakeWorld,
    decision,
    go_on,
    machine_of,
    rule,
    someone,
)


def test_an_advised_decision_waits_for_a_word_and_then_runs() -> None:
    advised = rule(mode="advise")
    world = FakeWorld(advised)
    machine = machine_of(world)
    machine.submit(decision(advised, someone("hog")))
    go_on(machine, world, 30)
    assert (world.done, world.events()) == ([], ["approval_needed"])

    machine.approve(f"{1:020x}", "uid 0")
    go_on(machine, world, 6)

    assert world.taken() == ["notify", "throttle"]
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


def test_a_word_for_one_is_none_for_the_next() -> None:
    advised = rule(steps=("terminate",), mode="advise")
    world = FakeWorld(advised)
    machine = machine_of(world, kill_limit=0)
    world.counted[Step.TERMINATE].errors["a"] = ActionFailed("EPERM")
    machine.submit(decision(advised, someone("a"), someone("b")))
    machine.approve(f"{1:020x}", "uid 0")
    go_on(machine, world, 10)
    assert (world.taken(), world.events().count("approval_needed")) == ([], 2)

    machine.approve(f"{1:020x}", "uid 0")
    go_on(machine, world, 1)
    assert [name for _, _, name in world.done] == ["b"]


def test_what_waits_at_the_limit_of_kills_goes_on_waiting_when_the_same_is_decided_again() -> None:
    once = rule(steps=("freeze", "terminate"))
    world = FakeWorld(once)
    machine = machine_of(world, kill_limit=0)
    machine.submit(decision(once, someone("a")))
    go_on(machine, world, 10)
    machine.submit(decision(once, someone("a"), number=2))
    go_on(machine, world, 10)
    assert [(each.decision.id[-1], each.status) for each in machine.courses] == [("1", Status.WAITING)]
    assert world.taken() == ["freeze"]

    machine.submit(decision(once, someone("b"), number=3))
    go_on(machine, world, 1)
    statuses = {each.candidate.name: each.status for each in machine.courses}
    assert statuses == {"a": Status.WATCHING, "b": Status.RUNNING}, "what was done to the first holds"


def test_what_waits_at_the_limit_of_kills_goes_on_when_the_others_are_long_ago() -> None:
    once = rule(steps=("terminate",))
    world = FakeWorld(once)
    machine = machine_of(world, kill_limit=1, kill_interval_seconds=60.0)
    for number, name in enumerate(("a", "b")):
        machine.submit(decision(once, someone(name), number=number))
        go_on(machine, world, 1)
        world.dead.add("a:1")
        go_on(machine, world, 5)
    assert [each.status for each in machine.courses] == [Status.WAITING]

    go_on(machine, world, 60)
    assert [name for _, _, name in world.done] == ["a", "b"]


def test_another_mode_ends_the_waiting_of_whom_something_was_done_to() -> None:
    once = rule(steps=("freeze", "terminate"))
    world = FakeWorld(once)
    machine = machine_of(world, kill_limit=0)
    machine.submit(decision(once, someone("a")))
    go_on(machine, world, 10)
    world.wanted = (rule(steps=("freeze", "terminate"), mode="advise"),)
    go_on(machine, world, 1)

    assert machine.courses == []
