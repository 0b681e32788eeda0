import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.collectors import nvml
from resourced.collectors.nvml import DeviceFaultError, LibraryFaultError, Nvml, library_loads
from tests.nvml.build import build, compiler
from tests.nvml.control import CALLS, GIB, VARIABLE, FakeNvml
from tests.nvml.loaded import load_fake


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    return load_fake(tmp_path, monkeypatch)


@pytest.fixture
def library(fake: FakeNvml) -> Iterator[Nvml]:
    opened = Nvml()
    yield opened
    opened.close()


@pytest.mark.parametrize("code", [4, 13, 25])
def test_what_is_refused_is_not_asked_again(library: Nvml, fake: FakeNvml, code: int) -> None:
    device = library.devices()[0]
    usual = calls_of(device, fake)
    fake.refuse(0, *CALLS, code=code)
    device.read()

    assert device.read().processes is None
    assert calls_of(device, fake) <= 3 < usual


def calls_of(device: nvml.Device, fake: FakeNvml) -> int:
    device.read(pcie=False)
    before = fake.all.calls
    device.read(pcie=False)
    return int(fake.all.calls - before)


def test_a_reading_takes_few_calls(library: Nvml, fake: FakeNvml) -> None:
    whole, split = library.devices()

    assert calls_of(whole, fake) <= 22
    assert calls_of(split, fake) <= 40  # of two MIG instances, with their processes


def test_settings_are_kept_for_a_while(library: Nvml, fake: FakeNvml) -> None:
    device = library.devices()[0]
    device.read()
    fake.gpu(0).limit = 100_000

    assert device.read().power_limit_watts == 400.0
    device._settings.expire()
    assert device.read().power_limit_watts == 100.0


def test_a_lost_device_and_a_lost_library_are_told_apart(library: Nvml, fake: FakeNvml) -> None:
    first, second = library.devices()
    fake.gpu(0).fault = 15
    with pytest.raises(DeviceFaultError, match="GPU is lost"):
        first.read()
    assert second.read().utilization == 0.75
    fake.all.fault = 18
    with pytest.raises(LibraryFaultError, match="mismatch"):
        second.read()


def test_a_device_lost_while_its_settings_are_kept_is_seen_by_the_next_call(library: Nvml, fake: FakeNvml) -> None:
    device = library.devices()[0]
    device.read()
    fake.refuse(0, "samples", code=15)

    with pytest.raises(DeviceFaultError, match="ProcessUtilization"):
        device.read()


def test_an_unknown_free_memory_is_no_memory(library: Nvml, fake: FakeNvml) -> None:
    device = library.devices()[0]
    fake.refuse(0, "memory_v2")
    fake.gpu(0).total = 2**64 - 1

    assert device.read().memory is None


def test_processes_that_ran_no_kernel_are_at_rest_and_unknown_where_the_driver_keeps_no_samples(
    library: Nvml, fake: FakeNvml
) -> None:
    device = library.devices()[0]
    fake.set_processes(0, [(100, 1, GIB, 0)])
    assert [each.utilization for each in device.read().processes or ()] == [0.0]
    fake.refuse(0, "samples")
    assert [each.utilization for each in device.read().processes or ()] == [None]
    asked = fake.all.calls
    device.read(pcie=False)
    assert fake.all.calls - asked < 25


def test_a_list_in_an_unknown_form_is_no_list(library: Nvml, fake: FakeNvml) -> None:
    fake.set_processes(0, [(100, 1, GIB, 0), (2**32 - 1, 1, GIB, 0)])

    assert library.devices()[0].read().processes is None


def test_without_processes_none_are_asked_for(library: Nvml, fake: FakeNvml) -> None:
    device = library.devices()[0]

    assert device.read(processes=False).processes is None
    assert calls_of(device, fake) > 0


def test_a_version_that_cannot_be_read_leaves_nothing_open(fake: FakeNvml) -> None:
    fake.all.version_fault = 18
    with pytest.raises(LibraryFaultError, match="DriverVersion"):
        Nvml()

    assert (fake.all.inits, fake.all.open) == (1, 0)


def test_a_library_that_is_not_there_does_not_load(monkeypatch: pytest.MonkeyPatch, fake: FakeNvml) -> None:
    assert library_loads()
    monkeypatch.setattr(nvml, "LIBRARY", "libnvidia-ml-of-nobody.so.1")
    assert not library_loads()


PROGRAM = """
from resourced.collectors.nvml import LibraryFaultError, Nvml
from tests.nvml.control import FakeNvml
import mmap, os, sys
def loaded():
    return "libnvidia-ml" in open("/proc/self/maps").read()
fake = FakeNvml(__import__("pathlib").Path(sys.argv[1]))
nvml = Nvml()
print(loaded())
fake.all.shutdown_fault = 1  # the driver was reloaded and knows of nobody
nvml.close()
fake.all.init_fault = 18
try:
    Nvml()
except LibraryFaultError as fault:
    print(fault)
print(loaded())
fake.all.init_fault = fake.all.shutdown_fault = 0
nvml = Nvml()
print(len(nvml.devices()), loaded())
"""


@pytest.mark.skipif(compiler() is None, reason="no C compiler (gcc) to build the fake NVML with")
def test_after_an_update_of_the_driver_the_old_library_is_let_go_and_the_new_one_loaded(tmp_path: Path) -> None:
    build(tmp_path)
    answers = str(tmp_path / "answers")
    environment = os.environ | {VARIABLE: answers, "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, answers]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    first, fault, between, after = done.stdout.splitlines()
    assert (first, between, after) == ("True", "False", "2 True")
    assert "mismatch" in fault
