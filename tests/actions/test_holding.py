"""What courses hold on to: the resource while one is dealt with, and each target once."""

from resourced.decision import Step
from tests.actions.fakes import FakeWorld, decision, go_on, machine_of, rule, someone


def test_what_the_guard_began_holds_the_resource_until_its_time_is_over() -> None:
    hard = rule("critical", steps=("terminate", "kill"), level="hard")
    world = FakeWorld(hard)
    machine = machine_of(world)
    hog = someone("hog")
    decided = decision(hard, hog)
    began = world.clock.now
    look = world.look(decided, hog, fresh=False)
    world.claims.take("memory", hog.key, 0, began, began + 5, owner="guard")
    machine.adopt(decided, world.open(hog, look), Step.TERMINATE, "SIGTERM", look, began)

    assert world.claims.held("memory", 0, began + 4.9)
    assert not world.claims.take("memory", "other", 0, began + 4.9, began + 9, owner="guard")
    go_on(machine, world, 5.5)
    assert [step for _, step, _ in world.done] == [Step.KILL]


def test_a_rule_that_fires_for_long_holds_on_to_each_target_once() -> None:
    busy = rule("busy", steps=("throttle",))
    world = FakeWorld(busy)
    machine = machine_of(world)
    for number in range(40):
        machine.submit(decision(busy, someone(f"hog{number % 4}"), number=number))
        go_on(machine, world, 15)

    assert len(machine.courses) == 4
    assert {each.candidate.name for each in machine.courses} == {"hog0", "hog1", "hog2", "hog3"}


def test_a_limit_of_kills_holds_on_to_each_target_once() -> None:
    world = FakeWorld(rule(steps=("kill",)))
    machine = machine_of(world, kill_limit=0)
    for number in range(20):
        machine.submit(decision(rule(steps=("kill",)), someone("hog"), number=number))
        go_on(machine, world, 15)

    assert len(machine.courses) == 1
