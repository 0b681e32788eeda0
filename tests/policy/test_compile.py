from typing import Any

import pytest
from pydantic import ValidationError

from resourced.config_rules import RuleConfig, RuleMode, merge_rules
from resourced.decision import Level, Mode, Step
from resourced.errors import ConfigError
from resourced.policy import Defaults, compile_rules, required_metrics
from resourced.policy.lint import lint
from tests.policy.fakes import rules


def config(**table: Any) -> RuleConfig:
    return RuleConfig.model_validate({"name": "r", "metric": "memory.available", "below": "10%"} | table)


def test_a_percentage_of_an_amount_is_a_share_of_its_total() -> None:
    (rule,) = rules({"name": "r", "metric": "memory.available", "below": "10%", "clear": "15%"})
    leaf = rule.leaves[0]
    assert (str(leaf.expression), leaf.threshold, leaf.clear) == ("share(memory.available, memory.total)", 0.1, 0.15)


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ({"metric": "memory.availabel"}, "memory.available"),
        ({"below": "10 parsecs"}, "does not fit the unit"),
        ({"metric": "gpu.temperature", "below": "10%"}, "means nothing"),
        ({"clear": "5%"}, "at or above the threshold"),
        ({"below": None, "above": "10%", "clear": "15%"}, "at or below the threshold"),
        ({"metric": "system.memory.usage", "below": 5}, "say which: memory.used or memory.free"),
        ({"min_gain": "5 parsecs"}, "does not fit"),
        ({"min_gain": -5}, "less than nothing"),
    ],
)
def test_faults_name_the_rule_and_what_to_do(table: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigError, match=r"^rule 'r'") as caught:
        compile_rules([config(**table)])
    assert hint in str(caught.value)


def test_every_fault_is_listed() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_rules([config(metric="x"), config(), config(name="s", metric="y")])
    assert len(str(caught.value).splitlines()) == 3


def test_instances_of_two_kinds_do_not_mix() -> None:
    table = {"all": [{"metric": "gpu.temperature", "above": 1}, {"metric": "filesystem.utilization", "above": 0.5}]}
    with pytest.raises(ConfigError, match="different instances"):
        rules({"name": "r"} | table)


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ({"above": "1%"}, "either above or below"),
        ({"all": []}, "exactly one of"),
        ({"name": "No Such"}, "String should match"),
        ({"steps": ["kill", "notify"]}, "from the mildest"),
        ({"rank": {"largest": 0}}, "greater than 0"),
        ({"colour": "red"}, "Extra inputs"),
        ({"for": "soon"}, "not a duration"),
        ({"share": "0%"}, "greater than 0"),
    ],
)
def test_what_a_rule_may_not_say(table: dict[str, Any], hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        config(**table)


@pytest.mark.parametrize("table", [{"any": []}, {"any": [{"metric": "a", "above": 1}], "for": "3s"}])
def test_forms_do_not_mix(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"condition|rule"):
        RuleConfig.model_validate({"name": "r"} | table)


@pytest.mark.parametrize(
    ("rule", "policy", "result"),
    [
        (RuleMode.INHERIT, Mode.ENFORCE, Mode.ENFORCE),
        (RuleMode.ENFORCE, Mode.OBSERVE, Mode.OBSERVE),
        (RuleMode.OBSERVE, Mode.ENFORCE, Mode.OBSERVE),
        (RuleMode.ADVISE, Mode.ENFORCE, Mode.ADVISE),
        (RuleMode.OFF, Mode.ENFORCE, Mode.OFF),
        (RuleMode.ENFORCE, Mode.OFF, Mode.OFF),
    ],
)
def test_a_rule_goes_at_most_as_far_as_the_policy(rule: RuleMode, policy: Mode, result: Mode) -> None:
    assert rule.resolve(policy) is result


def test_rules_that_are_off_are_left_out_and_the_gravest_come_first() -> None:
    found = compile_rules([config(name="w"), config(name="h", level="hard"), config(name="o", mode="off")])
    assert [rule.name for rule in found] == ["h", "w"]


def test_ladders_are_those_of_the_level_unless_given() -> None:
    hard, given = (
        rules({**config(level="hard").model_dump(by_alias=True, exclude_unset=True)})[0],
        config(steps=["kill"]),
    )
    assert [rung.step for rung in hard.rungs] == [Step.TERMINATE, Step.KILL]
    assert [rung.step for rung in compile_rules([given])[0].rungs] == [Step.KILL]
    assert config().level is Level.WARN


@pytest.mark.parametrize(
    ("metric", "resource"),
    [
        ("memory.utilization", "memory"),
        ("swap.utilization", "swap"),
        ("gpu.memory_utilization", "gpu_memory"),
        ("cpu.utilization", "cpu"),
        ("pressure.io.full.share", "io"),
        ("pressure.memory.full.share", "memory"),
        ("processes.threads", "pids"),
        ("filesystem.utilization", "memory"),
    ],
)
def test_the_resource_follows_from_the_metric(metric: str, resource: str) -> None:
    assert rules({"name": "r", "metric": metric, "above": 0.5})[0].resource == resource


def test_defaults_are_for_rules_that_do_not_say() -> None:
    defaults = Defaults(warmup_seconds=7, cooldown_seconds=8, grace_seconds=9)
    table = {"steps": ["freeze", {"step": "kill", "grace": "1s"}]}
    silent, said = compile_rules([config(**table), config(name="s", warmup=0, cooldown="1s")], defaults=defaults)
    assert (silent.warmup_seconds, silent.cooldown_seconds) == (7, 8)
    assert [rung.grace_seconds for rung in silent.rungs] == [9, 1]
    assert (said.warmup_seconds, said.cooldown_seconds) == (0, 1)


@pytest.mark.parametrize(
    ("table", "settle", "expected"),
    [
        ({"level": "soft"}, 2, 10 + 5 + 15 + 10 + 2),
        ({"level": "soft", "scope": "tree"}, 2, 10 + 10 + 2),
        ({"level": "soft", "resource": "cpu"}, 2, 10 + 15 + 10 + 2),
        ({"level": "hard"}, 2, 3 + 5 + 2),
        ({"level": "hard"}, 0, 3 + 5 + 2),
        ({"level": "hard"}, 4, 4 + 5 + 4),
        ({"level": "hard", "steps": ["notify", "kill"]}, 20, 10 + 20 + 20),
    ],
)
def test_how_long_a_ladder_takes(table: dict[str, Any], settle: float, expected: float) -> None:
    (rule,) = compile_rules([config(**table)], mode=Mode.ENFORCE, defaults=Defaults(settle_seconds=settle))
    assert rule.ladder_seconds == rule.busy_seconds == expected
    (watching,) = compile_rules([config(**table)])
    assert watching.busy_seconds == 0


def test_users_are_found_by_name() -> None:
    (rule,) = rules(
        {"name": "r", "metric": "cpu.utilization", "above": 0.5, "only": {"users": ["root", "10*", "nobody-here"]}}
    )
    assert rule.only is not None
    assert rule.only.users == ("0", "10*", "nobody-here")


def test_a_command_that_is_written_in_full_is_known_by_what_the_kernel_keeps_of_it() -> None:
    written = ["gnome-terminal-server", "Runner.Listener", "gnome-terminal-*", "ä" * 9]
    (rule,) = rules({"name": "r", "metric": "cpu.utilization", "above": 0.5, "except": {"processes": written}})
    assert rule.spare is not None
    assert rule.spare.processes == ("gnome-terminal-", "Runner.Listener", "gnome-terminal-*", "ä" * 7)


def test_required_metrics_come_with_those_that_vouch_for_them() -> None:
    names = [metric.name for metric in required_metrics(rules({"name": "r", "metric": "swap.used", "above": 5}))]
    assert names == ["resourced.swap.limit", "system.paging.usage"]


def test_a_drop_in_replaces_what_it_names_and_a_condition_whole() -> None:
    base = [{"name": "a", "metric": "memory.available", "below": "5%", "for": "3s", "level": "hard"}, {"name": "b"}]
    merged = merge_rules(base, [{"name": "a", "mode": "off"}, {"name": "c"}])
    assert [rule["name"] for rule in merged] == ["a", "b", "c"]
    assert merged[0] == base[0] | {"mode": "off"}
    again = merge_rules(base, [{"name": "a", "metric": "swap.utilization", "above": "5%"}])
    assert again[0] == {"name": "a", "level": "hard", "metric": "swap.utilization", "above": "5%"}


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ({"metric": "memory.utilization", "above": 1.0}, "can never fire"),
        ({"metric": "memory.utilization", "above": -0.5}, "always fires"),
        ({"metric": "memory.utilization", "below": 0.0}, "can never fire"),
        ({"metric": "memory.utilization", "below": 1.5}, "always fires"),
        ({"metric": "memory.utilization", "above": 0.5, "share": 0.5}, "without `for`"),
        ({"metric": "memory.utilization", "above": 0.5, "clear": -1}, "would not end"),
        ({"metric": "memory.utilization", "above": 0.5, "level": "soft", "steps": ["notify"]}, "frees nothing"),
        ({"metric": "memory.utilization", "above": 0.5, "steps": ["kill"]}, "only speaks"),
        ({"metric": "memory.utilization", "above": 0.5, "scope": "gpu_process"}, "to free memory"),
        ({"metric": "memory.utilization", "above": 0.5, "level": "hard"}, "single sample"),
        ({"metric": "mean(memory.utilization, 1h)", "above": 0.5, "for": "5min"}, "looks back 3600 s"),
        (
            {"all": [{"metric": "cpu.utilization", "above": 0.5}, {"metric": "cpu.utilization", "below": 0.4}]},
            "above and below",
        ),
        ({"metric": "cpu.load_1m", "above": 9, "scope": "tree", "steps": ["throttle"]}, "throttle means nothing"),
        ({"metric": "cpu.load_1m", "above": 9, "resource": "swap", "steps": ["reclaim"]}, "nothing for swap"),
        ({"metric": "no.such", "above": 1}, "there is no metric"),
    ],
)
def test_lint(table: dict[str, Any], hint: str) -> None:
    found = lint([RuleConfig.model_validate({"name": "r"} | table)], mode=Mode.ENFORCE)
    assert any(hint in finding.text for finding in found), found


def test_lint_finds_names_that_are_there_twice_and_nothing_in_a_good_rule() -> None:
    assert [each.severity for each in lint([config(), config()])] == ["error"]
    assert lint([config(**{"for": "10s"})]) == []
    assert (
        lint([config(level="soft", scope="tree"), config(name="s", level="soft", steps=["reclaim", "throttle"])]) == []
    )
