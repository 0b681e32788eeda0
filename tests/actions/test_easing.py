"""What has recovered only because it is held back is let go step by step."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.actions.course import Status
from resourced.decision import Mode, Step
from resourced.policy import Need
from tests.actions.fakes import MIB, FakeWorld, cgroup_of, decision, go_on, machine_of, program, real_world, rule

HELD = 800 * MIB
LEFT = 640 * MIB
STEP = LEFT // 64
SOFT = rule(steps=("throttle", "terminate"), scope="unit")


class Unit:
    """A unit on files like the kernel's, held back at what it uses, whose rule has just recovered."""

    def __init__(self, directory: Path, pid: int) -> None:
        self.high, self.current = directory / "a.service/memory.high", directory / "a.service/memory.current"
        self.candidate = cgroup_of(directory, "a.service", memory__high="max", memory__current=str(HELD))
        (directory / "a.service/cgroup.procs").write_text(f"{pid}\n")
        self.world = real_world(SOFT, directory=directory)
        self.world.left = float(LEFT)
        self.machine = machine_of(self.world)
        self.machine.submit(decision(SOFT, self.candidate))
        self.machine.advance()
        assert self.limit == HELD
        self.world.default_need = Need.OVER

    @property
    def limit(self) -> int | None:
        """Its memory.high; None for none."""
        text = self.high.read_text().strip()
        return int(text) if text.isdecimal() else None

    @property
    def statuses(self) -> list[Status]:
        """Of all courses."""
        return [each.status for each in self.machine.courses]

    def use(self, size: int) -> None:
        """Use so much."""
        self.current.write_text(f"{size}\n")

    def grow(self, seconds: int) -> None:
        """Let time pass in which it takes all it is given."""
        for _ in range(seconds):
            limit = self.limit
            assert limit is not None
            self.use(limit)
            go_on(self.machine, self.world, 1)


@pytest.fixture
def pid() -> Iterator[int]:
    with program() as process:
        yield process.pid


@pytest.fixture
def unit(tmp_path: Path, pid: int) -> Iterator[Unit]:
    unit = Unit(tmp_path, pid)
    yield unit
    unit.machine.end()


def test_who_takes_all_it_is_given_is_given_little_at_a_time(unit: Unit) -> None:
    unit.grow(10)

    assert unit.statuses == [Status.EASING]
    assert unit.limit == HELD + 10 * STEP
    assert ("terminate", "called_off") in unit.world.results()
    assert ("throttle", "undone") not in unit.world.results()


def test_who_wants_no_more_is_let_go_at_once(unit: Unit) -> None:
    go_on(unit.machine, unit.world, 2)

    assert unit.statuses == []
    assert unit.high.read_text().startswith("max")
    assert unit.world.results()[-1] == ("throttle", "undone")


def test_who_has_been_satisfied_is_let_go(unit: Unit) -> None:
    unit.grow(5)
    go_on(unit.machine, unit.world, 2)

    assert unit.statuses == []
    assert unit.high.read_text().startswith("max")


def test_it_stays_as_it_is_once_the_rule_fires_again(unit: Unit) -> None:
    unit.grow(5)
    limit = HELD + 5 * STEP
    unit.use(limit)
    unit.world.default_need = Need.FIRING
    go_on(unit.machine, unit.world, 5)
    assert (unit.statuses, unit.limit) == ([Status.WATCHING], limit)

    unit.world.default_need = Need.OVER
    go_on(unit.machine, unit.world, 0.5)

    assert (unit.statuses, unit.limit) == ([Status.EASING], limit + STEP)


def test_the_next_decision_goes_on_from_where_it_is(unit: Unit) -> None:
    unit.grow(5)
    limit = HELD + 5 * STEP
    unit.use(limit)
    unit.world.default_need = Need.FIRING
    unit.machine.submit(decision(SOFT, unit.candidate, number=2))
    unit.machine.advance()
    assert ([each.decision.id[-1] for each in unit.machine.courses], unit.limit) == (["2"], limit)

    unit.use(0)
    unit.world.default_need = Need.OVER
    go_on(unit.machine, unit.world, 3)
    assert unit.high.read_text().startswith("max"), "the original is that of before all"


@pytest.mark.parametrize("how", ["veto", "mode", "end", "gone", "expiry", "unknown left"])
def test_it_is_put_back_at_once_where_nothing_more_may_be_done(unit: Unit, how: str) -> None:
    unit.grow(3)
    match how:
        case "veto":
            unit.machine.veto(unit.machine.courses[0].decision.id, "uid 0")
        case "mode":
            unit.world.wanted = (rule(steps=("throttle", "terminate"), scope="unit", mode=Mode.OBSERVE.value),)
        case "end":
            unit.machine.end()
        case "gone":
            unit.world.wanted = ()
        case "expiry":
            unit.world.clock.now += 3600
        case "unknown left":
            unit.world.left = None
    if how != "end":
        go_on(unit.machine, unit.world, 3)

    assert unit.statuses == []
    assert unit.high.read_text().startswith("max")


def test_what_is_frozen_is_thawed_at_once_and_only_the_limit_is_loosened(tmp_path: Path, pid: int) -> None:
    soft = rule(steps=("throttle", "freeze", "terminate"), scope="unit")
    world = real_world(soft, directory=tmp_path)
    machine = machine_of(world)
    candidate = cgroup_of(tmp_path, "a.service", memory__high="max", memory__current=str(HELD))
    (tmp_path / "a.service/cgroup.procs").write_text(f"{pid}\n")
    machine.submit(decision(soft, candidate))
    go_on(machine, world, 6)
    (tmp_path / "a.service/cgroup.freeze").write_text("1\n")
    assert [each.step for each in world.ledger.changes] == [Step.THROTTLE, Step.FREEZE]

    world.default_need = Need.OVER
    go_on(machine, world, 0.5)

    assert [each.step for each in world.ledger.changes] == [Step.THROTTLE]
    assert (tmp_path / "a.service/cgroup.freeze").read_text().startswith("0")
    assert [each.status for each in machine.courses] == [Status.EASING]


def test_a_limit_of_the_owner_is_never_passed(tmp_path: Path, pid: int) -> None:
    own = HELD + 3 * STEP
    soft = rule(steps=("throttle", "terminate"), scope="unit")
    world: FakeWorld = real_world(soft, directory=tmp_path)
    world.left = float(LEFT)
    machine = machine_of(world)
    candidate = cgroup_of(tmp_path, "a.service", memory__high=str(own), memory__current=str(HELD))
    high, current = tmp_path / "a.service/memory.high", tmp_path / "a.service/memory.current"
    (tmp_path / "a.service/cgroup.procs").write_text(f"{pid}\n")
    machine.submit(decision(soft, candidate))
    machine.advance()
    world.default_need = Need.OVER
    for _ in range(6):
        current.write_text(high.read_text())
        go_on(machine, world, 1)

    assert int(high.read_text()) == own
    assert machine.courses == []
