"""Recorded machines: what the collectors and derivations make of them.

Each has proc trees from two moments ten seconds apart and one sys tree. The expected snapshots are written by
`RESOURCED_UPDATE_HOSTS=1 pytest tests/collectors/test_hosts.py`, and read in review.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from resourced.collectors.base import Collector, Roots, Taken
from resourced.collectors.cpu import CpuCollector
from resourced.collectors.disk import DiskCollector
from resourced.collectors.filesystems import FilesystemsCollector
from resourced.collectors.memory import MemoryCollector
from resourced.collectors.network import NetworkCollector
from resourced.collectors.pressure import PressureCollector
from resourced.collectors.sensors import SensorsCollector
from resourced.errors import Unavailable
from resourced.metrics import CATALOGUE
from resourced.series import Extractor
from resourced.snapshot import Health, Snapshot
from resourced.snapshot.cpu import derive_cpu
from resourced.snapshot.disk import derive_disk
from resourced.snapshot.filesystems import derive_filesystems
from resourced.snapshot.memory import derive_memory
from resourced.snapshot.network import derive_network
from resourced.snapshot.pressure import derive_pressure
from resourced.snapshot.sensors import derive_sensors
from tests.collectors.host_fakes import space, taken

HOSTS = Path(__file__).parent.parent / "hosts"
DERIVE: dict[str, Any] = {
    "cpu": derive_cpu,
    "memory": derive_memory,
    "pressure": derive_pressure,
    "network": derive_network,
    "disk": derive_disk,
    "filesystems": derive_filesystems,
    "sensors": derive_sensors,
}


def collectors(roots: Roots, *, real: bool) -> list[Collector[Any]]:
    filesystems = FilesystemsCollector(roots) if real else FilesystemsCollector(roots, statvfs=lambda _: space())
    return [
        CpuCollector(roots, ticks_per_second=100),
        MemoryCollector(roots, page_size_bytes=4096),
        PressureCollector(roots),
        NetworkCollector(roots, page_size_bytes=4096),
        DiskCollector(roots),
        filesystems,
        SensorsCollector(roots),
    ]


def collect(roots: Roots, at: float, *, real: bool = False) -> dict[str, Taken[Any]]:
    samples = {}
    for collector in collectors(roots, real=real):
        try:
            samples[collector.name] = taken(collector.collect(), at)
        except Unavailable:
            continue
        finally:
            collector.close()
    return samples


def snapshot_of(before: dict[str, Taken[Any]], now: dict[str, Taken[Any]]) -> Snapshot:
    sections = {name: DERIVE[name](before.get(name), sample, None) for name, sample in now.items()}
    health = {name: Health("ok") for name in now}
    return Snapshot(2, 1e9 + 10, 10.0, 10.0, None, collectors=health, **sections)


@pytest.mark.parametrize("host", ["laptop", "virtual-machine"])
def test_a_recorded_machine_gives_the_expected_snapshot(host: str) -> None:
    sys = HOSTS / host / "sys"
    before = collect(Roots(HOSTS / host / "before/proc", sys), 0.0)
    after = collect(Roots(HOSTS / host / "after/proc", sys), 10.0)

    snapshot = snapshot_of(before, after)

    extractor = Extractor()
    values = extractor.read(snapshot)
    found = {
        "snapshot": {name: asdict(getattr(snapshot, name)) for name in sorted(after)},
        "metrics": {str(name): value for name, value in zip(extractor.layout, values, strict=True)},
    }
    golden = HOSTS / host / "expected.json"
    if os.environ.get("RESOURCED_UPDATE_HOSTS"):
        golden.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert json.loads(json.dumps(found)) == json.loads(golden.read_text())


def test_every_metric_of_the_host_resolves_and_has_a_value_somewhere() -> None:
    """Whatever no recorded machine has would be a path that leads nowhere."""
    metrics = [m for m in CATALOGUE.values() if m.section in DERIVE]
    sys = HOSTS / "laptop/sys"
    before = collect(Roots(HOSTS / "laptop/before/proc", sys), 0.0)
    after = collect(Roots(HOSTS / "laptop/after/proc", sys), 10.0)

    extractor = Extractor(metrics)
    values = extractor.read(snapshot_of(before, after))

    known = {series.metric for series, value in zip(extractor.layout, values, strict=True) if value is not None}
    assert {metric.name for metric in metrics} - known == set()


def test_this_machine_gives_values_for_the_metrics_that_every_machine_has() -> None:
    roots = Roots()
    before, after = collect(roots, 0.0, real=True), collect(roots, 1.0, real=True)

    extractor = Extractor()
    values = extractor.read(snapshot_of(before, after))

    known = {series.metric for series, value in zip(extractor.layout, values, strict=True) if value is not None}
    assert {"system.memory.limit", "system.cpu.time", "resourced.cpu.load", "system.network.io"} <= known
