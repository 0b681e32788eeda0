"""One target at a time: the judge waits for the ladder of the first, and nobody is passed over who was only named."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from resourced.decision import Candidate, Decision, Mode, Scope
from resourced.policy import JudgeState, Tick, Workload, replay
from resourced.policy.chosen import asks_first
from tests.policy.fakes import GIB, MIB, cgroup, process, rules, run, snapshot, tick

SIZES = {"a": 6 * GIB, "b": 4 * GIB, "c": GIB, "d": 512 * MIB}
SERVICES = [
    cgroup(f"/x.slice/{name}.service", inode=n, anonymous_bytes=size) for n, (name, size) in enumerate(SIZES.items())
]
MACHINE = snapshot(
    cgroups=SERVICES,
    processes=[
        process(10 + n, name, cgroup=f"/x.slice/{name}.service", memory_bytes=size)
        for n, (name, size) in enumerate(SIZES.items())
    ],
)
SOFT: dict[str, Any] = {"name": "soft", "level": "soft", "metric": "memory.available", "below": "10%", "clear": "15%"}
HARD = SOFT | {"name": "hard", "level": "hard"}
SHORTER = 0.2
"""GiB left, less than 2 %."""


def short(seconds: float, start: float = 0.0, left: float = 0.5, **more: Any) -> list[Tick]:
    """Return a machine on which memory is short for so long, or on which `left` GiB are left."""
    values: dict[str, float | None] = {"memory.total": 16.0 * GIB, "memory.available": left * GIB}
    return [tick(start + at, values | more, MACHINE) for at in range(int(seconds))]


def named(decisions: Sequence[Decision]) -> list[tuple[int, str | None]]:
    return [(each.sequence, each.target.name[0] if each.target else None) for each in decisions]


def test_a_second_target_is_chosen_when_the_ladder_of_the_first_is_over() -> None:
    decisions, _ = run(short(140), rules(SOFT))
    assert named(decisions) == [(0, "a"), (42, "b"), (84, "c"), (126, "a")]


@pytest.mark.parametrize("cooldown", [0, "10s"])
def test_a_short_ladder_is_waited_for_no_longer_than_it_takes(cooldown: Any) -> None:
    decisions, _ = run(short(31), rules(HARD | {"cooldown": cooldown}))
    assert named(decisions) == [(0, "a"), (10, "b"), (20, "c"), (30, "d")]


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ADVISE])
def test_where_nothing_is_done_by_itself_nobody_is_waited_for(mode: Mode) -> None:
    other = SOFT | {"name": "other", "below": "9%"}
    decisions, _ = run(short(31), rules(SOFT, other, mode=mode))
    assert [(each.sequence, each.rule) for each in decisions] == [(0, "soft"), (15, "other"), (30, "soft")]


def test_another_rule_waits_for_the_ladder_too_unless_it_is_graver() -> None:
    other = SOFT | {"name": "other", "below": "9%"}
    decisions, _ = run(short(60), rules(SOFT, other))
    assert [(each.sequence, each.rule) for each in decisions] == [(0, "soft"), (42, "soft")]
    decisions, _ = run([*short(5), *short(60, 5, SHORTER)], rules(SOFT, HARD | {"below": "2%"}))
    assert [(each.sequence, each.rule) for each in decisions][:2] == [(0, "soft"), (5, "hard")]


def test_whom_a_milder_rule_has_told_a_graver_one_ends_and_nobody_else() -> None:
    """The hard rule has held from the beginning, as long as the soft one whose victim was just told."""
    decisions, _ = run(short(30), rules(SOFT, HARD | {"for": "3s"}))
    assert [(each.rule, each.target.name[0] if each.target else None) for each in decisions] == [
        ("soft", "a"),
        ("hard", "a"),
        ("hard", "b"),
    ]


def test_what_a_graver_rule_took_over_no_milder_one_waits_for() -> None:
    """The soft ladder of the same victim ended with the hard one, which took 10 s; the cool-down is 15 s."""
    ticks = [*short(5), *short(3, 5, SHORTER), *short(30, 8)]
    decisions, _ = run(ticks, rules(SOFT, HARD | {"below": "2%", "clear": "2%", "clear_for": 0}))
    assert [(each.sequence, each.rule) for each in decisions] == [(0, "soft"), (5, "hard"), (20, "soft")]


def test_who_was_chosen_for_something_else_is_not_passed_over() -> None:
    busy = {"name": "busy", "level": "soft", "metric": "cpu.utilization", "above": "50%"}
    ticks = short(20, **{"cpu.utilization": 0.9})
    machine = snapshot(cgroups=[replace(each, cpu_utilization=2.0) for each in SERVICES])
    both = rules(busy, SOFT | {"for": "3s"})
    decisions, _ = run([replace(each, source=machine) for each in ticks], both)
    assert [(each.rule, each.target.name if each.target else None) for each in decisions] == [
        ("busy", "a.service"),
        ("soft", "a.service"),
    ]


def test_when_a_rule_has_recovered_nobody_waits_for_what_was_called_off_and_the_same_comes_first() -> None:
    other = SOFT | {"name": "other", "below": "8%", "clear": "30%", "for": "30s"}
    ticks = [*short(5), *short(15, 5, 4.0), *short(20, 20)]
    decisions, _ = run(ticks, rules(SOFT, other))
    assert [(each.rule, *each_of) for each, each_of in zip(decisions, named(decisions), strict=True)] == [
        ("soft", 0, "a"),
        ("soft", 20, "a"),
    ]


def test_a_rule_that_is_switched_off_keeps_nobody_waiting() -> None:
    _, last = run(short(5), rules(SOFT, HARD | {"mode": "off"}))
    decisions, _ = run(short(20, 5), rules(SOFT | {"name": "other"}), last.state)
    assert named(decisions) == [(15, "a")]


def test_who_may_have_been_named_only_comes_again() -> None:
    """While the rule clears nothing is done: the ladder of the first took longer than was reckoned."""
    flicker = [*short(8), *short(6, 8, 4.0), *short(90, 14)]
    decisions, _ = run(flicker, rules(SOFT))
    assert named(decisions) == [(0, "a"), (42, "b"), (84, "b")]
    decisions, _ = run([*short(44), *short(6, 44, 4.0), *short(60, 50)], rules(SOFT))
    assert named(decisions)[:3] == [(0, "a"), (42, "b"), (84, "c")]


def test_a_graver_rule_holds_up_the_ladder_of_a_milder_one() -> None:
    ticks = [*short(20), *short(3, 20, SHORTER), *short(90, 23)]
    hard = HARD | {"below": "2%", "clear": "2%", "clear_for": 0, "only": {"units": ["b.service"]}}
    decisions, _ = run(ticks, rules(SOFT, hard))
    assert [(each.rule, *of) for each, of in zip(decisions, named(decisions), strict=True)][:4] == [
        ("soft", 0, "a"),
        ("hard", 20, "b"),
        ("soft", 42, "b"),
        ("soft", 84, "b"),
    ]


def test_who_was_named_while_workloads_were_asked_first_comes_again() -> None:
    leases = (Workload("1", "job", pid=10),)
    asked = [replace(each, workloads=leases) for each in short(90)]
    assert named(run(asked, rules(SOFT))[0]) == [(0, "a"), (42, "b"), (84, "b")]
    elsewhere = [replace(each, workloads=(Workload("1", "job", pid=13),)) for each in short(90)]
    assert named(run(elsewhere, rules(SOFT))[0]) == [(0, "a"), (42, "b"), (84, "c")]


@pytest.mark.parametrize("moment", [1, 30, 43, 60])
def test_a_state_that_is_kept_forgets_nobody(moment: int) -> None:
    compiled, ticks = rules(SOFT), [*short(8), *short(6, 8, 4.0), *short(120, 14)]
    before, last = run(ticks[:moment], compiled)
    after, _ = run(ticks[moment:], compiled, JudgeState.from_json(last.state.to_json()))
    assert named(before + after) == named(run(ticks, compiled)[0])


def test_after_a_restart_nobody_is_dealt_with_any_more() -> None:
    compiled = rules(SOFT)
    _, last = run(short(5), compiled)
    decisions, _ = run(short(30, 5), compiled, JudgeState.from_json(last.state.to_json()).after_restart())
    assert named(decisions) == [(15, "a")]


def test_a_rehearsal_knows_of_a_restart_by_samples_that_are_numbered_anew() -> None:
    compiled = rules(SOFT)
    anew = [replace(each, sequence=number) for number, each in enumerate(short(30, 5), 1)]
    decisions = replay([*short(5), *anew], compiled).decisions
    assert [each.monotonic_seconds for each in decisions] == [100, 115]
    assert [each.target.name for each in decisions if each.target] == ["a.service", "a.service"]


def test_whom_the_guard_has_chosen_is_dealt_with_like_others() -> None:
    compiled = rules(SOFT, HARD | {"below": "2%", "steps": [{"step": "kill", "grace": "30s"}]})
    [guarded], _ = run(short(1, left=SHORTER), compiled)
    _, last = run(short(1, left=8), compiled)
    decisions, _ = run(short(40, 1), compiled, last.state.with_decision(guarded, "memory", 0))
    assert guarded.rule == "hard"
    assert named(decisions) == [(32, "b")]


WITHIN = "/x.slice/a.service"
PLACES: list[tuple[Candidate, Workload, bool]] = [
    (Candidate(Scope.UNIT, f"{WITHIN}:1", "a", cgroup=WITHIN), Workload("1", "w", pid=10), True),
    (Candidate(Scope.UNIT, f"{WITHIN}:1", "a", cgroup=WITHIN), Workload("1", "w", pid=11), False),
    (Candidate(Scope.UNIT, f"{WITHIN}:1", "a", cgroup=WITHIN), Workload("1", "w", cgroup=WITHIN), True),
    (Candidate(Scope.UNIT, f"{WITHIN}:1", "a", cgroup=WITHIN), Workload("1", "w", cgroup=f"{WITHIN}2"), False),
    (Candidate(Scope.SLICE, "/x.slice:1", "x", cgroup="/x.slice"), Workload("1", "w", cgroup=WITHIN), True),
    (Candidate(Scope.PROCESS, "10:10", "a", 10, 10, cgroup=WITHIN), Workload("1", "w", pid=10), True),
    (Candidate(Scope.PROCESS, "11:11", "b", 11, 11), Workload("1", "w", pid=10), False),
    (Candidate(Scope.PROCESS, "10:10", "a", 10, 10, cgroup=WITHIN), Workload("1", "w", pid=9, cgroup=WITHIN), True),
    (Candidate(Scope.TREE, "9:9", "sh", 9, 9, cgroup=WITHIN, uid=1000), Workload("1", "w", pid=10), True),
    (Candidate(Scope.TREE, "9:9", "sh", 9, 9, cgroup=WITHIN, uid=1001), Workload("1", "w", pid=10), False),
    (Candidate(Scope.USER, "1000", "user 1000", uid=1000), Workload("1", "w", pid=10), True),
    (Candidate(Scope.USER, "1001", "user 1001", uid=1001), Workload("1", "w", pid=10), False),
    (Candidate(Scope.USER, "1000", "user 1000", uid=1000), Workload("1", "w", pid=99), False),
]


@pytest.mark.parametrize(("target", "workload", "expected"), PLACES)
def test_who_is_registered_in_a_target_is_asked_first(target: Candidate, workload: Workload, *, expected: bool) -> None:
    assert asks_first(tick(0, {}, MACHINE, workloads=(workload,)), target) is expected
    assert not asks_first(tick(0, {}, MACHINE), target)
