"""A past moment as a whole, and the past tick by tick."""

from dataclasses import replace
from pathlib import Path

import pydantic
import pytest

from resourced.errors import HistoryCorrupt, HistoryError, QueryError
from resourced.history import Recording, import_recording
from resourced.history.store import SCRATCH
from resourced.snapshot import SECTIONS, Health, Snapshot
from resourced.snapshot.cpu import Core, Cpu
from resourced.snapshot.memory import Memory
from resourced.snapshot.network import Interface, Network
from tests.api.fakes import filled
from tests.history.fakes import AVAILABLE, LAYOUT, START, Kit, decision, event, outcome
from tests.policy import fakes as machines


def whole(sequence: int, time: float) -> Snapshot:
    """Return a machine of which everything is known."""
    made = machines.snapshot(
        0,
        processes=[machines.process(7, "job", memory_bytes=1000 + sequence, cpu_utilization=0.25, cgroup="/a.slice/x")],
        cgroups=[machines.cgroup("/a.slice/x.service", memory_bytes=5000 + sequence, inode=77)],
    )
    return replace(
        made,
        sequence=sequence,
        time=time,
        monotonic_seconds=time - START,
        cpu=filled(Cpu, cores={"0": filled(Core)}, mode_seconds={"user": 5.5, "idle": 9.0}),
        memory=filled(Memory, available_bytes=sequence * 4096),
        network=filled(Network, interfaces={"eth0": filled(Interface, receive_bytes=sequence * 100)}),
        collectors={name: Health("ok") for name in SECTIONS},
    )


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    kit = Kit(tmp_path_factory.mktemp("moment"))
    for n in range(1, 3700):
        kit.clock.now += 1.0
        kit.history.append(whole(n, kit.clock.now))
        if n % 50 == 0:
            kit.history.flush()
    kit.history.maintain()
    return kit


@pytest.mark.parametrize("second", [1800, 3690])
def test_a_moment_has_the_shape_of_a_snapshot(kit: Kit, second: int) -> None:
    found = kit.history.at(START + second + 0.4)

    assert (found["sequence"], found["time"], found["monotonic_seconds"]) == (second, START + second, second)
    assert found["boot_id"] == "boot"
    assert found["memory"]["available_bytes"] == second * 4096
    assert isinstance(found["memory"]["available_bytes"], int)
    assert found["network"]["interfaces"]["eth0"]["receive_bytes"] == second * 100
    assert found["cpu"]["mode_seconds"]["user"] == 5.5
    near = found["processes"]["items"][0]["memory_bytes"] - 1000
    assert abs(near - second) <= 5
    assert found["processes"]["items"][0]["name"] == "job"
    assert found["cgroups"]["nodes"]["/a.slice/x.service"]["inode"] == 77
    assert found["cgroups"]["truncated"] is True
    assert found["gpus"] is None
    assert found["collectors"]["memory"]["status"] == "ok"
    assert set(found) == {*Snapshot.__slots__}


def test_every_field_of_the_shape_is_there(kit: Kit) -> None:
    found = kit.history.at(START + 100)

    kind = pydantic.TypeAdapter(Snapshot).json_schema()["$defs"]
    for section, name in (("memory", "Memory"), ("cpu", "Cpu"), ("network", "Network")):
        assert set(found[section]) == set(kind[name]["properties"])


def test_a_moment_of_which_only_cells_are_left(tmp_path: Path) -> None:
    kit = Kit(tmp_path, raw_seconds=3600.0)
    for n in range(3000):
        kit.add([float(n), 1.0, 2.0, None], passed=60.0)
        if n % 30 == 0:
            kit.history.flush()
            kit.history.maintain()

    found = kit.history.at(START + 3605)

    assert (found["time"], found["sequence"], found["interval_seconds"]) == (START + 3600, None, 60.0)
    assert found["memory"]["available_bytes"] == 59


def test_the_tick_before_is_preferred_and_one_soon_after_will_do(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.add(1.0)
    kit.add(2.0, passed=100)

    assert kit.history.at(START + 80)["time"] == START + 1
    assert kit.history.at(START + 200)["time"] == START + 101
    assert kit.history.at(START)["time"] == START + 1
    for moment in (START - 200, START + 101 + 200):
        with pytest.raises(QueryError, match="nothing was recorded around this time"):
            kit.history.at(moment)


def test_ticks_come_one_after_the_other(kit: Kit) -> None:
    ticks = list(kit.history.ticks(START + 3500, START + 3650))

    assert [tick.sequence for tick in ticks] == list(range(3500, 3650))
    assert [tick.time for tick in ticks] == [START + n for n in range(3500, 3650)]
    assert [tick.monotonic_seconds for tick in ticks] == list(range(3500, 3650))
    assert {tick.boot_id for tick in ticks} == {"boot"}
    assert [tick.values[tick.layout.index(AVAILABLE)] for tick in ticks] == [n * 4096.0 for n in range(3500, 3650)]
    assert len({id(tick.layout) for tick in ticks}) <= 2
    snapshot = ticks[50].snapshot()
    assert snapshot.memory is not None
    assert snapshot.memory.available_bytes == 3550 * 4096
    assert snapshot.cgroups is not None
    assert snapshot.cgroups.nodes["/a.slice/x.service"].inode == 77
    assert snapshot.processes is not None
    assert abs(snapshot.processes.items[0].memory_bytes - 4550) <= 5
    assert snapshot.usable("processes")
    lean = ticks[50].snapshot(full=False)
    assert lean.memory is None
    assert lean.processes == snapshot.processes or lean.processes is not None


def test_ticks_are_in_the_order_in_which_they_happened(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.fill(100)
    kit.clock.now -= 50
    kit.boot = ""
    kit.fill(100)

    ticks = list(kit.history.ticks(0, 4e9))

    assert [tick.sequence for tick in ticks] == list(range(1, 201))
    assert ticks[-1].boot_id is None
    assert ticks[0].snapshot().processes is None


def test_a_recording_answers_like_the_history_that_it_is_of(tmp_path: Path) -> None:
    kit = Kit(tmp_path / "state")
    kit.fill(2 * 3600 + 100)
    items = [decision(5), decision(7200)]
    for item in items:
        kit.history.record(item)
    kit.history.record(outcome(5))
    kit.history.record(event(6))
    file = tmp_path / "night.rec"

    kit.history.export(file, START, START + 9000)

    with Recording(file) as recording:
        assert (recording.start, recording.end) == (START + 1, START + 7300)
        for question in ({"points": 100}, {"step": 60.0, "aggregate": "max"}, {}):
            asked = {"start": START, "end": START + 8000} | question
            assert recording.query(["*"], **asked) == kit.history.query(["*"], **asked)
        assert recording.at(START + 3000) == kit.history.at(START + 3000)
        assert recording.decisions() == items[::-1]
        assert [each.result for each in recording.outcomes(items[0].id)] == ["done"]
        assert recording.events() == [event(6)]
        assert [tick.values[:3] for tick in recording.ticks(0, 4e9)] == [
            t.values[:3] for t in kit.history.ticks(0, 4e9)
        ]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".resourced")] == []


def test_a_recording_of_some_hours_has_no_others(tmp_path: Path) -> None:
    kit = Kit(tmp_path / "state")
    kit.fill(4 * 3600)
    kit.history.record(decision(4000))
    kit.history.record(decision(9000))
    file = tmp_path / "night.rec"

    kit.history.export(file, START + 3700, START + 3800)

    with Recording(file) as recording:
        assert (recording.start, recording.end) == (START + 3600, START + 7199)
        assert recording.decisions() == []
    kit.history.export(tmp_path / "other.rec", START + 3700, START + 4200)
    with Recording(tmp_path / "other.rec") as recording:
        assert len(recording.decisions()) == 1


def test_a_recording_has_the_last_moment_that_was_asked_for(tmp_path: Path) -> None:
    kit = Kit(tmp_path / "state")
    kit.fill(11)
    file = tmp_path / "night.rec"

    kit.history.export(file, START, START + 11)

    with Recording(file) as recording:
        assert recording.end == START + 11


def test_a_recording_can_become_a_store(tmp_path: Path) -> None:
    kit = Kit(tmp_path / "state")
    kit.fill(5000)
    file = tmp_path / "night.rec"
    kit.history.export(file, 0, 4e9)

    import_recording(file, tmp_path / "other")
    other = Kit(tmp_path / "other")
    other.clock.now = kit.clock.now
    other.fill(10)

    assert len(other.values()) == 5010
    assert other.events == []
    with pytest.raises(HistoryError, match="exists already"):
        import_recording(file, tmp_path / "other")
    with pytest.raises(HistoryError, match="exists already"):
        kit.history.export(file, 0, 4e9)
    with pytest.raises(HistoryError, match="there is no file"):
        import_recording(tmp_path / "none", tmp_path / "third")
    (tmp_path / "text").write_text("not a recording")
    with pytest.raises(HistoryCorrupt):
        Recording(tmp_path / "text")


def test_an_empty_time_makes_an_empty_recording(tmp_path: Path) -> None:
    kit = Kit(None)
    kit.add([1.0] * len(LAYOUT))
    file = tmp_path / "night.rec"

    kit.history.export(file, 0, 5)

    with Recording(file) as recording:
        assert recording.start is None
        assert recording.query(["*"], start=0, end=4e9).series == {}


def test_a_recording_leaves_no_file_behind_nor_does_one_that_was_broken_off(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.fill(100)
    with kit.history.recording(0, 4e9) as file:
        assert file.read(15) == b"SQLite format 3"
    assert list(tmp_path.glob(f"{SCRATCH}*")) == []
    kit.history.close()
    (tmp_path / f"{SCRATCH}left/inner").mkdir(parents=True)
    Kit(tmp_path).history.close()
    assert list(tmp_path.glob(f"{SCRATCH}*")) == []
