"""What is read from the machine: one source a section, each with its collector, its derivation and its limits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resourced.collectors.base import Collector, Roots, Taken
from resourced.collectors.cgroups import CgroupsCollector
from resourced.collectors.cpu import CpuCollector
from resourced.collectors.disk import DiskCollector
from resourced.collectors.filesystems import FilesystemsCollector
from resourced.collectors.gpus import GpusCollector
from resourced.collectors.memory import MemoryCollector
from resourced.collectors.network import NetworkCollector
from resourced.collectors.pressure import PressureCollector
from resourced.collectors.processes import ProcessesCollector
from resourced.collectors.sensors import SensorsCollector
from resourced.config import COLLECTORS, ResourceConfig
from resourced.snapshot.cgroups import derive_cgroups
from resourced.snapshot.cpu import derive_cpu
from resourced.snapshot.disk import derive_disk
from resourced.snapshot.filesystems import derive_filesystems
from resourced.snapshot.gpus import derive_gpus
from resourced.snapshot.memory import derive_memory
from resourced.snapshot.network import derive_network
from resourced.snapshot.pressure import derive_pressure
from resourced.snapshot.processes import derive_processes
from resourced.snapshot.sensors import derive_sensors

Derive = Callable[[Taken[Any] | None, Taken[Any], Any], Any]


@dataclass(frozen=True, slots=True)
class Source:
    """One section of the snapshot: who reads it, how it is derived, how often and for how long.

    Attributes:
        name: The section's name.
        collector: Reads the raw sample.
        derive: Makes the section of the sample before, this sample and the section before; pure.
        deadline_seconds: A reading that takes longer is given up for this snapshot.
        interval_seconds: Time between two readings; a snapshot in between shows the value again with its age.
        retry_limit_seconds: The longest that a failing source waits until it is tried again.
        absent_retry_seconds: How often a source that the host doesn't have is looked for.
    """

    name: str
    collector: Collector[Any]
    derive: Derive
    deadline_seconds: float = 0.8
    interval_seconds: float = 1.0
    retry_limit_seconds: float = 60.0
    absent_retry_seconds: float = 30.0


_DERIVE: dict[str, Derive] = {
    "cpu": derive_cpu,
    "memory": derive_memory,
    "pressure": derive_pressure,
    "network": derive_network,
    "disk": derive_disk,
    "filesystems": derive_filesystems,
    "sensors": derive_sensors,
    "gpus": derive_gpus,
    "cgroups": derive_cgroups,
    "processes": derive_processes,
}


def sources_of(config: ResourceConfig | None = None, roots: Roots | None = None) -> tuple[Source, ...]:
    """Return the sources that the configuration leaves on; by default all, as shipped.

    Args:
        config: Intervals, deadlines and what to leave out.
        roots: Where the kernel's trees are mounted.
    """
    config = config or ResourceConfig()
    made = _collectors(config, roots or Roots())
    return tuple(
        Source(
            name,
            made[name](),
            _DERIVE[name],
            deadline_seconds=config.deadline_seconds(name),
            interval_seconds=config.interval_seconds(name),
        )
        for name in COLLECTORS
        if getattr(config.collectors, name).enabled
    )


def switched_off(config: ResourceConfig) -> dict[str, str]:
    """Return the sections that the configuration switches off, with the reason to show."""
    return {
        name: f"collectors.{name}.enabled is false"
        for name in COLLECTORS
        if not getattr(config.collectors, name).enabled
    }


def _collectors(config: ResourceConfig, roots: Roots) -> dict[str, Callable[[], Collector[Any]]]:
    of = config.collectors
    return {
        "cpu": lambda: CpuCollector(roots),
        "memory": lambda: MemoryCollector(roots),
        "pressure": lambda: PressureCollector(roots),
        "network": lambda: NetworkCollector(roots, ignored=of.network.ignore),
        "disk": lambda: DiskCollector(roots),
        "filesystems": lambda: FilesystemsCollector(
            roots, patience_seconds=of.filesystems.patience, exclude_types=of.filesystems.exclude_types
        ),
        "sensors": lambda: SensorsCollector(roots, ignored=of.sensors.ignore),
        "gpus": lambda: GpusCollector(
            roots, retry_seconds=of.gpus.retry, wake=of.gpus.wake, read_processes=of.gpus.processes
        ),
        "cgroups": lambda: CgroupsCollector(roots, depth=of.cgroups.depth, limit=of.cgroups.limit),
        "processes": lambda: ProcessesCollector(
            roots, descriptors=of.processes.descriptors, details_per_tick=of.processes.details_per_tick
        ),
    }
