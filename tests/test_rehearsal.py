"""Rehearsal: what was judged live is judged again from the store, decision for decision; other policies differ."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resourced.collectors.base import Roots
from resourced.history import History, RecordedTick, Recording
from resourced.history.records import to_decision, to_text
from resourced.manager import ResourceManager
from resourced.monitor import ResourceMonitor
from resourced.past import past
from resourced.policy import JudgeState, Myself, Preference, Tick, Workload
from resourced.rehearsal import Policy, opened, rehearse, suggestions
from resourced.snapshot import Snapshot
from resourced.snapshot.gpus import GpuProcess, Gpus
from resourced.surroundings import Surroundings, read_myself, read_surroundings, surroundings_event
from tests.history.fakes import FakeClock
from tests.policy.fakes import GIB, gpu, rules
from tests.scenarios.profiles import profile
from tests.scenarios.recordings import ticks

FOREVER = (0.0, 4e9)


def machine(tick: Tick) -> Snapshot:
    """Return a recorded moment as the monitor would have sampled it."""
    numbers = RecordedTick(tick.time, tick.monotonic_seconds, tick.sequence, "boot", tick.layout, tuple(tick.values))
    full, who = numbers.snapshot(), tick.snapshot
    assert who is not None
    running = who.processes.items if who.processes else ()
    largest = max(running, key=lambda each: each.memory_bytes, default=None)
    trainer = GpuProcess(largest.pid if largest else 1, "compute", 6 * GIB, 0.1, None, alive=True)
    held = {"memory_used_bytes": 7 * GIB, "memory_total_bytes": 8 * GIB, "memory_utilization": 0.875}
    device = gpu(0, [trainer], utilization=0.1, **held)
    return replace(
        full,
        cgroups=who.cgroups,
        processes=who.processes,
        gpus=Gpus("1", {"GPU-1": device}),
        collectors=full.collectors | who.collectors | {"gpus": who.collectors["memory"]},
    )


class Tape(ResourceMonitor):
    """Plays a recording instead of looking at this machine."""

    def __init__(self, snapshots: Iterator[Snapshot]) -> None:
        super().__init__(())
        self._snapshots = snapshots

    def sample(self) -> Snapshot:
        return next(self._snapshots)


GPU_IDLE = {
    "name": "gpu-idle",
    "level": "soft",
    "all": [
        {"metric": "gpu.memory_utilization", "below": 0.9},
        {"metric": "gpu.utilization", "below": 0.5, "for": "20s"},
    ],
    "scope": "gpu_process",
    "resource": "gpu_memory",
    "rank": ["gpu_idle_memory", "newest"],
}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("recording", "name"), [("burst", "desktop"), ("leak", "default"), ("burst", "gpu-server")])
def test_replay_gives_decision_for_decision_what_was_stored(
    tmp_path: Path, recording: str, name: str, *, restart: bool
) -> None:
    compiled = (*profile(name), *rules(GPU_IDLE))
    snapshots = [machine(tick) for tick in ticks(recording)]
    parts = [snapshots[:151], snapshots[151:]] if restart else [snapshots]
    judged = JudgeState.empty()
    for part in parts:
        history = History(tmp_path, clock=FakeClock(), report=lambda *_: None)
        history.open()
        manager = ResourceManager(Tape(iter(part)), compiled, history=history, judged=judged)
        for _ in part:
            manager.tick()
        history.close()
        judged = JudgeState.from_json(manager.judged.to_json())

    with opened(tmp_path / "history.db") as store:
        stored = sorted(store.decisions(limit=1000), key=lambda each: (each.time, each.id))
        found = rehearse(store, Policy(name, compiled, 30.0), *FOREVER, None)

    again = sorted((to_decision(to_text(each)) for each in found.result.decisions), key=lambda d: (d.time, d.id))
    assert len(stored) > 3
    assert any(each.target and each.target.gpu == "GPU-1" for each in stored)
    assert again == stored
    assert (found.comparison.new, found.comparison.gone, found.comparison.moved) == ((), (), ())
    assert found.result.ticks == len(snapshots)


def test_who_was_registered_at_a_decision_is_part_of_the_past_and_replay_decides_the_same(tmp_path: Path) -> None:
    compiled = rules(
        {
            "name": "registered-first",
            "level": "soft",
            "metric": "memory.available",
            "below": "100%",
            "scope": "workload",
            "rank": ["lowest_priority", "largest"],
            "min_gain": 0,
            "cooldown": "20s",
        }
    )
    snapshots = [machine(tick) for tick in ticks("leak")][:240]
    running = snapshots[200].processes
    assert running is not None
    largest = sorted(running.items, key=lambda each: each.memory_bytes, reverse=True)
    everyone = [Workload(f"w-{p.pid}", f"job {p.pid}", p.pid, None, p.uid, -p.pid, p.start_time_ticks) for p in largest]
    registered: list[tuple[Workload, ...]] = [()]
    with History(tmp_path, clock=FakeClock(), report=lambda *_: None) as history:
        manager = ResourceManager(Tape(iter(snapshots)), compiled, history=history, workloads=lambda: registered[-1])
        for number, _ in enumerate(snapshots):
            # They come and go at every seventh sample, so that those of a decision are seldom those noted before.
            if number % 7 == 0:
                registered.append(tuple(everyone[: 1 + number // 7 % max(1, len(everyone))]))
            manager.tick()

    with opened(tmp_path / "history.db") as store:
        stored = sorted(store.decisions(limit=1000), key=lambda each: (each.time, each.id))
        found = rehearse(store, Policy("w", compiled, 30.0), *FOREVER, None)

    again = sorted((to_decision(to_text(each)) for each in found.result.decisions), key=lambda d: (d.time, d.id))
    targets = [each.target.name for each in stored if each.target]
    assert len(set(targets)) > 1
    assert again == stored


@pytest.fixture(scope="module")
def leak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a daemon that watched the leak."""
    directory = tmp_path_factory.mktemp("leak")
    with History(directory, clock=FakeClock(), report=lambda *_: None) as history:
        for tick in ticks("leak"):
            assert tick.snapshot is not None
            history.append(tick.snapshot, (tick.layout, tick.values))
    return directory / "history.db"


def test_two_policies_go_through_the_same_past(leak: Path) -> None:
    late = rules({"name": "memory-critical", "level": "hard", "metric": "memory.available", "below": "5%", "for": "2s"})
    early = rules({"name": "memory-critical", "level": "hard", "metric": "memory.available", "below": "40%"})

    with Recording(leak) as store:
        found = rehearse(store, Policy("early", early, 30.0), *FOREVER, Policy("late", late, 30.0))

    assert found.before is not None
    (new_kill,), (old_kill,) = found.result.kills, found.before.kills
    assert new_kill.seconds_before is not None
    assert old_kill.seconds_before is not None
    assert new_kill.seconds_before > old_kill.seconds_before > 10
    assert found.comparison.new
    assert {each.rule for each in found.result.decisions} == {"memory-critical"}
    assert "leaky.service" in {each.target.name for each in found.result.decisions if each.target}


def test_suggestions_come_from_the_recorded_past(tmp_path: Path) -> None:
    with History(tmp_path, clock=FakeClock(), report=lambda *_: None) as history:
        for tick in ticks("host"):
            assert tick.snapshot is not None
            history.append(tick.snapshot, (tick.layout, tick.values))
    with Recording(tmp_path / "history.db") as store:
        found = suggestions(store, Policy("default", profile("default"), 30.0), *FOREVER)

    assert {each.rule for each in found} >= {"memory-low", "memory-critical"}
    assert all("98 of 100 values" in each.reason for each in found)


def test_who_resourced_was_and_what_owners_asked_for_is_part_of_the_past(leak: Path) -> None:
    myself = Myself(77, frozenset({1, 5}), "/system.slice/resourced.service")
    wishes = {"/app.slice/leaky.service": Preference("omit", 0)}
    event = surroundings_event(5.0, myself, wishes)

    assert read_surroundings(event.fields) == Surroundings(myself, wishes)

    with History(leak.parent, clock=FakeClock(), report=lambda *_: None) as history:
        history.record(event)
        tick = next(past(history, *FOREVER))
        found = rehearse(history, Policy("default", profile("default"), 30.0), *FOREVER, None)
    assert (tick.myself, tick.preferences) == (myself, wishes)
    targets = {each.target.name for each in found.result.decisions if each.target}
    assert "leaky.service" not in targets


def test_a_machine_without_control_groups_records_who_resourced_is(tmp_path: Path) -> None:
    with History(tmp_path, clock=FakeClock(), report=lambda *_: None) as history:
        plain = (replace(machine(tick), cgroups=None) for tick in ticks("quiet"))
        manager = ResourceManager(Tape(plain), profile("default"), history=history)
        manager.tick()
        assert next(past(history, *FOREVER)).myself == read_myself(Roots())


def test_a_store_is_read_while_a_daemon_writes_it(tmp_path: Path) -> None:
    with History(tmp_path, clock=FakeClock(), report=lambda *_: None) as history:
        for tick in ticks("quiet"):
            assert tick.snapshot is not None
            history.append(tick.snapshot, (tick.layout, tick.values))
        history.flush()
        with opened(tmp_path / "history.db") as store:
            assert rehearse(store, Policy("default", profile("default"), 30.0), *FOREVER, None).result.ticks > 500
