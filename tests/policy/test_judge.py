from dataclasses import replace
from typing import Any

import pytest

from resourced.decision import Mode, Phase, Step
from resourced.policy import Judgement, JudgeState, Rule, Tick, judge, next_rung, replay, rungs, still_needed
from resourced.snapshot import Health
from tests.policy.fakes import GIB, cgroup, rules, run, snapshot, tick

LOW: dict[str, Any] = {
    "name": "low",
    "level": "hard",
    "metric": "memory.utilization",
    "above": 0.9,
    "for": "3s",
    "clear": 0.8,
    "clear_for": "2s",
    "cooldown": "5s",
}
HOG = snapshot(cgroups=[cgroup("/app.slice/hog.service", anonymous_bytes=8 * GIB)])


def use(*values: float | None, start: float = 0) -> list[Tick]:
    return [tick(start + at, {"memory.utilization": value}, HOG) for at, value in enumerate(values)]


def phases(values: list[float | None], table: dict[str, Any] | None = None) -> list[str]:
    compiled, state, found = rules(table or LOW), JudgeState.empty(), []
    for each in use(*values):
        state = judge(state, each, compiled).state
        found.append(state.instances[0].phase.value)
    return found


def test_a_rule_waits_for_its_period_then_fires_then_clears_then_cools() -> None:
    values: list[float | None] = [0.5, 0.95, 0.95, 0.95, 0.95, 0.85, 0.7, 0.7, 0.7, 0.7, 0.7]
    assert phases(values) == [
        "inactive",
        "pending",
        "pending",
        "pending",
        "firing",
        "firing",  # 0.85 has not passed clear
        "clearing",
        "clearing",
        "cooling",
        "inactive",
        "inactive",
    ]


def test_a_break_begins_the_period_anew() -> None:
    assert "firing" not in phases([0.95, 0.95, 0.95, 0.5, 0.95, 0.95, 0.95])


def test_coming_back_while_clearing_is_no_new_decision() -> None:
    decisions, _ = run(use(*[0.95] * 5, 0.7, 0.95, 0.95), rules(LOW | {"cooldown": "60s"}))
    assert len(decisions) == 1


def test_while_cooling_nothing_is_decided_again() -> None:
    decisions, last = run(use(*[0.95] * 4, 0.5, 0.5, 0.5, *[0.95] * 6), rules(LOW | {"cooldown": "60s"}))
    assert len(decisions) == 1
    assert last.state.instances[0].phase is Phase.COOLING
    assert not last.verdict


@pytest.mark.parametrize(("cooldown", "expected"), [("5s", [3, 13, 18]), ("10s", [3, 13, 23]), ("12s", [3, 15])])
def test_an_enforced_rule_that_fires_on_decides_again_after_its_cooldown_and_its_ladder(
    cooldown: str, expected: list[int]
) -> None:
    decisions, _ = run(use(*[0.95] * 25), rules(LOW | {"cooldown": cooldown}))
    assert [decision.sequence for decision in decisions][: len(expected)] == expected
    assert [each.target is not None for each in decisions] == [True] + [False] * (len(decisions) - 1)


def test_a_rule_that_only_observes_repeats_itself_ever_more_rarely() -> None:
    decisions, _ = run(use(*[0.95] * 200), rules(LOW, mode=Mode.OBSERVE))
    assert [decision.sequence for decision in decisions] == [3, 33, 93]


@pytest.mark.parametrize("bad", [None, float("nan"), -0.1, 1.5, float("inf")])
def test_what_is_missing_or_impossible_counts_for_nothing(bad: float | None) -> None:
    decisions, last = run(use(*[bad] * 20), rules(LOW))
    assert not decisions
    assert not last.verdict
    assert len(last.verdict.missing) == 1
    assert "memory.utilization" in last.verdict.missing[0]


def test_a_hole_neither_counts_nor_resets() -> None:
    compiled = rules(LOW)
    decisions, _ = run(use(0.95, 0.95, None, 0.95, 0.95), compiled)
    assert not decisions
    decisions, _ = run(use(0.95, 0.95, None, 0.95, 0.95, 0.95), compiled)
    assert [each.sequence for each in decisions] == [5]


def test_a_decision_after_a_hole_says_how_long_the_condition_has_held() -> None:
    decisions, _ = run(use(0.95, 0.95, None, 0.95, 0.95, 0.95), rules(LOW))
    assert decisions[0].held_seconds == 5


def test_a_step_is_needed_only_while_the_rule_fires() -> None:
    compiled = rules(LOW)
    decisions, firing = run(use(*[0.95] * 5), compiled)
    _, clearing = run(use(0.5, start=5), compiled, firing.state)
    assert still_needed(firing.state, decisions[0])
    assert not still_needed(clearing.state, decisions[0])
    assert not still_needed(JudgeState.empty(), decisions[0])


def test_rungs_are_taken_one_after_the_other() -> None:
    compiled = rules(LOW)
    decisions, _ = run(use(*[0.95] * 5), compiled)
    ladder = rungs(compiled, decisions[0])
    assert [rung.step for rung in ladder] == [Step.TERMINATE, Step.KILL]
    assert next_rung(ladder, ()) == ladder[0]
    assert next_rung(ladder, (Step.TERMINATE,)) == ladder[1]
    assert next_rung(ladder, (Step.TERMINATE, Step.KILL)) is None
    assert rungs((), decisions[0]) == ()


def test_a_long_hole_resets() -> None:
    decisions, last = run([*use(0.95, 0.95, 0.95), *use(*[None] * 40, start=3), *use(0.95, 0.95, start=43)], rules(LOW))
    assert not decisions
    assert last.state.instances[0].phase is Phase.PENDING


def test_a_firing_rule_whose_value_goes_missing_asks_for_nothing() -> None:
    _, last = run(use(*[0.95] * 5, None), rules(LOW))
    assert not last.verdict.prune
    assert last.state.instances[0].phase is Phase.CLEARING


def test_more_available_than_there_is_is_impossible() -> None:
    compiled = rules({"name": "r", "metric": "memory.available", "above": "1GiB"})
    _, last = run([tick(0, {"memory.available": 9e9, "memory.total": 8e9})], compiled)
    assert last.verdict.missing == ("memory.available: system.memory.linux.available is impossible: 9e+09",)


def test_what_this_machine_does_not_have_is_said() -> None:
    _, last = run([tick(0, {"memory.total": 1e9})], rules({"name": "r", "metric": "swap.utilization", "above": 0.5}))
    assert last.verdict.missing == ("swap.utilization: this machine does not have it",)


def test_a_share_of_the_samples_may_be_enough() -> None:
    table = LOW | {"for": "10s", "share": 0.7}
    values: list[float | None] = [0.5 if at % 4 == 3 else 0.95 for at in range(20)]
    assert "firing" not in phases(values, LOW | {"for": "10s"})
    assert "firing" in phases(values, table)


@pytest.mark.parametrize("moment", range(1, 12))
def test_a_restart_forgets_no_pending_period_and_fires_nothing_twice(moment: int) -> None:
    compiled = rules(LOW | {"cooldown": "4s"})
    ticks = use(0.5, *[0.95] * 6, 0.7, 0.7, 0.7, 0.95, 0.95)
    straight, _ = run(ticks, compiled)
    before, last = run(ticks[:moment], compiled)
    state = JudgeState.from_json(last.state.to_json())
    after, _ = run(ticks[moment:], compiled, state)
    assert [each.id for each in before + after] == [each.id for each in straight]
    assert straight


def test_a_past_of_one_tick_a_minute_is_judged_if_its_gaps_are_meant() -> None:
    compiled = rules(LOW | {"for": "3min"})
    ticks = [tick(at * 60, {"memory.utilization": 0.95}, HOG) for at in range(6)]
    assert not replay(ticks, compiled).decisions
    assert next(each.sequence for each in replay(ticks, compiled, gap_seconds=120).decisions) == 180


def test_a_reboot_begins_anew() -> None:
    compiled = rules(LOW)
    _, last = run(use(*[0.95] * 3, start=1000), compiled)
    decisions, again = run(use(0.95, 0.95), compiled, last.state)
    assert not decisions
    assert again.state.leaves[0] is not None
    assert again.state.leaves[0].seconds == 1


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"version":9}', '{"version":1}', "x"])
def test_a_state_that_is_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        JudgeState.from_json(text)


def test_judging_changes_nothing_that_was_given() -> None:
    table = LOW | {"metric": "mean(memory.utilization, 4s)"}
    compiled = rules(table)
    ticks = use(0.5, 0.95) + [each for at in range(2, 20, 2) for each in use(0.5, 0.95, start=at)]
    state, states = JudgeState.empty(), []
    for each in ticks:
        states.append(state)
        state = judge(state, each, compiled).state
    texts = [each.to_json() for each in states]
    for kept, each in zip(states, ticks, strict=True):
        one, other = judge(kept, each, compiled), judge(kept, each, compiled)
        assert one.state.to_json() == other.state.to_json()
        assert one.decisions == other.decisions
    assert [each.to_json() for each in states] == texts


def _two(first: float, second: float, at: int) -> Tick:
    names = ('hw.gpu.temperature{hw.id="A"}', 'hw.gpu.temperature{hw.id="B"}')
    return tick(at, dict(zip(names, (first, second), strict=True)))


def test_each_gpu_is_judged_for_itself() -> None:
    compiled = rules({"name": "hot", "metric": "gpu.temperature", "above": 85, "for": "2s"})
    decisions, last = run([_two(90, 60, at) for at in range(4)], compiled)
    assert [each.instance for each in decisions] == ["A"]
    assert {each.instance: each.phase.value for each in last.verdict.rules} == {"A": "firing", "B": "inactive"}


def test_what_vanishes_and_comes_back_is_not_decided_twice() -> None:
    compiled = rules({"name": "hot", "metric": "gpu.temperature", "above": 85, "cooldown": "1min"})
    decisions, last = run([_two(90, 60, 0)], compiled)
    gone, last = run([tick(1, {'hw.gpu.temperature{hw.id="B"}': 60})], compiled, last.state)
    back, last = run([_two(90, 60, 2), _two(90, 60, 3)], compiled, last.state)
    assert (len(decisions), gone, back) == (1, [], [])


def test_not_holds_only_when_the_other_is_known_not_to_hold() -> None:
    table = {
        "name": "idle",
        "all": [{"metric": "memory.utilization", "above": 0.5}, {"not": {"metric": "swap.utilization", "above": 0.1}}],
    }
    compiled = rules(table)
    assert run([tick(0, {"memory.utilization": 0.9, "swap.utilization": 0.0})], compiled)[0]
    assert not run([tick(0, {"memory.utilization": 0.9, "swap.utilization": 0.9})], compiled)[0]
    assert not run([tick(0, {"memory.utilization": 0.9, "swap.utilization": None})], compiled)[0]


def test_a_rule_of_one_not_is_judged_at_rest_too() -> None:
    compiled = rules({"name": "n", "not": {"metric": "memory.utilization", "above": 0.5}})
    assert run([tick(0, {"memory.utilization": 0.2})], compiled)[0]


def test_warmup() -> None:
    decisions, _ = run(use(*[0.95] * 12), rules(LOW | {"warmup": "10s"}))
    assert [each.sequence for each in decisions] == [10]


def test_a_flapping_rule_below_hard_waits_longer_and_says_so() -> None:
    table = LOW | {"level": "soft", "for": 0, "clear_for": 0, "cooldown": "2s", "clear": 0.9}
    values: list[float | None] = [0.95, 0.5, 0.5, 0.5] * 30
    soft, _ = run(use(*values), rules(table))
    hard, _ = run(use(*values), rules(table | {"level": "hard"}))
    assert len(soft) < len(hard)
    assert any("flaps" in (each.reason or "") for each in soft)


def test_one_victim_a_pass() -> None:
    compiled = rules(LOW, LOW | {"name": "low2"}, LOW | {"name": "low3", "level": "soft"})
    decisions, _ = run(use(*[0.95] * 4), compiled)
    assert len(decisions) == 1


def test_a_hard_rule_does_not_wait_for_what_a_soft_one_did() -> None:
    compiled = rules(
        LOW | {"name": "soft", "level": "soft", "for": "1s"}, LOW | {"name": "hard", "level": "hard", "for": "2s"}
    )
    decisions, _ = run(use(*[0.95] * 4), compiled)
    assert [(each.rule, each.target.name if each.target else None) for each in decisions] == [
        ("soft", "hog.service"),
        ("hard", "hog.service"),
    ]


def test_a_new_configuration_takes_over_what_still_applies() -> None:
    old: tuple[Rule, ...] = rules(LOW)
    _, last = run(use(0.95, 0.95, 0.95), old)
    decisions, _ = run(use(0.95, start=3), rules(LOW, LOW | {"name": "more"}), last.state)
    assert [each.rule for each in decisions] == ["low"]
    decisions, _ = run(use(0.95, start=3), rules(LOW | {"above": 0.92}), last.state)
    assert not decisions


def unread(at: float, value: float = 0.95, status: str = "stale") -> Tick:
    """Return a tick at which control groups have not been read yet."""
    machine = replace(HOG, cgroups=None, collectors={**HOG.collectors, "cgroups": Health(status)})
    return tick(at, {"memory.utilization": value}, machine)


def test_a_decision_waits_for_those_who_are_still_to_be_read() -> None:
    decisions, last = run([unread(0), unread(1), unread(2), unread(3), unread(4), *use(0.95, start=5)], rules(LOW))
    assert last.state.instances[0].phase is Phase.FIRING
    [decision] = decisions
    assert decision.sequence == 5
    assert decision.target is not None


def test_a_decision_waits_no_longer_than_five_seconds_and_then_says_that_there_is_nobody() -> None:
    decisions, _ = run([unread(at) for at in range(12)], rules(LOW))
    [decision] = decisions
    assert decision.sequence == 8
    assert decision.target is None
    assert decision.reason == "there is nothing of the rule's scope"


@pytest.mark.parametrize(
    ("scope", "section"),
    [("unit", "processes"), ("slice", "processes"), ("gpu_process", "processes"), ("workload", "cgroups")],
)
def test_it_waits_for_those_too_who_live_in_what_is_chosen(scope: str, section: str) -> None:
    missing: dict[str, Any] = {section: None}
    late = replace(HOG, **missing, collectors={**HOG.collectors, section: Health("stale")})
    ticks = [tick(at, {"memory.utilization": 0.95}, late) for at in range(8)]
    decisions, _ = run(ticks, rules(LOW | {"scope": scope}))
    assert not decisions


@pytest.mark.parametrize("status", ["absent", "off"])
def test_nobody_waits_for_what_the_machine_has_not(status: str) -> None:
    decisions, _ = run([unread(at, status=status) for at in range(4)], rules(LOW))
    assert [each.sequence for each in decisions] == [3]


def test_the_verdict_is_true_and_tells_its_reasons_when_a_rule_fires() -> None:
    judgement: Judgement
    _, judgement = run(use(*[0.95] * 5), rules(LOW))
    verdict = judgement.verdict
    assert verdict
    assert "hog.service must give way" in verdict.reasons[0]
    assert verdict.decisions[0].rule == "low"
    assert verdict.rules[0].evidence[0].held_seconds == 4
    assert verdict.rules[0].held_seconds == 4


def test_a_rule_of_level_warn_never_asks_for_pruning() -> None:
    decisions, last = run(use(*[0.95] * 5), rules(LOW | {"level": "warn"}))
    assert decisions[0].target is None
    assert not last.verdict


def test_no_rules_no_verdict() -> None:
    _, last = run(use(0.95), rules())
    assert not last.verdict
    assert last.verdict.reasons == ("no rule applies to this machine",)
