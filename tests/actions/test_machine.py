"""Courses: a decision on its way down the ladder, with a policy, a clock and actions that a test holds in its hands."""

import itertools

import pytest

from resourced.decision import Level, Mode, Step
from resourced.errors import ActionFailed, ActionRefused, StepImpossible, TargetGone
from resourced.policy import Need
from tests.actions.fakes import (
    MIB,
    FakeWorld,
    decision,
    go_on,
    machine_of,
    rule,
    someone,
)


def test_the_ladder_is_climbed_with_its_graces_while_the_rule_fires() -> None:
    world = FakeWorld(rule())
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("hog")))

    go_on(machine, world, 20)

    assert world.taken() == ["notify", "throttle", "terminate", "kill"]
    times = [at for at, _, _ in world.done]
    assert [round(after - before, 1) for before, after in itertools.pairwise(times)] == [5.0, 5.0, 5.0]


def test_every_rung_is_looked_at_again_with_a_fresh_sample() -> None:
    world = FakeWorld(rule())
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("hog")))
    go_on(machine, world, 6)
    looks = world.looks

    world.needs["low"] = Need.OVER
    go_on(machine, world, 20)

    assert world.taken() == ["notify", "throttle"]
    assert looks >= 2
    assert ("terminate", "called_off") in world.results()
    assert machine.courses == []


@pytest.mark.parametrize("need", [Need.HOLDING, Need.UNKNOWN])
def test_nothing_more_is_done_while_it_cannot_be_told_and_it_goes_on_afterwards(need: Need) -> None:
    world = FakeWorld(rule())
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("hog")))
    go_on(machine, world, 1)
    world.needs["low"] = need
    go_on(machine, world, 60)
    assert world.taken() == ["notify"]

    world.needs["low"] = Need.FIRING
    go_on(machine, world, 2)

    assert world.taken() == ["notify", "throttle"]


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.OBSERVE])
def test_what_only_observes_does_nothing(mode: Mode) -> None:
    world = FakeWorld(rule())
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("hog"), mode=mode))

    assert machine.advance() is None
    assert (world.done, world.outcomes) == ([], [])


def test_a_rule_that_only_warns_does_nothing() -> None:
    warning = rule(level="warn")
    world = FakeWorld(warning)
    machine = machine_of(world)
    machine.submit(decision(warning, someone("hog")))

    assert machine.advance() is None


def test_one_target_at_a_time() -> None:
    world = FakeWorld(rule())
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("first")))
    go_on(machine, world, 6)
    machine.submit(decision(rule(), someone("second"), number=2))
    go_on(machine, world, 6)

    assert {name for _, _, name in world.done} == {"first"}
    assert world.outcomes[-1].detail == "first is being dealt with already" or any(
        each.detail == "first is being dealt with already" for each in world.outcomes
    )


def test_what_is_graver_goes_first_and_the_milder_waits() -> None:
    hard = rule("critical", steps=("terminate", "kill"), level="hard")
    world = FakeWorld(rule(), hard)
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("first")))
    go_on(machine, world, 1)
    machine.submit(decision(hard, someone("second"), number=2))
    go_on(machine, world, 8)

    assert [(step.value, name) for _, step, name in world.done] == [
        ("notify", "first"),
        ("terminate", "second"),
        ("kill", "second"),
    ]


def test_a_graver_decision_on_the_same_target_goes_on_from_there() -> None:
    hard = rule("critical", steps=("terminate",), level="hard")
    world = FakeWorld(rule(), hard)
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("hog")))
    go_on(machine, world, 6)
    machine.submit(decision(hard, someone("hog"), number=2))
    go_on(machine, world, 1)

    assert world.taken() == ["notify", "throttle", "terminate"]
    assert [course.rule.name for course in machine.courses] == ["critical"]


def test_the_machine_settles_before_anybody_else_is_touched() -> None:
    quick = rule(steps=({"step": "terminate", "grace": 0},), level="hard")
    world = FakeWorld(quick)
    machine = machine_of(world, settle_seconds=10.0)
    machine.submit(decision(quick, someone("first")))
    go_on(machine, world, 1)
    world.dead.add("first:1")
    go_on(machine, world, 11)
    machine.submit(decision(quick, someone("second"), number=2))
    go_on(machine, world, 12)

    (before, _, first), (after, _, second) = world.done
    assert (first, second) == ("first", "second")
    assert after - before >= 10


def test_who_cannot_be_had_does_not_save_the_next() -> None:
    world = FakeWorld(rule(steps=("terminate",)))
    world.missing.add("gone:1")
    world.protected["guarded:1"] = "the configuration protects it"
    world.counted[Step.TERMINATE].errors["stuck"] = ActionFailed("EPERM")
    machine = machine_of(world)
    machine.submit(decision(world.wanted[0], someone("gone"), someone("guarded"), someone("stuck"), someone("hog")))

    go_on(machine, world, 3)

    assert [name for _, _, name in world.done] == ["hog"]
    assert [(each.target, each.result) for each in world.outcomes[:3]] == [
        ("gone", "called_off"),
        ("guarded", "refused"),
        ("stuck", "failed"),
    ]


def test_a_candidate_that_is_protected_or_passed_over_is_never_next() -> None:
    world = FakeWorld(rule(steps=("terminate",)))
    world.missing.add("gone:1")
    machine = machine_of(world)
    others = (someone("kept", protected="it is root"), someone("small", note="passed over: too little"))
    machine.submit(decision(world.wanted[0], someone("gone"), *others))

    go_on(machine, world, 5)

    assert world.done == []
    assert machine.courses == []


def test_a_stuck_target_is_left_alone_longer_and_longer() -> None:
    once = rule(steps=({"step": "kill", "grace": 1},))
    world = FakeWorld(once)
    machine = machine_of(world)
    tried = []
    for number in range(1, 2000):
        if not machine.courses:
            machine.submit(decision(once, someone("stuck"), number=number))
        before = len(world.done)
        go_on(machine, world, 1, step=1)
        if len(world.done) > before:
            tried.append(world.clock.now)

    gaps = [after - before for before, after in itertools.pairwise(tried)]
    assert gaps[0] >= 60
    assert all(after >= before for before, after in itertools.pairwise(gaps))
    assert gaps[1] >= 120


def test_only_so_many_targets_are_ended_in_some_time() -> None:
    once = rule(steps=("terminate",))
    world = FakeWorld(once)
    machine = machine_of(world, kill_limit=2, kill_interval_seconds=100.0)
    for number in range(1, 5):
        machine.submit(decision(once, someone(f"job{number}"), number=number))
        go_on(machine, world, 1)
        world.dead.add(f"job{number}:1")
        go_on(machine, world, 5)

    assert [name for _, _, name in world.done] == ["job1", "job2"]
    assert "which is the limit" in str(world.outcomes[-1].detail)
    assert "step_refused" in world.events()

    with pytest.raises(ActionRefused):
        machine.approve(f"{3:020x}", "uid 0")  # the next decision took its place
    world.dead.discard("job4:1")
    machine.approve(f"{4:020x}", "uid 0")
    go_on(machine, world, 1)
    assert [name for _, _, name in world.done] == ["job1", "job2", "job4"]

    go_on(machine, world, 100)
    machine.submit(decision(once, someone("job9"), number=9))
    go_on(machine, world, 1)
    assert [name for _, _, name in world.done][-1] == "job9"


def test_a_step_that_means_nothing_for_the_target_is_passed_over_at_once() -> None:
    world = FakeWorld(rule())
    world.counted[Step.THROTTLE].errors["throttle"] = StepImpossible("a process has no limits")
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("hog")))

    go_on(machine, world, 6)

    assert world.taken() == ["notify", "terminate"]
    assert ("throttle", "called_off") in world.results()


def test_who_leaves_by_itself_costs_nobody_else_anything() -> None:
    world = FakeWorld(rule())
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("hog"), someone("innocent")))
    go_on(machine, world, 6)
    world.dead.add("hog:1")
    go_on(machine, world, 20)

    assert {name for _, _, name in world.done} == {"hog"}
    assert machine.courses == []


def test_the_effect_is_told_beside_what_was_expected() -> None:
    world = FakeWorld(rule(steps=("terminate",)))
    machine = machine_of(world)
    machine.submit(decision(world.wanted[0], someone("hog")))
    go_on(machine, world, 0.5)
    world.left = 1030.0 * MIB
    world.dead.add("hog:1")
    go_on(machine, world, 4)

    [outcome] = world.outcomes
    assert (outcome.result, outcome.step) == ("done", Step.TERMINATE)
    assert (outcome.expected_gain, outcome.measured_gain) == (50.0 * MIB, 30.0 * MIB)
    assert outcome.duration_seconds == 0.5


def test_without_a_number_for_the_machine_the_target_is_measured() -> None:
    world = FakeWorld(rule(steps=("terminate",)))
    world.left = None
    machine = machine_of(world)
    machine.submit(decision(world.wanted[0], someone("hog")))
    go_on(machine, world, 0.5)
    world.dead.add("hog:1")
    world.missing.add("hog:1")
    go_on(machine, world, 4)

    assert world.outcomes[-1].measured_gain == 50.0 * MIB


def test_time_to_end_is_cut_short_when_little_is_left() -> None:
    hard = rule("critical", steps=("terminate", "kill"), level="hard")
    world = FakeWorld(hard)
    machine = machine_of(world)
    machine.submit(decision(hard, someone("hog")))
    go_on(machine, world, 1)
    machine.hurry("memory")
    go_on(machine, world, 0.5)

    assert world.taken() == ["terminate", "kill"]


def test_a_gentle_ladder_of_a_grave_rule_is_hurried_too_but_not_beyond_its_end() -> None:
    hard = rule("hard", steps=("notify", "freeze", "kill"), level="hard")
    world = FakeWorld(hard)
    machine = machine_of(world)
    machine.submit(decision(hard, someone("a")))
    for step in (Step.NOTIFY, Step.FREEZE, Step.KILL, Step.KILL):
        machine.advance()
        assert world.done[-1][1] is step
        machine.hurry("memory")
    assert len(machine.courses) == 1


def test_a_veto_ends_what_is_under_way_and_keeps_the_target_safe() -> None:
    world = FakeWorld(rule(steps=("terminate",)))
    machine = machine_of(world)
    machine.submit(decision(world.wanted[0], someone("hog"), number=1))
    machine.veto(f"{1:020x}", "uid 0")
    machine.submit(decision(world.wanted[0], someone("hog"), number=2))
    go_on(machine, world, 10)

    assert world.done == []
    assert "vetoed" in world.events()
    with pytest.raises(ActionRefused):
        machine.veto(f"{7:020x}", "uid 0")


@pytest.mark.parametrize("mode", ["observe", "off", "advise"])
def test_a_rule_whose_mode_is_taken_back_ends_what_it_began(mode: str) -> None:
    world = FakeWorld(rule())
    machine = machine_of(world)
    machine.submit(decision(rule(), someone("hog")))
    go_on(machine, world, 1)
    world.wanted = () if mode == "off" else (rule(mode=mode),)
    go_on(machine, world, 20)

    assert world.taken() == ["notify"]
    assert machine.courses == []


def test_a_fault_in_a_step_ends_its_course_and_no_other() -> None:
    other = rule("busy", metric="cpu.utilization", below=None, above="90%", resource="cpu", steps=("terminate",))
    world = FakeWorld(rule(steps=("terminate",)), other)
    world.counted[Step.TERMINATE].errors["hog"] = ZeroDivisionError("oops")
    machine = machine_of(world)
    machine.submit(decision(world.wanted[0], someone("hog")))
    machine.submit(decision(other, someone("burner"), number=2))
    go_on(machine, world, 2)

    assert [name for _, _, name in world.done] == ["burner"]
    assert "a fault in resourced: ZeroDivisionError: oops" in str(world.outcomes[0].detail)


def test_gone_is_gone_whatever_the_step_says() -> None:
    world = FakeWorld(rule(steps=("terminate",)))
    world.counted[Step.TERMINATE].errors["terminate"] = TargetGone("hog has gone")
    machine = machine_of(world)
    machine.submit(decision(world.wanted[0], someone("hog")))
    go_on(machine, world, 3)

    assert world.results() == [("terminate", "called_off")]
    assert world.wanted[0].level is Level.SOFT
