"""Among whom a rule chooses that names one GPU or one user."""

from typing import Any

import pytest

from resourced.decision import Decision
from resourced.errors import ConfigError
from resourced.policy import Judgement, Tick, look_again, outlook
from resourced.policy.candidates import population_of
from resourced.policy.ranking import least_gain
from resourced.snapshot.gpus import GpuProcess
from tests.policy.fakes import GIB, gpu, process, rules, run, snapshot, tick

HELD = {"GPU-1": (10, 20 * GIB, 24 * GIB), "GPU-2": (11, 23 * GIB, 80 * GIB)}
"""By GPU: who holds memory, how much, and how much there is."""


def ticks(seconds: int = 1, **held: float) -> list[Tick]:
    """Return a machine on which A holds most of GPU-1 and B of GPU-2, where more is held, and C a little of both."""
    devices = {
        uuid: gpu(
            number,
            [
                GpuProcess(pid, "compute", used, 0.0, None, alive=True),
                GpuProcess(12, "compute", number * GIB, 0.0, None, alive=True),
            ],
            memory_total_bytes=total,
            memory_free_bytes=total - used - number * GIB,
        )
        for number, (uuid, (pid, used, total)) in enumerate(HELD.items(), 1)
    }
    people = [process(10, "A", uid=1000, memory_bytes=2 * GIB), process(11, "B", uid=1001, memory_bytes=9 * GIB)]
    machine = snapshot(processes=[*people, process(12, "C", uid=1000)], gpus=devices)
    values: dict[str, float | None] = {"memory.total": 16.0 * GIB, 'hw.host.temperature{hw.id="cpu"}': 90.0}
    for uuid, (_, used, total) in HELD.items():
        values |= {f'hw.gpu.memory.usage{{hw.id="{uuid}"}}': used, f'hw.gpu.memory.limit{{hw.id="{uuid}"}}': total}
    for uid in (1000, 1001):
        values[f'resourced.user.memory{{user.id="{uid}"}}'] = 9.0 * GIB
    return [tick(at, values, machine) for at in range(seconds)]


def first(table: dict[str, Any]) -> tuple[Decision, Judgement]:
    decisions, last = run(ticks(), rules({"name": "r", "level": "soft", "min_gain": 0} | table))
    return decisions[0], last


def chosen(table: dict[str, Any]) -> list[str]:
    """Return the target and all who were considered."""
    decision, _ = first(table)
    return [decision.target.name if decision.target else "nobody", *sorted(each.name for each in decision.candidates)]


ONE = {"metric": 'gpu.memory_used{hw.id="GPU-1"}', "above": "50%"}
OTHER = {"metric": 'gpu.memory_used{hw.id="GPU-2"}', "above": "10%"}
HOT = {"metric": "sensors.temperature", "above": 80}


@pytest.mark.parametrize("condition", [ONE, {"metric": 'gpu.memory_used{hw.id="GPU-1*"}', "above": "50%"}], ids=str)
def test_on_the_gpu_that_a_rule_names_somebody_gives_way_and_nowhere_else(condition: dict[str, Any]) -> None:
    assert chosen(condition | {"scope": "gpu_process"}) == ["A", "A", "C"]
    decision, _ = first(condition | {"scope": "process"})
    assert [(each.name, each.usage) for each in decision.candidates] == [("A", 20 * GIB), ("C", GIB), ("B", 0)]


def test_a_gpu_is_named_by_the_readings_of_gpus_alone() -> None:
    table = {"resource": "gpu_memory", "scope": "gpu_process"}
    assert chosen({"all": [ONE, HOT]} | table) == ["A", "A", "C"]
    assert chosen(HOT | table) == ["B", "A", "B", "C", "C"]


def test_a_gpu_that_is_only_a_condition_names_nobody_beside_the_one_that_is_judged() -> None:
    every = {"metric": "gpu.memory_used", "above": "25%"}
    assert chosen({"all": [every, ONE], "scope": "gpu_process"}) == ["A", "A", "C"]
    decisions, _ = run(ticks(), rules({"name": "r", "level": "soft", "all": [every, ONE], "scope": "gpu_process"}))
    assert decisions[0].instance == "GPU-1"


def test_what_is_to_be_gained_is_a_share_of_the_gpu_that_a_rule_names() -> None:
    (rule,) = rules({"name": "r", "level": "soft", "scope": "gpu_process", "min_gain": "10%"} | ONE)
    assert least_gain(rule, population_of(ticks()[0], rule, "")) == pytest.approx(2.4 * GIB)


def test_looking_again_is_looking_at_the_gpu_that_was_named() -> None:
    compiled = rules({"name": "r", "level": "soft", "scope": "gpu_process"} | OTHER)
    (decision,), last = run(ticks(), compiled)
    assert decision.target is not None
    [shared] = [each for each in decision.candidates if each.name == "C"]

    look = look_again(last, compiled, decision, shared)

    assert (look.found, look.usage, look.left) == (True, 2 * GIB, 55 * GIB)
    [elsewhere] = [each for each in first(ONE | {"scope": "gpu_process"})[0].candidates if each.name == "A"]
    assert not look_again(last, compiled, decision, elsewhere).found


def test_a_process_on_two_gpus_is_looked_at_on_the_one_on_which_it_was_chosen() -> None:
    table = {"name": "r", "level": "soft", "scope": "gpu_process", "resource": "gpu_memory", "min_gain": 0}
    compiled = rules(HOT | table)
    (decision,), last = run(ticks(), compiled)
    shared = {each.gpu: each for each in decision.candidates if each.name == "C"}
    assert {uuid: look_again(last, compiled, decision, each).usage for uuid, each in shared.items()} == {
        "GPU-1": GIB,
        "GPU-2": 2 * GIB,
    }


@pytest.mark.parametrize("scope", ["process", "tree"])
def test_of_the_user_whom_a_rule_names_something_gives_way_and_of_nobody_else(scope: str) -> None:
    table = {"metric": 'user.memory{user.id="1000"}', "above": "50%", "scope": scope}
    assert chosen(table) == ["A", "A", "C"]


def test_who_is_looked_at_again_is_one_of_the_user_who_was_named() -> None:
    compiled = rules({"name": "r", "level": "soft", "scope": "process", "metric": "user.memory", "above": "50%"})
    decisions, last = run(ticks(), compiled)
    targets = {each.instance: each.target for each in decisions if each.target}
    assert [each.name for each in targets.values()] == ["A"]  # one target a resource
    assert look_again(last, compiled, decisions[0], targets["1000"]).found
    (by_name,) = rules({"name": "r", "level": "soft", "metric": 'user.memory{user.id="1001"}', "above": "50%"})
    assert not look_again(last, (by_name,), decisions[0], targets["1000"]).found


def test_the_outlook_is_for_the_gpu_that_a_rule_names() -> None:
    _, last = first(ONE | {"scope": "gpu_process"})
    assert [each.candidate is not None for each in outlook(last, pid=11).rules] == [False]
    assert outlook(last, pid=10).rules[0].place == 1


BOTH = [ONE, OTHER]
PEOPLE = [{"metric": f'user.memory{{user.id="{uid}"}}', "above": "50%"} for uid in (1000, 1001)]


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ({"any": BOTH, "scope": "gpu_process"}, "name different GPUs"),
        ({"all": BOTH, "scope": "process"}, "name different GPUs"),
        ({"all": PEOPLE}, "name different users"),
    ],
    ids=str,
)
def test_who_must_give_way_is_said(table: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint) as caught:
        rules({"name": "r", "level": "hard"} | table)
    assert "write a rule for each" in str(caught.value)
    assert rules({"name": "r", "level": "warn"} | table)


def test_different_gpus_and_users_may_be_named_where_it_is_said_otherwise_who_gives_way() -> None:
    assert chosen({"all": PEOPLE, "scope": "process", "only": {"users": ["1000"]}})[0] == "A"
    assert chosen({"all": BOTH, "scope": "process", "resource": "memory"})[0] == "B"
