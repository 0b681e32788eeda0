"""Who used most: what is recorded of cgroups and processes, and what is answered from it."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resourced.errors import HistoryCorrupt, QueryError
from resourced.history.tops import CGROUP_VALUES, PROCESS_VALUES, TopsTick, encode_tops, take_tops
from resourced.history.topspack import pack_tops, read_frame, read_tops
from resourced.snapshot.gpus import GpuProcess
from tests.history.fakes import START, Kit, decision
from tests.policy import fakes as machines

GIB = machines.GIB


def sections(
    processes: Sequence[Any] = (), cgroups: Sequence[Any] = (), gpus: dict[str, Any] | None = None
) -> dict[str, Any]:
    made = machines.snapshot(0, processes=processes, cgroups=cgroups, gpus=gpus)
    return {name: getattr(made, name) for name in ("processes", "cgroups", "gpus", "collectors")}


def test_the_largest_are_taken_by_each_resource() -> None:
    processes = [
        machines.process(1, "quiet", memory_bytes=1, cpu_utilization=0.0),
        machines.process(2, "hungry", memory_bytes=9 * GIB),
        machines.process(3, "busy", memory_bytes=2, cpu_utilization=0.9),
        machines.process(4, "writer", memory_bytes=3, io_write_bytes_per_second=1e6),
        machines.process(5, "trainer", memory_bytes=4),
        machines.process(6, "small", memory_bytes=1),
    ]
    gpu = machines.gpu(0, [GpuProcess(5, "compute", 7 * GIB, None, None, alive=True)])
    groups = [
        machines.cgroup("/", memory_bytes=99 * GIB),
        machines.cgroup("/a.slice", memory_bytes=9 * GIB),
        machines.cgroup("/b.slice", memory_bytes=1, cpu_utilization=2.0),
        machines.cgroup("/c.slice", memory_bytes=2),
        machines.cgroup("/d.slice", memory_bytes=0),
    ]
    snapshot = machines.snapshot(5, processes=processes, cgroups=groups, gpus={"GPU-1": gpu})

    taken = take_tops(snapshot, cgroups=1, processes=1)

    assert taken is not None
    assert {row[4] for row in taken.processes} == {"hungry", "busy", "writer", "trainer"}
    assert {row[0] for row in taken.cgroups} == {"/a.slice", "/b.slice"}
    (trainer,) = (row for row in taken.processes if row[4] == "trainer")
    assert trainer[-3] == 7 * GIB
    assert taken.gpus == (("GPU-1", 5, "compute", None, 7 * GIB, None),)

    everyone = take_tops(snapshot, cgroups=9, processes=9, everyone=True)

    assert everyone is not None
    assert (len(everyone.processes), len(everyone.cgroups)) == (6, 4)


def test_what_was_not_read_for_this_sample_is_not_recorded() -> None:
    snapshot = machines.snapshot(0, processes=[machines.process(1)])
    stale = {name: health for name, health in snapshot.collectors.items() if name != "processes"}

    from dataclasses import replace  # noqa: PLC0415 - only here

    assert take_tops(replace(snapshot, collectors=stale), cgroups=5, processes=5) is None
    assert encode_tops([]) == b""


VALUES = st.one_of(st.none(), st.integers(0, 2**50), st.floats(0, 1e12))
CGROUPS = st.builds(
    lambda path, inode, values: (path, None, inode, *values),
    st.sampled_from(["/a", "/b", "/c.slice"]),
    st.integers(1, 2),
    st.lists(VALUES, min_size=len(CGROUP_VALUES), max_size=len(CGROUP_VALUES)),
)
PROCESSES = st.builds(
    lambda pid, name, values: (pid, 5, 1, 1, name, None, "/a", 0, *values),
    st.integers(1, 4),
    st.sampled_from(["sh", "sshd"]),
    st.lists(VALUES, min_size=len(PROCESS_VALUES), max_size=len(PROCESS_VALUES)),
)
ON_GPUS = st.builds(
    lambda pid, values: ("GPU-1", pid, "compute", None, *values),
    st.integers(1, 4),
    st.lists(VALUES, min_size=2, max_size=2),
)
TICKS = st.lists(
    st.builds(
        TopsTick,
        st.floats(1e9, 2e9),
        st.lists(CGROUPS, max_size=4, unique_by=lambda row: row[:3]).map(tuple),
        st.lists(PROCESSES, max_size=4, unique_by=lambda row: row[:8]).map(tuple),
        st.lists(ON_GPUS, max_size=3, unique_by=lambda row: row[:4]).map(tuple),
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(TICKS, min_size=1, max_size=3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_recordings_come_back_packed_or_not(batches: list[list[TopsTick]]) -> None:
    packed = pack_tops([pack_tops([encode_tops(batches[0])]), *map(encode_tops, batches[1:])])

    found = read_tops(packed)

    wanted = [tick for batch in batches for tick in batch]
    assert [tick.time for tick in found] == [tick.time for tick in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert set(one.cgroups) == set(other.cgroups)
        assert set(one.processes) == set(other.processes)
        assert set(one.gpus) == set(other.gpus)


def test_a_damaged_recording_is_told() -> None:
    packed = pack_tops([encode_tops([TopsTick(1.0, (("/a", None, 1, *([1.0] * len(CGROUP_VALUES))),), ())])])

    with pytest.raises(HistoryCorrupt, match="checksum"):
        read_frame(packed[:-1] + b"!")
    assert pack_tops([]) == b""


def test_what_a_release_before_recorded_is_read_with_the_rest_unknown() -> None:
    old = zlib.compress(
        json.dumps([[1.0, [["/a", None, 1, *range(10)]], [[5, 1, 1, 1, "sh", 0, "/a", 0, *range(9)]]]]).encode()
    )

    (tick,) = read_tops(old)

    assert tick.cgroups == (("/a", None, 1, *range(10), None, None, None),)
    assert tick.processes[0][8:] == (*range(9), None, None)
    assert read_tops(pack_tops([old])) == [tick]
    assert tick.gpus == ()


def day(kit: Kit) -> None:
    """Two hours: job.service grows in its child, web.service is steady, a pid is used twice, a unit restarts."""
    for n in range(720):
        inode = 1 if n < 360 else 2
        groups = [
            machines.cgroup("/app.slice", memory_bytes=50 * GIB),
            machines.cgroup("/app.slice/job.service", memory_bytes=n * 1000, inode=inode, cpu_utilization=0.5),
            machines.cgroup("/app.slice/job.service/inner", unit="job.service", memory_bytes=n * 900),
            machines.cgroup("/app.slice/web.service", memory_bytes=500_000, io_read_bytes_per_second=7.0),
        ]
        processes = [
            machines.process(10, "job", start_time_ticks=1 if n < 360 else 2, memory_bytes=n * 1000, uid=0),
            machines.process(11, "web", memory_bytes=500_000, uid=4_000_000),
            machines.process(12, "web", memory_bytes=100_000, uid=4_000_000),
        ]
        kit.add(float(n), passed=10.0, snapshot=sections(processes, groups))
        kit.history.flush()
        if n % 30 == 0:
            kit.history.maintain()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    kit = Kit(tmp_path_factory.mktemp("tops"))
    day(kit)
    return kit


def test_units_are_ranked_by_what_they_used(recorded: Kit) -> None:
    top = recorded.history.top("unit", by="memory", start=START, end=START + 7200)

    assert [(e.name, e.peak, e.moments) for e in top.entries] == [
        ("job.service", 719_000.0, 360),
        ("web.service", 500_000.0, 720),
        ("job.service", 359_000.0, 360),
    ]
    assert [e.key for e in top.entries] == [
        "/app.slice/job.service:2",
        "/app.slice/web.service:1",
        "/app.slice/job.service:1",
    ]
    assert (top.of, top.by, top.unit, top.moments) == ("unit", "memory", "By", 720)
    assert top.entries[1].mean == 500_000
    assert (top.entries[0].start, top.entries[0].end) == (START + 3610, START + 7200)
    early = recorded.history.top("unit", by="memory", start=START, end=START + 1000)
    assert early.entries[0].name == "web.service"


@pytest.mark.parametrize(
    ("of", "by", "order", "names"),
    [
        ("slice", "memory", "peak", ["app.slice"]),
        ("cgroup", "cpu", "last", ["/app.slice/job.service", "/app.slice/job.service"]),
        ("cgroup", "io", "mean", ["/app.slice/web.service"]),
        ("process", "memory", "last", ["job", "web", "job", "web"]),
        ("command", "memory", "peak", ["job", "web"]),
        ("command", "memory", "mean", ["web", "job"]),
        ("user", "memory", "mean", ["4000000", "root"]),
        ("process", "swap", "peak", []),
    ],
)
def test_others_are_ranked_as_well(recorded: Kit, of: str, by: str, order: str, names: list[str]) -> None:
    top = recorded.history.top(of, by=by, start=START, end=START + 7200, order=order)

    assert [entry.name for entry in top.entries] == names


def test_labels_of_series_are_ranked(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    for n in range(100):
        kit.add([1.0, 2.0, n * 50.0, n * 1000.0])

    top = kit.history.top("network.io.direction", by="system.network.io", start=START, end=START + 100, order="mean")

    assert [(entry.name, entry.mean) for entry in top.entries] == [("transmit", 1000.0), ("receive", 50.0)]
    assert top.unit == "By/s"


@pytest.mark.parametrize(
    ("of", "by", "order", "parameter"),
    [
        ("unit", "patience", "peak", "by"),
        ("unit", "memory", "beauty", "order"),
        ("colour", "memory.available", "peak", "of"),
        ("network.io.direction", "system.network.io", "beauty", "order"),
        ("colour", "no.such.metric", "peak", "metric"),
    ],
)
def test_what_can_not_be_ranked_is_told(recorded: Kit, of: str, by: str, order: str, parameter: str) -> None:
    with pytest.raises(QueryError) as caught:
        recorded.history.top(of, by=by, start=START, end=START + 10, order=order)
    assert caught.value.parameter == parameter


def test_the_largest_are_recorded_every_few_seconds_and_at_each_decision(tmp_path: Path) -> None:
    kit = Kit(tmp_path, top_processes=1, top_cgroups=1)
    small = machines.process(42, "job", start_time_ticks=4200, memory_bytes=5)
    for n in range(20):
        kit.add(1.0, snapshot=sections([machines.process(1, "big", memory_bytes=10), small]))
        if n == 7:
            kit.history.record(decision())

    top = kit.history.top("process", by="memory", start=START, end=START + 100)

    assert [(entry.name, entry.moments) for entry in top.entries] == [("big", 5), ("job", 1)]
    assert top.entries[1].start == START + 8


def test_a_decision_before_any_sample_is_recorded(tmp_path: Path) -> None:
    kit = Kit(tmp_path)

    kit.history.record(decision())

    assert kit.history.flush()
    assert kit.history.top("unit", by="cpu", start=0, end=4e9).entries == ()


def test_the_largest_are_kept_for_their_own_time(tmp_path: Path) -> None:
    kit = Kit(tmp_path, tops_seconds=3600.0)
    day(kit)
    kit.clock.now += 3 * 3600
    kit.add(1.0)
    kit.history.flush()
    kit.prove()

    assert kit.history.top("unit", by="memory", start=START, end=START + 7200).entries == ()
    assert len(kit.values()) == 721
