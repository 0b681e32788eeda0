"""Shipped profiles over recorded machines: quiet on those that are well, in time on those that are not."""

import pytest

from resourced.decision import Decision, Mode
from resourced.policy import JudgeState, judge, replay
from resourced.policy.lint import lint
from resourced.policy.profiles import PROFILES, profile_text, read_profile
from tests.scenarios.profiles import configs, profile
from tests.scenarios.recordings import ticks

KILLS = {"leak": ["leaky.service"], "burst": ["burst.service", "burst2.service"]}


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("recording", ["quiet", "host"])
def test_no_profile_decides_anything_on_a_busy_healthy_machine(name: str, recording: str) -> None:
    result = replay(ticks(recording), profile(name))
    assert result.decisions == ()
    assert result.ticks > 500


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("recording", sorted(KILLS))
def test_every_profile_decides_in_time_and_on_the_right_one(name: str, recording: str) -> None:
    result = replay(ticks(recording), profile(name))
    assert len(result.kills) == len(KILLS[recording])
    for kill, culprit in zip(result.kills, KILLS[recording], strict=True):
        assert kill.seconds_before is not None
        assert kill.seconds_before > 10
        first = next(each for each in result.decisions if each.id == kill.decision_id)
        assert first.target is not None
        named = (first.target.unit, first.target.cgroup)
        assert culprit in str(named)
    assert result.false_prunes == 0


def test_a_leak_is_seen_minutes_before_the_kernel_acts() -> None:
    (kill,) = replay(ticks("leak"), profile("default")).kills
    assert kill.seconds_before is not None
    assert kill.seconds_before > 120


def test_replay_equals_live_through_restarts() -> None:
    rules = profile("default")
    live: list[Decision] = []
    state = JudgeState.empty()
    for number, each in enumerate(ticks("burst")):
        judgement = judge(state, each, rules)
        live += judgement.decisions
        state = JudgeState.from_json(judgement.state.to_json()) if number % 17 == 0 else judgement.state
    assert tuple(live) == replay(ticks("burst"), rules).decisions
    assert live


@pytest.mark.parametrize("name", PROFILES)
def test_no_profile_has_anything_to_object_to(name: str) -> None:
    assert lint(configs(name), mode=Mode(read_profile(name)["mode"])) == []


def test_the_default_profile_only_observes() -> None:
    assert {rule.mode for rule in profile("default")} == {Mode.OBSERVE}


@pytest.mark.parametrize("name", PROFILES)
def test_every_rule_says_what_it_is_for(name: str) -> None:
    assert all(rule.description for rule in profile(name))
    assert profile_text(name).startswith("# ")


def test_an_unknown_profile_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(KeyError, match="gpu-server"):
        read_profile("laptop")
