import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.collectors import gpus
from resourced.collectors.base import Roots
from resourced.collectors.gpureading import Reading
from resourced.collectors.gpus import GpusCollector
from resourced.errors import GpuError, Unavailable
from tests.collectors.host_fakes import make_roots
from tests.nvml.build import build, compiler
from tests.nvml.control import CALLS, GIB, VARIABLE, FakeNvml
from tests.nvml.loaded import load_fake

STATUS = "sys/bus/pci/devices/0000:0{}:00.0/power/runtime_status"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    return load_fake(tmp_path, monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    files = {"proc/1/stat": "", "proc/100/stat": "", STATUS.format("a"): "active\n", STATUS.format("b"): "active\n"}
    return make_roots(tmp_path, files)


@pytest.fixture
def collector(fake: FakeNvml, roots: Roots, clock: Clock) -> Iterator[GpusCollector]:
    made = GpusCollector(roots, control=roots.proc / "none", monotonic=clock)
    yield made
    fake.all.hang = 0
    made.close()


def reading(collector: GpusCollector, uuid: str = "GPU-0") -> Reading:
    found = collector.collect().devices[uuid].reading
    assert found is not None
    return found


def test_values_are_in_base_units(collector: GpusCollector) -> None:
    collector.collect()
    found = reading(collector)
    facts = collector.collect().devices["GPU-1"].facts

    assert (found.power_watts, found.power_limit_watts, found.energy_joules) == (250.0, 400.0, 5000.0)
    assert (found.clock_graphics_hertz, found.clock_memory_hertz) == (1.5e9, 2.6e9)
    assert (found.pcie_transmit_bytes_per_second, found.pcie_receive_bytes_per_second) == (1e6, 2e6)
    assert found.throttle_reasons == ("sw_power_cap", "hw_thermal_slowdown")
    assert found.memory is not None
    assert found.memory.used_bytes == 8 * GIB
    assert (facts.pci_address, facts.index, facts.name) == ("0000:0b:00.0", 1, "Fake GPU 1")


def test_what_is_not_supported_is_none_and_never_zero(collector: GpusCollector, fake: FakeNvml) -> None:
    fake.refuse(0, *CALLS)

    assert reading(collector) == Reading()


def test_sentinels_are_none(collector: GpusCollector, fake: FakeNvml) -> None:
    gpu = fake.gpu(0)
    gpu.power = gpu.temperature = gpu.busy = gpu.fan = 2**32 - 1
    gpu.energy, gpu.state = 2**64 - 1, 32
    fake.set_processes(0, [(100, 1, 2**64 - 1, 200)])

    found = reading(collector)

    assert (found.power_watts, found.temperature_celsius, found.utilization, found.fan_utilization) == (None,) * 4
    assert (found.energy_joules, found.performance_state) == (None, None)
    assert found.processes is not None
    assert (found.processes[0].memory_bytes, found.processes[0].utilization) == (None, None)


def test_an_old_driver_tells_the_memory_in_the_old_way(collector: GpusCollector, fake: FakeNvml) -> None:
    fake.refuse(0, "memory_v2")

    memory = reading(collector).memory

    assert memory is not None
    assert memory.used_bytes == 9 * GIB  # with what the driver reserves


def test_processes_of_both_kinds_are_merged_and_looked_for(collector: GpusCollector) -> None:
    sample = collector.collect().devices["GPU-0"]

    assert sample.reading is not None
    processes = {each.pid: each for each in sample.reading.processes or ()}
    assert (processes[100].kind, processes[100].utilization) == ("compute", 0.6)
    assert (processes[200].kind, processes[200].memory_bytes) == ("compute+graphics", 2 * GIB)
    assert sample.alive == {100: True, 200: None}  # which may have ended since the list was made
    assert collector.collect().devices["GPU-0"].alive == {100: True, 200: False}


def test_in_a_container_nobody_knows_who_is_alive(collector: GpusCollector, roots: Roots) -> None:
    (roots.proc / "self/ns").mkdir(parents=True)
    (roots.proc / "self/ns/pid").symlink_to("pid:[4026532999]")

    assert set(collector.collect().devices["GPU-0"].alive.values()) == {None}


def test_a_list_that_grows_between_two_calls_is_asked_for_again(collector: GpusCollector, fake: FakeNvml) -> None:
    fake.set_processes(0, [(pid, 1, GIB, 0) for pid in range(1, 61)])
    fake.gpu(0).processes, fake.gpu(0).growing = 1, 60

    assert len(reading(collector).processes or ()) == 60


def test_mig_instances_have_memory_and_processes_of_their_own(collector: GpusCollector) -> None:
    found = reading(collector, "GPU-1")

    assert [each.uuid for each in found.mig] == ["MIG-0", "MIG-1"]
    assert [(each.pid, each.mig_uuid, each.utilization) for each in found.processes or ()] == [(300, "MIG-1", None)]


def test_a_lost_gpu_leaves_the_others_and_comes_back(collector: GpusCollector, fake: FakeNvml, clock: Clock) -> None:
    collector.collect()
    fake.gpu(0).fault = 15
    lost = collector.collect()
    clock.now += 100
    still = collector.collect()
    fake.gpu(0).fault = 0
    clock.now += 100
    back = collector.collect()

    for sample in (lost, still):
        assert [each.state for each in sample.devices.values()] == ["lost", "active"]
        assert sample.devices["GPU-0"].facts.name == "Fake GPU 0"
        assert sample.devices["GPU-0"].reason
    assert {each.state for each in back.devices.values()} == {"active"}


def test_a_reloaded_driver_is_initialised_anew_at_once(collector: GpusCollector, fake: FakeNvml) -> None:
    collector.collect()
    fake.all.fault = 1

    assert reading(collector).utilization == 0.75
    assert fake.all.inits == 2
    assert fake.all.open == 1


def test_a_driver_that_does_not_fit_is_tried_with_growing_pauses(
    collector: GpusCollector, fake: FakeNvml, clock: Clock
) -> None:
    collector.collect()
    fake.all.fault = fake.all.init_fault = 18
    pauses = []
    for _ in range(3):
        with pytest.raises(GpuError, match="mismatch"):
            collector.collect()
        pauses.append(collector._due - clock.now)
        clock.now = collector._due
    fake.all.init_fault = 0

    assert reading(collector).utilization == 0.75
    assert pauses == [1, 2, 4]


def test_without_driver_or_gpu_it_is_unavailable(collector: GpusCollector, fake: FakeNvml, clock: Clock) -> None:
    fake.all.init_fault = 9
    with pytest.raises(Unavailable, match="Driver Not Loaded"):
        collector.collect()
    fake.all.init_fault = fake.all.count = 0
    with pytest.raises(Unavailable, match="Driver Not Loaded"):
        collector.collect()
    clock.now += 60
    with pytest.raises(Unavailable, match="no GPU"):
        collector.collect()


def test_a_missing_library_is_looked_for_rarely(monkeypatch: pytest.MonkeyPatch, roots: Roots, tmp_path: Path) -> None:
    looks: list[int] = []
    clock = Clock()
    monkeypatch.setattr(gpus, "library_loads", lambda: bool(looks.append(1)))  # type: ignore[func-returns-value]  # counts
    collector = GpusCollector(roots, control=tmp_path / "nvidiactl", monotonic=clock)
    for at in (0.0, 1.0, 299.0, 301.0):
        clock.now = at
        with pytest.raises(Unavailable, match="not loaded either"):
            collector.collect()
    (tmp_path / "nvidiactl").touch()
    with pytest.raises(Unavailable, match="driver is loaded"):
        collector.collect()

    assert len(looks) == 3


def test_a_sleeping_gpu_is_left_alone(collector: GpusCollector, fake: FakeNvml, tmp_path: Path) -> None:
    collector.collect()
    (tmp_path / STATUS.format("a")).write_text("suspended\n")
    one = collector.collect()
    (tmp_path / STATUS.format("b")).write_text("suspended\n")
    both = collector.collect()
    asked = fake.all.calls
    collector.collect()

    assert [each.state for each in one.devices.values()] == ["asleep", "active"]
    assert {each.state for each in both.devices.values()} == {"asleep"}
    assert both.devices["GPU-0"].facts.name == "Fake GPU 0"
    assert (fake.all.open, fake.all.calls) == (0, asked)


def test_a_gpu_that_was_never_awake_is_not_woken(collector: GpusCollector, fake: FakeNvml, tmp_path: Path) -> None:
    (tmp_path / "sys/bus/pci/drivers/nvidia/0000:0a:00.0").mkdir(parents=True)
    (tmp_path / STATUS.format("a")).write_text("suspended\n")

    with pytest.raises(Unavailable, match="asleep"):
        collector.collect()
    assert fake.all.inits == 0


BOUND = "sys/bus/pci/drivers/nvidia/0000:0{}:00.0"


def test_a_gpu_that_appears_is_found(collector: GpusCollector, fake: FakeNvml, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / BOUND.format("a")).mkdir(parents=True)
    fake.all.count = 1
    before = [*collector.collect().devices]
    (tmp_path / BOUND.format("b")).mkdir()
    fake.all.count = 2
    seen = []
    for clock.now in (9.0, 10.0, 11.0, 20.0):
        seen.append((len(collector.collect().devices), fake.all.inits))

    assert before == ["GPU-0"]
    assert seen == [(1, 1), (2, 2), (2, 2), (2, 2)]


def test_a_gpu_given_to_another_driver_is_no_more_and_none_is_lost(
    collector: GpusCollector, fake: FakeNvml, clock: Clock, tmp_path: Path
) -> None:
    for slot in "ab":
        (tmp_path / BOUND.format(slot)).mkdir(parents=True)
    collector.collect()
    fake.gpu(1).fault = 15
    lost = collector.collect()
    (tmp_path / BOUND.format("b")).rmdir()
    fake.all.count = 1
    clock.now = 10.0
    given = collector.collect()
    inits = fake.all.inits
    for clock.now in (700.0, 1400.0, 2100.0):
        collector.collect()

    assert [each.state for each in lost.devices.values()] == ["active", "lost"]
    assert list(given.devices) == ["GPU-0"]
    assert fake.all.inits == inits


def test_a_gpu_that_the_driver_has_and_nvml_does_not_list_is_lost(
    collector: GpusCollector, fake: FakeNvml, clock: Clock, tmp_path: Path
) -> None:
    for slot in "ab":
        (tmp_path / BOUND.format(slot)).mkdir(parents=True)
    collector.collect()
    fake.all.fault, fake.all.count = 1, 1

    assert states(collector) == ["active", "lost"]


def test_a_gpu_that_appears_beside_one_that_sleeps_is_found(
    collector: GpusCollector, fake: FakeNvml, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / BOUND.format("a")).mkdir(parents=True)
    fake.all.count = 1
    collector.collect()
    (tmp_path / STATUS.format("a")).write_text("suspended\n")
    asleep = states(collector)
    (tmp_path / BOUND.format("b")).mkdir()
    fake.all.count = 2
    clock.now = 10.0

    assert (asleep, states(collector)) == (["asleep"], ["asleep", "active"])


@pytest.fixture
def idle(collector: GpusCollector, fake: FakeNvml, tmp_path: Path) -> GpusCollector:
    """A collector on a laptop: both GPUs may sleep, and nothing runs on them."""
    for index, slot in enumerate("ab"):
        (tmp_path / STATUS.format(slot)).with_name("control").write_text("auto\n")
        fake.set_processes(index, [(100, 2, GIB, 0)])  # the desktop's
        fake.gpu(index).busy = 0
    return collector


def states(collector: GpusCollector) -> list[str]:
    return [each.state for each in collector.collect().devices.values()]


def test_gpus_that_may_sleep_are_let_go_after_a_while_without_work(
    idle: GpusCollector, fake: FakeNvml, clock: Clock, tmp_path: Path
) -> None:
    seen = []
    for at in (0.0, 9.0, 10.0, 11.0, 29.0, 31.0, 32.0):
        clock.now = at
        seen.append((states(idle)[0], fake.all.open))
    for slot in "ab":
        (tmp_path / STATUS.format(slot)).write_text("suspended\n")
    asleep = states(idle)
    for slot in "ab":
        (tmp_path / STATUS.format(slot)).write_text("active\n")
    awake = states(idle)

    assert seen == [
        ("active", 1),
        ("active", 1),
        ("active", 0),  # let go after this reading
        ("idle", 0),
        ("idle", 0),
        ("active", 0),  # still awake, still without work: let go again at once
        ("idle", 0),
    ]
    assert (asleep, awake, fake.all.open) == (["asleep"] * 2, ["active"] * 2, 1)


def test_a_gpu_at_rest_that_falls_asleep_before_the_other_is_asleep(
    idle: GpusCollector, clock: Clock, tmp_path: Path
) -> None:
    for clock.now in (0.0, 10.0):
        idle.collect()
    (tmp_path / STATUS.format("a")).write_text("suspending\n")

    assert states(idle) == ["asleep", "idle"]


@pytest.mark.parametrize("hindrance", ["work", "context", "kept on", "no deep sleep", "wake", "lost"])
def test_a_gpu_with_work_or_one_that_never_sleeps_is_held(
    idle: GpusCollector, fake: FakeNvml, clock: Clock, tmp_path: Path, hindrance: str
) -> None:
    idle._wake = hindrance == "wake"
    if hindrance == "work":
        fake.gpu(1).busy = 1
    elif hindrance == "context":
        fake.set_processes(0, [(100, 1, GIB, 0)])
    elif hindrance == "kept on":
        (tmp_path / STATUS.format("b")).with_name("control").write_text("on\n")
    elif hindrance == "no deep sleep":
        make_roots(
            tmp_path, {"proc/driver/nvidia/gpus/0000:0b:00.0/power": "Runtime D3 status:   Disabled by default\n"}
        )
    for clock.now in (0.0, 10.0, 20.0):
        idle.collect()
        fake.gpu(1).fault = 15 if hindrance == "lost" else 0

    assert fake.all.open == 1


def test_the_pids_of_a_scan_that_sees_not_all_processes_are_unknown(collector: GpusCollector, roots: Roots) -> None:
    (roots.proc / "1/stat").unlink()
    (roots.proc / "1").rmdir()  # hidepid

    for _ in range(2):
        assert set(collector.collect().devices["GPU-0"].alive.values()) == {None}


def test_a_call_that_hangs_answers_rightly_when_it_is_let_go(collector: GpusCollector, fake: FakeNvml) -> None:
    collector.collect()
    fake.all.hang = 1
    answers: list[Reading] = []
    thread = threading.Thread(target=lambda: answers.append(reading(collector)), daemon=True)
    thread.start()
    while not fake.all.waiting:
        assert thread.is_alive()
    before = list(answers)
    fake.all.hang = 0
    thread.join(10)

    assert before == []
    assert answers[0].utilization == 0.75


@pytest.mark.skipif(compiler() is None, reason="no C compiler (gcc) to build the fake NVML with")
def test_the_library_is_found_by_the_loader(tmp_path: Path) -> None:
    build(tmp_path)
    fake = FakeNvml(tmp_path / "answers")
    program = "from resourced.collectors.gpus import *; print(*GpusCollector(Roots()).collect().devices)"
    environment = os.environ | {VARIABLE: str(fake.path), "LD_LIBRARY_PATH": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == "GPU-0 GPU-1\n"
