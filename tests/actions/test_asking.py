"""Registered workloads are asked first, awaited as long as they may be, and left alone once they have left."""

from typing import Any

import pytest

from resourced.actions import Machine
from resourced.actions.course import Status
from resourced.decision import Candidate, Scope, Step
from resourced.policy import Need
from tests.actions.fakes import MIB, FakeWorld, Holder, decision, go_on, machine_of, rule

STEPS = ({"step": "terminate", "grace": 5}, {"step": "kill", "grace": 5})


def someone(name: str = "hog") -> Candidate:
    return Candidate(Scope.PROCESS, f"{name}:1", name, usage=50.0 * MIB, expected_gain=50.0 * MIB)


def asked_of(*holders: Holder, grace_limit: float = 300.0, **more: Any) -> tuple[FakeWorld, Machine]:
    """Return a world and a machine that has just asked the workloads of a target to give way."""
    wanted = rule(**{"steps": STEPS, **more})
    world = FakeWorld(wanted)
    world.workloads.put("hog:1", *holders)
    machine = machine_of(world, patience_seconds=10.0, grace_limit_seconds=grace_limit)
    machine.submit(decision(wanted, someone()))
    machine.advance()
    return world, machine


def steps(world: FakeWorld) -> list[str]:
    return [step.value for _, step, _ in world.done]


def first(world: FakeWorld) -> float:
    """Return when the first step was taken."""
    return world.done[0][0]


def test_a_workload_is_asked_before_anything_is_done_to_it() -> None:
    world, machine = asked_of(Holder("w"))

    assert (world.workloads.told, steps(world)) == (["w"], [])
    [request] = world.workloads.asked.values()
    assert (request.rule, request.resource, request.steps) == ("low", "memory", (Step.TERMINATE, Step.KILL))
    assert request.deadline == pytest.approx(request.time + 10.0)
    assert "workload_told" in world.events()
    assert [each.status for each in machine.courses] == [Status.RUNNING]


def test_who_does_not_answer_is_awaited_for_so_long_and_no_longer() -> None:
    world, machine = asked_of(Holder("w"))
    began = world.clock.now
    go_on(machine, world, 9.5)
    assert steps(world) == []

    go_on(machine, world, 1)

    assert steps(world) == ["terminate"]
    assert first(world) == began + 10.0
    assert ("notify", "expired") in world.results()
    assert world.events().count("workload_overdue") == 1
    assert world.workloads.told == ["w"]


def test_who_acknowledges_has_the_time_that_it_asked_for_counted_from_being_told() -> None:
    world, machine = asked_of(Holder("w", grace_seconds=60.0))
    began = world.clock.now
    go_on(machine, world, 5)
    world.workloads.acknowledge("w")
    go_on(machine, world, 54)
    assert steps(world) == []
    [request] = world.workloads.asked.values()
    assert request.deadline == pytest.approx(request.time + 60.0)

    go_on(machine, world, 2)

    assert first(world) == began + 60.0
    assert world.events().count("workload_acknowledged") == 1


def test_nobody_has_more_time_than_the_configuration_allows() -> None:
    world, machine = asked_of(Holder("w", grace_seconds=3600.0), grace_limit=20.0)
    began = world.clock.now
    assert next(iter(world.workloads.asked.values())).grace_seconds == 20.0
    world.workloads.acknowledge("w")
    go_on(machine, world, 30)

    assert first(world) == began + 20.0


def test_who_wants_no_time_is_told_and_the_ladder_goes_on() -> None:
    world, machine = asked_of(Holder("w", grace_seconds=0.0))
    go_on(machine, world, 1)

    assert (world.workloads.told, steps(world)) == (["w"], ["terminate"])


def test_what_leaves_by_itself_is_left_alone_and_what_came_free_is_told() -> None:
    world, machine = asked_of(Holder("w"))
    go_on(machine, world, 3)
    world.workloads.leave("w")
    world.dead.add("hog:1")
    world.left = 1200.0 * MIB
    go_on(machine, world, 20)

    assert (steps(world), machine.courses) == ([], [])
    outcome = world.outcomes[-1]
    assert (outcome.step, outcome.result, outcome.measured_gain) == (Step.NOTIFY, "done", 200.0 * MIB)
    assert outcome.duration_seconds == pytest.approx(3.5)
    [yielded] = [fields for name, fields in world.reports if name == "workload_yielded"]
    assert yielded["freed"] == 200.0 * MIB


def test_a_target_that_ends_before_its_lease_is_seen_to_is_not_exchanged_for_the_next() -> None:
    wanted = rule(steps=STEPS)
    world = FakeWorld(wanted)
    world.workloads.put("hog:1", Holder("w"))
    machine = machine_of(world, patience_seconds=10.0)
    machine.submit(decision(wanted, someone(), someone("bystander")))
    machine.advance()
    world.dead.add("hog:1")  # and its lease is still there
    go_on(machine, world, 30)

    assert (steps(world), machine.courses) == ([], [])


def test_a_request_is_withdrawn_when_the_rule_recovers_and_what_came_free_is_told() -> None:
    world, machine = asked_of(Holder("w"))
    go_on(machine, world, 2)
    world.left = 1100.0 * MIB
    world.needs["low"] = Need.OVER
    go_on(machine, world, 1)

    assert world.workloads.withdrawn == [("w", "the rule has recovered")]
    assert (steps(world), machine.courses) == ([], [])
    assert [each.measured_gain for each in world.outcomes if each.measured_gain] == [100.0 * MIB]
    assert "workload_withdrawn" in world.events()


def test_while_the_condition_is_gone_nothing_is_done_though_its_time_is_over() -> None:
    world, machine = asked_of(Holder("w"))
    world.needs["low"] = Need.HOLDING
    go_on(machine, world, 60)

    assert (steps(world), world.workloads.withdrawn) == ([], [])


def test_the_forecast_cuts_the_time_and_leaves_enough_to_end_the_target() -> None:
    world, machine = asked_of(Holder("w", grace_seconds=300.0))
    began = world.clock.now
    world.workloads.acknowledge("w")
    world.seconds_left = 40.0
    world.left = None
    go_on(machine, world, 1)
    [request] = world.workloads.asked.values()

    assert request.deadline - world.clock.wall() == pytest.approx(40.0 - (2.0 + 5.0), abs=1.0)
    world.seconds_left = 3.0
    go_on(machine, world, 2)
    assert first(world) <= began + 3.0


def test_a_slope_since_the_asking_counts_before_that_of_half_a_minute_knows_of_it() -> None:
    world, machine = asked_of(Holder("w", grace_seconds=300.0))
    world.workloads.acknowledge("w")
    began, left = world.clock.now, 1000.0 * MIB
    while not world.done and world.clock.now < began + 60:
        world.left = left - 50.0 * MIB * (world.clock.now + 0.5 - began)  # gone in 20 s
        go_on(machine, world, 0.5)

    assert began + 10 < first(world) <= began + 20 - 7 + 1


def test_a_rung_that_tells_is_taken_at_once_and_its_grace_counts_too() -> None:
    ladder = ({"step": "notify", "grace": 20}, *STEPS)
    world, machine = asked_of(Holder("w", grace_seconds=5.0), steps=ladder)
    began = world.clock.now
    assert (world.workloads.told, steps(world)) == (["w"], ["notify"])
    go_on(machine, world, 30)

    assert [(at - began, step) for at, step, _ in world.done][1] == (20.0, Step.TERMINATE)


def test_the_last_of_several_is_awaited() -> None:
    world, machine = asked_of(Holder("a"), Holder("b", grace_seconds=40.0, pid=78))
    began = world.clock.now
    world.workloads.acknowledge("b")
    go_on(machine, world, 5)
    world.workloads.leave("a")
    go_on(machine, world, 40)

    assert first(world) == began + 40.0
    assert [fields["workload"] for name, fields in world.reports if name == "workload_overdue"] == ["workload b"]


def test_a_word_alone_does_not_spare_a_process_twice() -> None:
    wanted = rule(steps=STEPS)
    world, machine = asked_of(Holder("w"))
    world.workloads.leave("w")
    go_on(machine, world, 5)
    assert machine.courses == []

    world.workloads.put("hog:1", Holder("w2"))
    machine.submit(decision(wanted, someone(), number=2))
    go_on(machine, world, 1)

    assert (world.workloads.told, steps(world)) == (["w"], ["terminate"])


def test_a_graver_decision_does_not_ask_again_and_waits_no_longer() -> None:
    hard = rule("critical", steps=STEPS, level="hard")
    wanted = rule(steps=STEPS)
    world = FakeWorld(wanted, hard)
    world.workloads.put("hog:1", Holder("w"))
    machine = machine_of(world, patience_seconds=10.0)
    machine.submit(decision(wanted, someone()))
    machine.advance()
    began = world.clock.now
    go_on(machine, world, 6)
    machine.submit(decision(hard, someone(), number=2))
    go_on(machine, world, 3)
    assert (world.workloads.told, steps(world)) == (["w"], [])

    go_on(machine, world, 2)

    assert first(world) == began + 10.0
    assert [each.rule.name for each in machine.courses] == ["critical"]
    world.default_need = Need.OVER
    go_on(machine, world, 20)
    assert [lease for lease, _ in world.workloads.withdrawn] == ["w"]


def test_hurry_ends_the_waiting_for_grave_rules_alone() -> None:
    for level, taken in (("hard", ["terminate"]), ("soft", [])):
        world, machine = asked_of(Holder("w"), level=level)
        go_on(machine, world, 1)
        machine.hurry("memory")
        go_on(machine, world, 1)
        assert steps(world) == taken


def test_the_guard_sees_that_somebody_is_being_dealt_with_while_it_is_awaited() -> None:
    world, machine = asked_of(Holder("w"), level="hard")
    assert world.claims.held("memory", 0, world.clock.now + 9.0)
    world.workloads.leave("w")
    go_on(machine, world, 1)
    assert not world.claims.held("memory", 0, world.clock.now + 9.0)


def test_what_the_guard_has_begun_is_not_asked_any_more() -> None:
    hard = rule("critical", steps=STEPS, level="hard")
    world = FakeWorld(hard)
    world.workloads.put("hog:1", Holder("w"))
    machine = machine_of(world)
    decided, now = decision(hard, someone()), world.clock.now
    look = world.look(decided, someone(), fresh=True)
    machine.adopt(decided, world.open(someone(), look), Step.TERMINATE, "SIGTERM", look, now)
    go_on(machine, world, 10)

    assert (world.workloads.told, steps(world)) == ([], ["kill"])


def test_a_veto_withdraws_what_was_asked() -> None:
    world, machine = asked_of(Holder("w"))
    machine.veto(f"{1:020x}", "uid 0")

    assert world.workloads.withdrawn == [("w", "refused by uid 0")]


def test_the_end_of_the_daemon_withdraws_what_was_asked() -> None:
    world, machine = asked_of(Holder("w"))
    machine.end()

    assert world.workloads.withdrawn == [("w", "the daemon ends")]


def test_a_target_that_cannot_be_had_after_all_is_asked_no_longer() -> None:
    world, machine = asked_of(Holder("w"))
    world.protected["hog:1"] = "the configuration protects it"
    go_on(machine, world, 12)

    assert [lease for lease, _ in world.workloads.withdrawn] == ["w"]
    assert steps(world) == []
