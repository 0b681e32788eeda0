"""Claims: the two threads that act never touch two targets at once."""

from resourced.actions import Claims
from resourced.decision import Candidate, Scope
from tests.actions.fakes import FakeWorld, decision, go_on, machine_of, rule

HOG = Candidate(Scope.PROCESS, "hog:1", "hog", usage=50.0)


def test_the_guard_and_the_machine_never_touch_two_at_once() -> None:
    hard = rule("critical", steps=("terminate",), level="hard")
    world = FakeWorld(hard)
    machine = machine_of(world)
    assert world.claims.take("memory", "elsewhere:1", 0, world.clock.now, world.clock.now + 5.0, owner="guard")
    machine.submit(decision(hard, HOG))
    go_on(machine, world, 4)
    assert world.done == []

    go_on(machine, world, 3)
    assert [name for _, _, name in world.done] == ["hog"]


def test_a_claim_yields_to_what_is_graver_and_ends_by_itself() -> None:
    claims = Claims()
    assert claims.take("memory", "a", 1, 0.0, 10.0, owner="machine")
    assert not claims.take("memory", "b", 1, 1.0, 10.0, owner="machine")
    assert claims.take("memory", "a", 1, 1.0, 10.0, owner="machine")
    assert not claims.take("memory", "a", 1, 1.0, 10.0, owner="guard")
    assert claims.take("cpu", "b", 1, 1.0, 10.0, owner="machine")
    assert claims.take("memory", "b", 0, 1.0, 10.0, owner="guard")
    assert claims.held("memory", 0, 9.0)
    assert not claims.held("memory", 0, 10.0)
    claims.release("memory", "a")
    assert claims.held("memory", 0, 9.0)
    claims.release("memory", "b")
    assert not claims.held("memory", 0, 9.0)
