"""What other killers got wrong, one test each, and the lessons from what they do right."""

from typing import Any

import pytest

from resourced.config_rules import RuleConfig
from resourced.decision import Decision, Mode
from resourced.policy import JudgeState, Tick, judge
from resourced.policy.lint import lint
from tests.policy.fakes import GIB, MIB, cgroup, process, rules, run, snapshot, tick
from tests.scenarios.profiles import profile

TOTAL = 16 * GIB


def machine(**values: float | None) -> dict[str, float | None]:
    """Return a healthy machine, with what a scenario changes."""
    healthy: dict[str, float | None] = {
        "memory.total": TOTAL,
        "memory.available": 8.0 * GIB,
        "memory.zfs_arc_reclaimable": None,
        "swap.utilization": 0.0,
        "pressure.memory.full.share": 0.0,
        "memory.reclaim_rate": 0.0,
    }
    return healthy | {name.replace("__", "."): value for name, value in values.items()}


SERVICES = snapshot(
    total=TOTAL,
    cgroups=[
        cgroup("/app.slice/job.service", inode=1, anonymous_bytes=10 * GIB, memory_bytes=10 * GIB),
        cgroup("/app.slice/cache.service", inode=2, anonymous_bytes=100 * MIB, memory_bytes=14 * GIB),
    ],
)


def judged(values: dict[str, float | None], seconds: int = 120) -> list[Decision]:
    decisions, _ = run([tick(at, values, SERVICES) for at in range(seconds)], profile("default"))
    return decisions


def pruned(decisions: list[Decision]) -> list[str]:
    return [each.rule for each in decisions if each.target is not None]


def test_a_large_and_slow_swap_that_is_empty_does_not_blind_the_rules() -> None:
    decisions = judged(machine(memory__available=0.3 * GIB, swap__utilization=0.05), 5)
    assert pruned(decisions) == ["memory-critical"]


def test_a_full_swap_with_memory_free_prunes_nothing() -> None:
    assert not judged(machine(swap__utilization=1.0))


def test_pressure_alone_prunes_nothing() -> None:
    assert not judged(machine(pressure__memory__full__share=0.9))


def test_pressure_that_stays_from_refaults_without_reclaim_prunes_nothing() -> None:
    low = machine(memory__available=2.5 * GIB, pressure__memory__full__share=0.9)
    assert not judged(low)


def test_reclaim_alone_prunes_nothing() -> None:
    assert not judged(machine(memory__reclaim_rate=50_000.0))


def test_pressure_and_reclaim_with_little_left_prune() -> None:
    values = machine(memory__available=2.5 * GIB, pressure__memory__full__share=0.6, memory__reclaim_rate=5000.0)
    assert "memory-stall" in pruned(judged(values))


def test_page_cache_is_not_use() -> None:
    """The machine looks full to those who subtract MemFree; what is available counts."""
    assert not judged(machine(memory__free=0.1 * GIB))


def test_page_cache_makes_no_victim() -> None:
    decisions = judged(machine(memory__available=0.3 * GIB), 5)
    target = decisions[0].target
    assert target is not None
    assert target.name == "job.service"
    by_name = {each.name: each for each in decisions[0].candidates}
    assert by_name["cache.service"].expected_gain == 100 * MIB


def test_the_zfs_arc_is_free_memory() -> None:
    assert not judged(machine(memory__available=0.3 * GIB, memory__zfs_arc_reclaimable=6.0 * GIB))


def test_a_score_adjustment_does_not_make_a_victim_of_5_megabytes() -> None:
    processes = [
        process(10, "small", memory_bytes=5 * MIB, oom_score_adj=1000, oom_score=1300),
        process(11, "large", memory_bytes=5 * GIB, oom_score_adj=0, oom_score=300),
    ]
    who = snapshot(total=TOTAL, processes=processes)
    table = {"name": "r", "level": "hard", "metric": "memory.available", "below": "5%", "scope": "process"}
    decisions, _ = run([tick(0, machine(memory__available=0.3 * GIB), who)], rules(table))
    target, small = decisions[0].target, decisions[0].candidates[-1]
    assert target is not None
    assert target.name == "large"
    assert small.note == "passed over: too little would be gained"


@pytest.mark.parametrize(
    ("metric", "warned"),
    [
        ("pressure.memory.full.share", "pressure alone"),
        ("mean(pressure.cpu.some.share, 30s)", "pressure alone"),
        ("swap.utilization", "swap alone"),
    ],
)
def test_a_rule_that_trusts_one_deceiving_signal_is_warned_of(metric: str, warned: str) -> None:
    table = {"name": "r", "level": "soft", "metric": metric, "above": "60%", "for": "30s"}
    assert any(warned in each.text for each in lint([RuleConfig.model_validate(table)]))
    assert not lint([RuleConfig.model_validate(table | {"level": "warn"})])


@pytest.mark.parametrize("available", [-1.0, float("nan"), None, 99.0 * GIB])
def test_nonsense_prunes_nothing(available: float | None) -> None:
    assert not judged(machine(memory__available=available))


def test_a_file_system_that_is_full_warns_and_names_no_victim() -> None:
    values = machine() | {'system.filesystem.utilization{system.filesystem.mountpoint="/"}': 0.99}
    decisions = judged(values)
    assert [(each.rule, each.instance, each.target) for each in decisions] == [("disk-full", "/", None)]


# What the better ones do: hysteresis, cool-down, a least gain, one victim a pass, an unkillable one ends no pass.

RULE: dict[str, Any] = {
    "name": "r",
    "level": "hard",
    "metric": "memory.available",
    "below": "10%",
    "clear": "20%",
    "clear_for": 0,
    "cooldown": "15s",
    "min_gain": "1GiB",
    "scope": "process",
}


def crowd(*sizes: float, state: str = "S") -> Any:
    return snapshot(
        total=TOTAL,
        processes=[
            process(
                100 + n, f"job{n}", memory_bytes=int(size * GIB), state=state if n == 0 else "S", cpu_utilization=0.0
            )
            for n, size in enumerate(sizes)
        ],
    )


def targets(ticks: list[Tick], mode: Mode = Mode.ENFORCE, **changes: Any) -> list[str | None]:
    decisions, _ = run(ticks, rules(RULE | changes, mode=mode))
    return [each.target.name if each.target else None for each in decisions]


def lasting(who: Any, seconds: int) -> list[Tick]:
    return [tick(at, machine(memory__available=1.0 * GIB), who) for at in range(seconds)]


def test_after_a_decision_pressure_is_given_time_to_follow() -> None:
    assert len(targets(lasting(crowd(4, 3, 2), 15))) == 1


def test_one_victim_at_a_time_then_the_next() -> None:
    assert targets(lasting(crowd(4, 3, 2), 40)) == ["job0", "job1", "job2"]


def test_one_that_can_not_be_killed_ends_no_pass() -> None:
    assert targets(lasting(crowd(8, 3, state="D"), 1)) == ["job1"]


def test_units_that_are_empty_or_can_not_be_read_end_no_pass() -> None:
    groups = [
        cgroup("/a.slice/unread.service", inode=1),
        cgroup("/a.slice/empty.service", inode=2, anonymous_bytes=0, memory_bytes=9 * GIB, populated=False),
        cgroup("/a.slice/job.service", inode=3, anonymous_bytes=2 * GIB),
    ]
    decisions, _ = run(lasting(snapshot(total=TOTAL, cgroups=groups), 1), rules(RULE | {"scope": "unit"}))
    target, notes = decisions[0].target, {each.name: each.note for each in decisions[0].candidates}
    assert target is not None
    assert target.name == "job.service"
    assert notes["unread.service"] == "passed over: it can't be told what it holds"
    assert notes["empty.service"] == "passed over: too little would be gained"


def test_after_a_recovery_nobody_else_is_chosen_though_pressure_stays() -> None:
    """The culprit died and memory is free again; refaults keep pressure high for a while."""
    low = machine(memory__available=2.5 * GIB, pressure__memory__full__share=0.6, memory__reclaim_rate=5000.0)
    freed = machine(memory__available=12.0 * GIB, pressure__memory__full__share=0.6, memory__reclaim_rate=5000.0)
    decisions, last = run([tick(at, low if at < 40 else freed, SERVICES) for at in range(400)], profile("default"))
    assert "memory-stall" in pruned(decisions)
    assert not [each for each in decisions if each.sequence > 40]
    assert not last.verdict


def test_one_that_was_chosen_and_is_still_there_is_passed_over_for_a_while() -> None:
    """The minute begins when the ladder ends, 10 s after the decision."""
    assert targets(lasting(crowd(8, 3), 95)) == ["job0", "job1", None, None, None, "job0", "job1"]


def test_who_only_observes_blames_the_same_one_again() -> None:
    assert targets(lasting(crowd(8, 3), 60), Mode.OBSERVE) == ["job0", "job0"]


def test_a_gain_that_does_not_matter_loses_to_the_next() -> None:
    who = snapshot(
        total=TOTAL,
        processes=[
            process(1000, "new", memory_bytes=MIB, start_time_ticks=999_999),
            process(999, "old", memory_bytes=2 * GIB, start_time_ticks=5),
        ],
    )
    assert targets(lasting(who, 1), rank=["newest"]) == ["old"]


def test_an_empty_pass_ends_without_a_target_and_says_why() -> None:
    decisions, _ = run(lasting(crowd(0.1), 1), rules(RULE))
    assert (decisions[0].target, decisions[0].reason) == (None, "nothing that may be pruned would free enough")


def test_the_rule_holds_until_the_value_has_passed_clear() -> None:
    compiled, state = rules(RULE), JudgeState.empty()
    phases = []
    for at, share in enumerate([0.05, 0.15, 0.19, 0.21]):
        state = judge(state, tick(at, machine(memory__available=share * TOTAL), crowd(4)), compiled).state
        phases.append(state.instances[0].phase.value)
    assert phases == ["firing", "firing", "firing", "cooling"]
