"""What has recovered only because it was held back is let go step by step."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.decision import Candidate, Decision, Mode, Step
from resourced.errors import ActionRefused
from resourced.policy import Need, Rule
from tests.actions.fakes import MIB, cgroup_of, decision, go_on, machine_of, program, real_world, rule

HELD = 800 * MIB
LEFT = 640 * MIB
STEP = LEFT // 64
SOFT = rule("soft", steps=("throttle", "terminate"), scope="unit")
TELL = rule("tell", steps=("notify", "terminate"), scope="unit", level="hard")
ADVISED = rule("soft", steps=("throttle", "terminate"), scope="unit", mode="advise")
ABOVE = {"scope": "unit", "below": None, "above": "90%"}
BUSY = rule("busy", steps=("notify", "terminate"), metric="cpu.utilization", resource="cpu", **ABOVE)
FULL = rule("full", steps=("throttle", "terminate"), metric="swap.utilization", resource="swap", **ABOVE)


class Unit:
    """A unit on files like the kernel's, held back at what it uses, whose rule has just recovered."""

    def __init__(self, directory: Path, pid: int, by: Rule = SOFT, high: str = "max") -> None:
        self.directory, self.pid, self.decisions = directory, pid, 0
        others = [each for each in (SOFT, TELL, BUSY, FULL) if each.name != by.name]
        self.world = real_world(by, *others, directory=directory)
        self.world.left = float(LEFT)
        self.machine = machine_of(self.world)
        self.candidate = self.another("a.service", memory__high=high, memory__current=str(HELD))
        self.high, self.current = directory / "a.service/memory.high", directory / "a.service/memory.current"
        first = self.decide(by)
        if by.mode is Mode.ADVISE:
            self.machine.approve(first.id, "uid 0")
        self.machine.advance()
        assert self.limit == HELD
        self.world.default_need = Need.OVER

    def another(self, name: str, **files: str) -> Candidate:
        """Make one more unit."""
        return cgroup_of(self.directory, name, cgroup__procs=str(self.pid), **files)

    def decide(self, by: Rule, *candidates: Candidate) -> Decision:
        """Decide once more, on itself if nobody is named."""
        self.decisions += 1
        decided = decision(by, *(candidates or (self.candidate,)), number=self.decisions)
        self.machine.submit(decided)
        return decided

    @property
    def limit(self) -> int | None:
        """Its memory.high; None for none."""
        text = self.high.read_text().strip()
        return int(text) if text.isdecimal() else None

    def use(self, size: int) -> None:
        """Use so much."""
        self.current.write_text(f"{size}\n")

    def grow(self, seconds: int, *, cache: bool = False) -> None:
        """Let time pass in which it takes all it is given; page cache leaves the machine no less."""
        for _ in range(seconds):
            before, limit = self.limit, self.limit
            assert before is not None
            assert limit is not None
            self.use(limit)
            go_on(self.machine, self.world, 1)
            if not cache and self.limit is not None and self.world.left is not None:
                self.world.left -= self.limit - before


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
    unit.grow(1)
    assert unit.limit == HELD + STEP
    unit.grow(63)

    assert unit.world.left is not None
    assert 0.3 * LEFT < unit.world.left < 0.4 * LEFT, "in the time of one step of all it would be gone"
    assert unit.machine.courses == []
    assert unit.world.events().count("limit_easing") == 1
    assert ("throttle", "undone") not in unit.world.results()


def test_who_wants_no_more_is_let_go(unit: Unit) -> None:
    unit.grow(3)
    go_on(unit.machine, unit.world, 3)
    assert unit.limit is not None, "it may only have had no time"
    go_on(unit.machine, unit.world, 2)

    assert unit.high.read_text().startswith("max")
    assert unit.world.results()[-1] == ("throttle", "undone")


def test_a_dip_is_no_sign_that_it_wants_no_more(unit: Unit) -> None:
    for _ in range(5):
        unit.grow(2)
        unit.use(HELD // 2)
        go_on(unit.machine, unit.world, 2)

    assert unit.limit is not None


def test_page_cache_is_given_more_and_more(unit: Unit) -> None:
    unit.grow(8, cache=True)

    assert unit.limit is not None
    assert unit.limit > HELD + 50 * STEP


def test_what_has_overrun_its_limit_is_not_squeezed(unit: Unit) -> None:
    unit.use(HELD + 400 * MIB)
    go_on(unit.machine, unit.world, 1)

    assert unit.limit == HELD + 400 * MIB + STEP


def test_a_sample_without_memory_changes_nothing(unit: Unit) -> None:
    unit.grow(3)
    limit, unit.world.left = unit.limit, None
    go_on(unit.machine, unit.world, 5)

    assert unit.limit == limit


def test_nothing_is_given_twice_by_one_sample(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit.world, "available", lambda: (7, float(LEFT)))
    unit.grow(5)

    assert unit.limit == HELD + STEP


@pytest.mark.parametrize("how", ["condition", "firing", "other target", "claim"])
def test_nothing_is_given_while_memory_is_short(unit: Unit, how: str) -> None:
    unit.grow(3)
    limit = unit.limit
    match how:
        case "condition":
            unit.world.restless = True
        case "firing":
            unit.world.default_need = Need.FIRING
        case "other target":
            unit.world.needs["tell"] = Need.FIRING
            unit.decide(TELL, unit.another("b.service"))
        case "claim":
            unit.world.claims.take(
                "memory", "other", 0, unit.world.clock.now, unit.world.clock.now + 100, owner="guard"
            )
    unit.use(limit or 0)
    go_on(unit.machine, unit.world, 4.5)

    assert unit.limit == limit


def test_it_goes_on_where_it_was_after_another_decision_on_the_same(unit: Unit) -> None:
    unit.grow(3)
    limit = unit.limit
    unit.world.needs["tell"] = Need.FIRING
    unit.decide(TELL)
    go_on(unit.machine, unit.world, 1)
    unit.world.needs["tell"] = Need.OVER
    unit.grow(2)

    assert limit is not None
    assert unit.limit is not None
    assert limit < unit.limit < limit + 3 * STEP


def test_it_goes_on_when_the_next_decision_recovers_before_anybody_has_approved_it(tmp_path: Path, pid: int) -> None:
    unit = Unit(tmp_path, pid, ADVISED)
    unit.grow(3)
    unit.world.default_need = Need.FIRING
    unit.decide(ADVISED)
    go_on(unit.machine, unit.world, 2)
    unit.world.default_need = Need.OVER
    unit.grow(2)

    assert unit.limit is not None
    assert unit.limit > HELD + 3 * STEP


def test_it_stays_when_the_next_decision_turns_away(unit: Unit) -> None:
    unit.grow(3)
    limit = unit.limit
    unit.world.needs["tell"] = Need.FIRING
    unit.world.protected[unit.candidate.key] = "it is protected by now"
    unit.decide(TELL, unit.candidate, unit.another("b.service"))
    go_on(unit.machine, unit.world, 3)

    assert [each.candidate.name for each in unit.machine.courses] == ["b.service"]
    assert unit.limit == limit


def test_it_stays_when_the_processor_is_what_is_short(unit: Unit) -> None:
    unit.grow(3)
    limit = unit.limit
    unit.world.needs["busy"] = Need.FIRING
    unit.decide(BUSY)
    go_on(unit.machine, unit.world, 3)
    assert unit.limit == limit
    unit.world.needs["busy"] = Need.OVER
    unit.grow(2)

    assert unit.limit is not None


def test_who_is_throttled_anew_has_the_whole_time_again_and_the_first_original(tmp_path: Path, pid: int) -> None:
    unit = Unit(tmp_path, pid, rule("soft", steps=("throttle",), scope="unit"))
    unit.grow(3)
    unit.world.clock.now += 3500
    unit.world.default_need = Need.FIRING
    newer = unit.decide(SOFT)
    go_on(unit.machine, unit.world, 1)
    [change] = unit.world.ledger.changes
    assert (change.decision, change.original) == (newer.id, "max")
    unit.world.clock.now += 200
    go_on(unit.machine, unit.world, 1)

    assert unit.limit is not None


@pytest.mark.parametrize("how", ["veto", "mode", "end", "gone", "expiry", "another's"])
def test_it_is_put_back_at_once_where_nothing_more_may_be_done(unit: Unit, how: str) -> None:
    unit.grow(3)
    match how:
        case "veto":
            unit.world.needs["tell"] = Need.FIRING
            unit.machine.veto(unit.decide(TELL).id, "uid 0")
        case "mode":
            observing = rule("soft", steps=("throttle", "terminate"), scope="unit", mode=Mode.OBSERVE.value)
            unit.world.wanted = (observing,)
        case "end":
            unit.machine.end()
        case "gone":
            unit.world.wanted = ()
        case "expiry":
            unit.world.clock.now += 3600
        case "another's":
            unit.high.write_text("123456789\n")
    if how != "end":
        go_on(unit.machine, unit.world, 2)

    assert unit.world.ledger.changes == ()
    assert unit.high.read_text().startswith("123456789" if how == "another's" else "max")


def test_a_veto_ends_all_that_is_done_to_the_target(unit: Unit) -> None:
    unit.world.default_need = Need.FIRING
    second = unit.decide(BUSY)
    assert len(unit.machine.courses) == 2

    unit.machine.veto(second.id, "uid 0")

    assert unit.machine.courses == []
    assert unit.limit is None
    with pytest.raises(ActionRefused):
        unit.machine.veto(second.id, "uid 0")


def test_what_is_frozen_is_thawed_at_once_and_only_the_limit_is_loosened(tmp_path: Path, pid: int) -> None:
    unit = Unit(tmp_path, pid, rule("soft", steps=("throttle", "freeze", "terminate"), scope="unit"))
    unit.world.default_need = Need.FIRING
    unit.machine.advance()
    go_on(unit.machine, unit.world, 6)
    (tmp_path / "a.service/cgroup.freeze").write_text("1\n")
    assert [each.step for each in unit.world.ledger.changes] == [Step.THROTTLE, Step.FREEZE]

    unit.world.default_need = Need.OVER
    go_on(unit.machine, unit.world, 0.5)

    assert [each.step for each in unit.world.ledger.changes] == [Step.THROTTLE]
    assert (tmp_path / "a.service/cgroup.freeze").read_text().startswith("0")


def test_a_limit_of_the_owner_is_never_passed(tmp_path: Path, pid: int) -> None:
    own = HELD + 3 * STEP
    unit = Unit(tmp_path, pid, high=str(own))
    for _ in range(6):
        unit.current.write_text(unit.high.read_text())
        go_on(unit.machine, unit.world, 1)

    assert unit.limit == own
    assert unit.world.ledger.changes == ()


def test_swap_that_is_free_is_no_memory_to_give(tmp_path: Path, pid: int) -> None:
    unit = Unit(tmp_path, pid, FULL)
    unit.grow(1)

    assert unit.limit == HELD + STEP


def test_a_ledger_that_cannot_be_kept_leaves_the_limit(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    unit.grow(2)
    limit = unit.limit

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unit.world.ledger, "_save", full)
    unit.use(limit or 0)
    go_on(unit.machine, unit.world, 3)

    assert unit.limit == limit
    assert unit.world.events().count("step_failed") == 1
