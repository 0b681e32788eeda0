import pytest

from resourced.decision import Phase, Scope
from resourced.errors import QueryError
from resourced.policy import Tick, judge, required_metrics
from resourced.policy.observation import layout_of
from resourced.policy.state import JudgeState
from resourced.series import Extractor
from tests.policy.fakes import GIB, gpu, process, rules, run, snapshot, tick
from tests.scenarios.profiles import profile

GPU_RULES = profile("gpu-server")


def test_equal_names_have_one_layout() -> None:
    one, _ = layout_of({"memory.available": 1.0, "memory.total": 2.0})
    other, row = layout_of({"memory.available": 3.0, "memory.total": 4.0})
    assert one is other
    assert row == [3.0, 4.0]


def test_layouts_are_not_kept_for_ever() -> None:
    first, _ = layout_of({"memory.available": 1.0})
    for number in range(20):
        layout_of({f'hw.gpu.temperature{{hw.id="{number}"}}': 1.0})
    again, _ = layout_of({"memory.available": 1.0})
    assert first == again


def test_a_name_that_is_no_series_is_refused() -> None:
    with pytest.raises(QueryError, match=r"memory\.available"):
        layout_of({"memory.availabel": 1.0})


def test_what_the_extractor_reads_reaches_the_rules() -> None:
    hot = {"G": gpu(0, temperature_celsius=95.0, memory_total_bytes=24 * GIB, memory_utilization=0.5)}
    extractor = Extractor(required_metrics(GPU_RULES))
    state, phases = JudgeState.empty(), []
    for at in range(70):
        machine = snapshot(at, gpus=hot)
        row = extractor.read(machine)
        judgement = judge(state, Tick.of(machine, (extractor.layout, row)), GPU_RULES)
        state = judgement.state
        phases.append({each.rule: each.phase for each in judgement.verdict.rules}["gpu-hot"])
    assert phases[0] is Phase.PENDING
    assert phases[-1] is Phase.FIRING


def test_a_gpu_rule_looks_at_its_own_gpu_only() -> None:
    (rule,) = (each for each in GPU_RULES if each.name == "gpu-idle-memory")
    assert rule.scope is Scope.GPU_PROCESS
    assert rule.resource == "gpu_memory"
    assert rule.instance_label == "hw.id"


def test_a_pattern_of_labels_selects_instances() -> None:
    compiled = rules({"name": "r", "metric": 'gpu.temperature{hw.id="GPU-A*"}', "above": 85})
    names = ('hw.gpu.temperature{hw.id="GPU-A1"}', 'hw.gpu.temperature{hw.id="GPU-B1"}')
    decisions, _ = run([tick(0, dict.fromkeys(names, 90.0))], compiled)
    assert [each.instance for each in decisions] == ["GPU-A1"]


def test_a_label_that_is_named_is_no_instance() -> None:
    compiled = rules(
        {
            "name": "r",
            "all": [
                {"metric": 'gpu.temperature{hw.id="GPU-A1"}', "above": 85},
                {"metric": "filesystem.utilization", "above": 0.5},
            ],
        }
    )
    values: dict[str, float | None] = {
        'hw.gpu.temperature{hw.id="GPU-A1"}': 90.0,
        'system.filesystem.utilization{system.filesystem.mountpoint="/"}': 0.9,
        'system.filesystem.utilization{system.filesystem.mountpoint="/home"}': 0.1,
    }
    decisions, _ = run([tick(0, values)], compiled)
    assert [each.instance for each in decisions] == ["/"]


def test_without_anything_to_judge_the_verdict_says_so() -> None:
    _, last = run([tick(0, {"memory.total": 1.0})], rules({"name": "r", "metric": "gpu.temperature", "above": 85}))
    assert last.verdict.reasons == ("no rule applies to this machine",)
    _, last = run([tick(0, {"cpu.utilization": None})], rules({"name": "r", "metric": "cpu.utilization", "above": 0.5}))
    assert last.verdict.reasons == ("nothing that the rules read is known now",)


def test_a_rule_that_waits_for_another_still_gives_a_reason() -> None:
    table = {"name": "a", "level": "hard", "metric": "memory.utilization", "above": 0.5, "scope": "process"}
    machine = snapshot(processes=[process(10, memory_bytes=8 * GIB)])
    _, last = run([tick(0, {"memory.utilization": 0.9}, machine)], rules(table, table | {"name": "b"}))
    assert len(last.verdict.reasons) == 2
    assert "waits for what was done before" in last.verdict.reasons[1]
    assert last.verdict.prune
