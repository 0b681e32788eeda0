"""The manager: ticks, verdicts, sharing of fresh samples, and what it reports."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resourced.collectors.base import Roots, Taken
from resourced.config_rules import RuleConfig
from resourced.decision import Candidate, Decision, LoggedEvent, Phase, Scope
from resourced.manager import ResourceManager, State
from resourced.monitor import ResourceMonitor
from resourced.policy import Rule, compile_rules
from resourced.snapshot import Snapshot
from resourced.snapshot.cgroups import Cgroups
from resourced.snapshot.cpu import Cpu
from resourced.sources import Source
from resourced.surroundings import SURROUNDINGS, read_surroundings
from tests.attributes import set_attribute
from tests.policy.fakes import cgroup
from tests.test_monitor import ManualClock


class Load:
    """A collector that reports whatever utilisation a test sets, or raises."""

    name = "cpu"

    def __init__(self) -> None:
        self.value: float | None = 0.1
        self.error: Exception | None = None
        self.calls = 0

    def collect(self) -> float | None:
        self.calls += 1
        if self.error:
            raise self.error
        return self.value

    def close(self) -> None:
        pass


def cpu_of(before: Taken[Any] | None, now: Taken[Any], previous: Cpu | None) -> Cpu:
    empty: dict[str, Any] = dict.fromkeys(Cpu.__dataclass_fields__)
    return Cpu(**empty | {"utilization": now.sample, "modes": {}, "mode_seconds": {}, "cores": {}, "logical_count": 1})


class Kept:
    """Remembers what it is given."""

    def __init__(self) -> None:
        self.samples: list[Snapshot] = []
        self.decisions: list[Decision] = []
        self.events: list[LoggedEvent] = []

    def append(self, snapshot: Snapshot, values: Any, *, everyone: bool = False) -> None:
        self.samples.append(snapshot)

    def record(self, item: Decision | LoggedEvent) -> None:
        if isinstance(item, Decision):
            self.decisions.append(item)
        else:
            self.events.append(item)


@pytest.fixture
def load() -> Load:
    return Load()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def reports() -> list[tuple[str, Mapping[str, Any]]]:
    return []


@pytest.fixture
def kept() -> Kept:
    return Kept()


def rules() -> tuple[Rule, ...]:
    return compile_rules(
        [
            RuleConfig.model_validate(
                {
                    "name": "cpu-busy",
                    "level": "soft",
                    "metric": "cpu.utilization",
                    "above": "90%",
                    "clear": "80%",
                    "for": "3s",
                    "scope": "process",
                    "resource": "cpu",
                }
            )
        ]
    )


@pytest.fixture
def manager(
    load: Load, clock: ManualClock, kept: Kept, reports: list[tuple[str, Mapping[str, Any]]]
) -> Iterator[ResourceManager]:
    monitor = ResourceMonitor([Source("cpu", load, cpu_of, deadline_seconds=5.0)], clock=clock, boot_id="b")
    made = ResourceManager(
        monitor, rules(), history=kept, clock=clock, report=lambda event, fields: reports.append((event, fields))
    )
    yield made
    if made.running:
        made.stop()
    monitor.close()


def go_on(manager: ResourceManager, clock: ManualClock, ticks: int) -> State:
    for _ in range(ticks):
        clock.now += 1.0
        manager.tick()
    assert manager.state is not None
    return manager.state


def test_a_threshold_held_for_its_period_prunes_and_is_recorded_logged_and_told(
    manager: ResourceManager, load: Load, clock: ManualClock, kept: Kept, reports: list[tuple[str, Mapping[str, Any]]]
) -> None:
    told: list[Any] = []
    manager.follow(told.append)
    assert not go_on(manager, clock, 5).verdict
    load.value = 0.95
    assert not go_on(manager, clock, 2).verdict, "two seconds are not three"
    state = go_on(manager, clock, 3)
    verdict = state.verdict
    assert verdict is not None
    assert verdict.prune
    assert "cpu-busy" in verdict.reasons[0]
    [decision] = kept.decisions
    assert decision.rule == "cpu-busy"
    assert decision.evidence[0].value == 0.95
    assert told == [decision]
    [(_, fields)] = [each for each in reports if each[0] == "decision"]
    assert fields["decision"] == decision.id
    assert len(kept.samples) == 10
    load.value = 0.1
    verdict = go_on(manager, clock, 40).verdict
    assert verdict is not None
    assert not verdict.prune
    assert verdict.rules[0].phase in (Phase.INACTIVE, Phase.COOLING)
    assert [fields["rule"] for event, fields in reports if event == "recovered"] == ["cpu-busy"]


def test_a_wish_that_came_since_the_last_sample_counts_and_is_recorded(
    load: Load, clock: ManualClock, kept: Kept, tmp_path: Path
) -> None:
    names = ("large.service", "small.service")
    units = [cgroup(f"/{name}", cpu_utilization=share) for name, share in zip(names, (0.6, 0.3), strict=True)]
    for name in names:
        (tmp_path / name).mkdir()
    seen = Cgroups({each.path: each for each in units}, truncated=False)
    sources = [
        Source("cpu", load, cpu_of, deadline_seconds=5.0),
        Source("cgroups", Load(), lambda _before, _now, _previous: seen, deadline_seconds=5.0),
    ]
    monitor = ResourceMonitor(sources, clock=clock, boot_id="b")
    [rule] = rules()
    made = ResourceManager(
        monitor, (replace(rule, scope=Scope.UNIT),), history=kept, clock=clock, roots=Roots(cgroup=tmp_path)
    )
    load.value = 0.95
    go_on(made, clock, 3)
    set_attribute(tmp_path / "large.service", "user.oomd_omit")
    go_on(made, clock, 1)
    monitor.close()

    [decision] = kept.decisions
    assert decision.target is not None
    assert decision.target.name == "small.service"
    [spared] = [each for each in decision.candidates if each.name == "large.service"]
    assert spared.protected is not None
    assert "asked to omit" in spared.protected
    last = [each for each in kept.events if each.event == SURROUNDINGS][-1]
    assert last.time == decision.time
    assert read_surroundings(last.fields).preferences["/large.service"].kind == "omit"


def test_a_sample_that_comes_a_whole_interval_late_is_told(
    manager: ResourceManager, reports: list[tuple[str, Mapping[str, Any]]]
) -> None:
    manager.tick(0.999)
    assert reports == []
    manager.tick(1.5004)
    assert reports == [("sample_late", {"seconds": 1.5})]


def test_missing_samples_never_prune_and_are_named(
    manager: ResourceManager, load: Load, clock: ManualClock, kept: Kept, reports: list[tuple[str, Mapping[str, Any]]]
) -> None:
    load.error = OSError(5, "Input/output error", "/proc/stat")
    verdict = go_on(manager, clock, 20).verdict
    assert verdict is not None
    assert not verdict.prune
    assert any("system.cpu.utilization" in each or "cpu.utilization" in each for each in verdict.missing)
    assert kept.decisions == []
    stale = [fields for event, fields in reports if event == "collector_stale"]
    assert stale == [{"collector": "cpu", "reason": "/proc/stat: Input/output error"}], "it is told once"
    load.error = None
    clock.now += 100.0
    manager.tick()
    assert ("collector_recovered", {"collector": "cpu"}) in reports


def test_should_prune_samples_by_itself_until_the_manager_runs(
    manager: ResourceManager, load: Load, clock: ManualClock
) -> None:
    assert not manager.should_prune()
    clock.now += 1.0
    assert not manager.should_prune()
    assert load.calls == 2


async def test_ashould_prune_says_the_same(manager: ResourceManager) -> None:
    assert not await manager.ashould_prune()
    assert manager.state is not None


def test_a_fault_of_the_policy_ends_neither_sampling_nor_prunes(
    manager: ResourceManager, clock: ManualClock, kept: Kept, reports: list[tuple[str, Mapping[str, Any]]]
) -> None:
    manager.judged = object()  # type: ignore[assignment] # what no state can be
    state = go_on(manager, clock, 1)
    assert state.verdict is None
    assert not manager.should_prune()
    assert [event for event, _ in reports if event == "policy_failed"]
    assert go_on(manager, clock, 1).verdict is not None, "the next tick judges again"


@pytest.mark.parametrize("jump", [-3600.0, 7200.0])
def test_a_jump_of_the_wall_clock_is_told_and_changes_no_rate(
    manager: ResourceManager, clock: ManualClock, reports: list[tuple[str, Mapping[str, Any]]], jump: float
) -> None:
    go_on(manager, clock, 3)
    clock.offset += jump
    state = go_on(manager, clock, 1)
    assert ("clock_jumped", {"seconds": jump}) in reports
    assert state.snapshot.interval_seconds == 1.0


def test_slopes_are_told_from_a_judgement_half_a_minute_older(manager: ResourceManager, clock: ManualClock) -> None:
    assert manager.compared() is None
    go_on(manager, clock, 100)
    compared = manager.compared()
    assert compared is not None
    newest, earlier = compared
    assert earlier is not None
    assert 30 <= newest.tick.monotonic_seconds - earlier.tick.monotonic_seconds <= 61


def running(load: Load, kept: Kept, interval: float) -> ResourceManager:
    monitor = ResourceMonitor([Source("cpu", load, cpu_of, deadline_seconds=5.0, interval_seconds=0.0)])
    return ResourceManager(monitor, (), history=kept, interval_seconds=interval)


async def test_callers_who_ask_at_once_share_one_fresh_sample(load: Load, kept: Kept) -> None:
    manager = running(load, kept, interval=3600.0)
    first = asyncio.Event()
    loop = asyncio.get_running_loop()

    def seen(_: State) -> None:
        loop.call_soon_threadsafe(first.set)

    end = manager.subscribe(seen)
    manager.start()
    await first.wait()
    end()
    states = await asyncio.gather(*(manager.fresh() for _ in range(50)))
    assert len({state.snapshot.sequence for state in states}) <= 2, "those who came while it ran share the next"
    assert states[0].snapshot.sequence > 1
    assert not await manager.ashould_prune()
    manager.stop()
    assert len(kept.samples) <= 3
    manager.monitor.close()


def test_ticks_come_by_themselves_until_stopped(load: Load, kept: Kept) -> None:
    manager = running(load, kept, interval=0.1)
    many = threading.Event()
    states: list[State] = []

    def count(state: State) -> None:
        states.append(state)
        if len(states) == 5:
            many.set()

    manager.subscribe(count)
    manager.start()
    assert many.wait(30)
    manager.stop()
    sequences = [state.snapshot.sequence for state in states]
    assert sequences == list(range(1, len(states) + 1))
    assert manager.should_prune().sequence > sequences[-1], "once stopped, a question samples again"
    manager.monitor.close()


async def test_a_manager_that_does_not_run_samples_for_whoever_asks(manager: ResourceManager) -> None:
    state = await manager.fresh()
    assert state.snapshot.sequence == 1
    assert manager.state is state


def test_the_default_policy_judges_this_machine_and_only_observes() -> None:
    manager = ResourceManager()
    try:
        assert manager.rules
        assert all(rule.mode.value == "observe" for rule in manager.rules)
        verdict = manager.should_prune()
        assert verdict.sequence == 1
        assert not verdict.decisions, "one sample is no period"
        assert {each.rule for each in verdict.rules} >= {"memory-critical", "memory-low"}
        assert verdict.reasons == ()
    finally:
        manager.monitor.close(10.0)


def test_who_follows_sees_the_state_that_a_decision_came_from(
    manager: ResourceManager, load: Load, clock: ManualClock
) -> None:
    seen: list[Phase] = []

    def look(item: Any) -> None:
        state = manager.state
        assert isinstance(item, Decision)
        assert state is not None
        assert state.judgement is not None
        seen.extend(each.phase for each in state.judgement.state.instances)

    manager.follow(look)
    load.value = 0.95
    go_on(manager, clock, 5)

    assert seen == [Phase.FIRING]


def decided_and_recovered(manager: ResourceManager, load: Load, clock: ManualClock, kept: Kept) -> Decision:
    """Let a decision fall and its rule recover; return the decision."""
    load.value = 0.95
    go_on(manager, clock, 5)
    [decision] = kept.decisions
    load.value = 0.1
    go_on(manager, clock, 60)
    return decision


def test_a_state_that_was_judged_before_the_guard_decided_knows_nothing_of_it(
    manager: ResourceManager, load: Load, clock: ManualClock, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = decided_and_recovered(manager, load, clock, kept)
    later = replace(decision, id="f" * 20, monotonic_seconds=clock.now)
    assert manager.knows(later)

    # The guard decides while a tick is under way that has judged already.
    monkeypatch.setattr(kept, "append", lambda *_args, **_more: manager.adopt(later))
    go_on(manager, clock, 1)
    monkeypatch.undo()

    assert not manager.knows(later)
    go_on(manager, clock, 1)
    assert manager.knows(later)


def test_a_decision_of_the_guard_counts_from_the_next_tick_on(
    manager: ResourceManager, load: Load, clock: ManualClock, kept: Kept
) -> None:
    decision = decided_and_recovered(manager, load, clock, kept)
    later = replace(
        decision, id="f" * 20, monotonic_seconds=clock.now, target=Candidate(Scope.PROCESS, "7:1", "hog", usage=1.0)
    )

    load.value = 0.95
    manager.adopt(later)
    judgement = go_on(manager, clock, 1).judgement

    assert judgement is not None
    assert [each.phase for each in judgement.state.instances] == [Phase.FIRING]
    assert [each.key for each in judgement.state.pruned] == ["7:1"]
    assert [each.id for _, each in judgement.state.decisions] == ["f" * 20]
