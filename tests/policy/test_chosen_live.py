"""The judge and those who act, together: whoever is chosen is dealt with, or comes again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resourced.actions import Order, Settings, all_actions
from resourced.actions.machine import Machine
from resourced.decision import Decision, Level, Scope, Step
from resourced.errors import StepImpossible
from resourced.policy import Judgement, JudgeState, Look, Need, Rule, Workload, judge, need_of
from resourced.policy.profiles import PROFILES
from resourced.policy.rule import GAIN_UNITS
from tests.actions.fakes import FakeWorld, Holder, cgroup_of, decision, process_candidate, program, real_world, start_of
from tests.policy.fakes import GIB, cgroup, process, rules, snapshot, tick
from tests.scenarios.profiles import configs

SIZES = {"a": 6 * GIB, "b": 4 * GIB, "c": GIB, "d": GIB // 2}
MACHINE = snapshot(
    processes=[process(10 + n, name, memory_bytes=size) for n, (name, size) in enumerate(SIZES.items())],
    cgroups=[
        cgroup(f"/x.slice/{name}.service", inode=n, anonymous_bytes=size)
        for n, (name, size) in enumerate(SIZES.items())
    ],
)
SHORT: dict[str, Any] = {"metric": "memory.available", "below": "10%", "clear": "15%"}


class Live(FakeWorld):
    """A world whose policy is the judge; nobody in it ever goes."""

    def __init__(self, *compiled: Rule) -> None:
        super().__init__(*compiled)
        alone = any(each.scope in (Scope.PROCESS, Scope.TREE) for each in compiled)
        self.impossible = (Step.RECLAIM, Step.THROTTLE) if alone else ()
        for step in self.impossible:
            self.counted[step].errors[step.value] = StepImpossible("a process has no limits of its own")
        self.judgement: Judgement | None = None
        self.decisions: list[Decision] = []
        self.machine = Machine(self, Settings())

    def need(self, decided: Decision) -> Need:
        assert self.judgement is not None
        return need_of(self.judgement, self.wanted, decided)

    def live(self, levels: Sequence[float], registered: tuple[Workload, ...] = ()) -> None:
        """Live through some seconds, of which each has so many GiB left."""
        state = JudgeState.empty()
        for at, left in enumerate(levels):
            values: dict[str, float | None] = {"memory.total": 16.0 * GIB, "memory.available": left * GIB}
            moment = tick(at, values, MACHINE, workloads=registered)
            self.judgement = judge(state, moment, self.wanted)
            state = self.judgement.state
            self.clock.now = moment.monotonic_seconds + 0.05
            self.decisions += self.judgement.decisions
            for each in self.judgement.decisions:
                self.machine.submit(each)
            for _ in range(9):
                self.machine.advance()
                self.clock.now += 0.1

    def steps(self) -> list[tuple[str, str]]:
        return [(name[0], step.value) for _, step, name in self.done]

    def called_off(self) -> list[str]:
        return [str(each.detail) for each in self.outcomes if "dealt with already" in str(each.detail)]


def ladders() -> list[dict[str, Any]]:
    """Return the usual ladders, and those of every shipped rule that prunes to free memory."""
    found: list[dict[str, Any]] = [{"level": "soft"}, {"level": "hard"}, {"level": "hard", "cooldown": "10s"}]
    for config in [each for name in PROFILES for each in configs(name)]:
        shipped = config.model_dump(by_alias=True, exclude_unset=True)
        table: dict[str, Any] = {key: shipped[key] for key in ("level", "scope", "steps", "cooldown") if key in shipped}
        if config.level is not Level.WARN and config.mode == "inherit" and table not in found:
            found.append(table)
    return found


@pytest.mark.parametrize("table", ladders(), ids=str)
def test_everybody_gets_the_whole_ladder_in_the_order_in_which_they_were_chosen(table: dict[str, Any]) -> None:
    compiled = rules(SHORT | {"name": "r", **table})
    world = Live(*compiled)

    world.live([0.5] * 200)

    possible = [rung.step for rung in compiled[0].rungs if rung.step not in world.impossible]
    assert world.called_off() == []
    assert world.steps()[: 2 * len(possible)] == [(name, step) for name in "ab" for step in possible]


def test_who_is_named_while_another_was_asked_to_leave_by_itself_is_the_next() -> None:
    """The ladder of the first begins 30 s later, so that the second is named in vain, once."""
    compiled = rules(SHORT | {"name": "r", "level": "soft"})
    world = Live(*compiled)
    world.workloads.put("/x.slice/a.service:0", Holder("1"))

    world.live([0.5] * 130, (Workload("1", "job", cgroup="/x.slice/a.service"),))

    assert len(world.called_off()) == 1
    ladder = [rung.step for rung in compiled[0].rungs]
    assert world.steps()[: 2 * len(ladder)] == [(name, step) for name in "ab" for step in ladder]


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.5, 4.0]), st.integers(1, 40)), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_nobody_is_passed_over_to_whom_nothing_was_done(spans: list[tuple[float, int]]) -> None:
    hard = {"name": "hard", "level": "hard", "below": "2%", "clear": "4%", "for": "2s", "cooldown": "10s"}
    other = {"name": "other", "level": "soft", "for": "5s"}
    world = Live(*rules(SHORT | {"name": "soft", "level": "soft"}, SHORT | other, SHORT | hard))

    world.live([left for left, seconds in spans for _ in range(seconds)])

    for decided in world.decisions:
        for each in decided.candidates:
            if "it was chosen" in (each.note or ""):
                done = [at for at, step, name in world.done if name == each.name and step is not Step.NOTIFY]
                assert any(at < decided.monotonic_seconds for at in done), (decided.sequence, each.name)


@pytest.mark.parametrize("resource", GAIN_UNITS)
@pytest.mark.parametrize("step", [Step.RECLAIM, Step.THROTTLE, Step.FREEZE])
def test_a_ladder_takes_no_time_for_what_can_not_be_done(tmp_path: Path, step: Step, resource: str) -> None:
    files = {
        "memory__current": str(64 << 20),
        "memory__high": "max",
        "memory__reclaim": "",
        "cpu__weight": "100",
        "io__weight": "default 100",
    }
    world = real_world(*rules(SHORT | {"name": "r", "level": "soft"}), directory=tmp_path)
    with program() as job:
        for scope, candidate in (
            ("unit", cgroup_of(tmp_path, "a.service", **files)),
            ("process", process_candidate(job.pid)),
        ):
            rungs = [{"step": step, "grace": "5s"}]
            table = SHORT | {"name": "r", "level": "soft", "scope": scope, "resource": resource, "steps": rungs}
            decided = decision(world.wanted[0], candidate)
            target = world.open(candidate, Look(Need.FIRING, members=((job.pid, start_of(job.pid)),)))
            try:
                all_actions()[step].take(Order(decided, resource, target, world.ledger, 60.0))
                possible = True
            except StepImpossible:
                possible = False
            target.close()
            assert rules(table)[0].ladder_seconds == (7 if possible else 2), scope
