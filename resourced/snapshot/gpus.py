"""GPUs: what a snapshot says of them. Whatever a device doesn't support is null, never 0."""

from dataclasses import dataclass, fields

from resourced.collectors.base import Taken
from resourced.collectors.gpureading import NOTHING_READ, MigSample, Reading
from resourced.collectors.gpus import GpuSample, GpusSample
from resourced.quantities import share


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """One process that has a context on a GPU."""

    pid: int
    """Process id as NVML gives it: of the host's pid namespace."""
    kind: str
    """compute, graphics, or both joined by "+"."""
    memory_bytes: int | None
    """GPU memory held; null where the driver doesn't tell (MIG, containers, WDDM)."""
    utilization: float | None
    """Share of the sampling window in which its kernels ran, 0-1."""
    mig_uuid: str | None
    """The MIG instance on which it runs; null on a whole GPU."""
    alive: bool | None
    """False where no such process exists any more: its memory is orphaned. Null if /proc can't tell."""


@dataclass(frozen=True, slots=True)
class MigInstance:
    """One MIG instance of a GPU."""

    uuid: str
    """Its UUID, as CUDA_VISIBLE_DEVICES takes it."""
    name: str | None
    """Profile name such as "MIG 1g.10gb"."""
    memory_used_bytes: int | None
    """Memory in use."""
    memory_total_bytes: int | None
    """Memory of the instance."""
    memory_utilization: float | None
    """Share of the memory in use, 0-1."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, from NVML."""

    index: int
    """NVML index (PCI order), which may differ from CUDA's."""
    name: str | None
    """Product name."""
    pci_address: str | None
    """PCI bus id, as below /sys/bus/pci/devices."""
    state: str
    """active, asleep (runtime-suspended; not asked, so not woken), idle (left alone so that it may sleep) or lost."""
    reason: str | None
    """Why the state is not active."""
    utilization: float | None
    """Share of the driver's window in which at least one kernel ran, 0-1."""
    memory_bandwidth_utilization: float | None
    """Share of the driver's window in which device memory was read or written, 0-1."""
    memory_used_bytes: int | None
    """Device memory in use."""
    memory_free_bytes: int | None
    """Device memory free."""
    memory_total_bytes: int | None
    """Device memory."""
    memory_utilization: float | None
    """Share of device memory in use, 0-1."""
    memory_orphaned_bytes: int | None
    """Device memory attributed to processes that no longer exist."""
    temperature_celsius: float | None
    """Temperature of the die."""
    power_watts: float | None
    """Present draw."""
    power_limit_watts: float | None
    """Enforced limit."""
    energy_joules: float | None
    """Energy since the driver was loaded."""
    clock_graphics_hertz: float | None
    """Present graphics clock."""
    clock_sm_hertz: float | None
    """Present streaming multiprocessor clock."""
    clock_memory_hertz: float | None
    """Present memory clock."""
    fan_utilization: float | None
    """Intended fan speed as a share of its maximum, 0-1."""
    encoder_utilization: float | None
    """Share of the window in which the video encoder ran, 0-1."""
    decoder_utilization: float | None
    """Share of the window in which the video decoder ran, 0-1."""
    pcie_receive_bytes_per_second: float | None
    """PCIe throughput to the device."""
    pcie_transmit_bytes_per_second: float | None
    """PCIe throughput from the device."""
    ecc_corrected: int | None
    """Corrected memory errors since the driver was loaded."""
    ecc_uncorrected: int | None
    """Uncorrected memory errors since the driver was loaded."""
    throttle_reasons: tuple[str, ...] | None
    """Why clocks are held down, in NVML's words: sw_power_cap, hw_thermal_slowdown, …; empty if they aren't."""
    performance_state: int | None
    """P-state, 0 is fastest."""
    mig_enabled: bool | None
    """Whether MIG mode is on; null where the device has none."""
    mig: tuple[MigInstance, ...]
    """MIG instances."""
    processes: tuple[GpuProcess, ...] | None
    """Processes with a context, by memory held, largest first; null where the driver doesn't tell."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """All GPUs that NVML knows."""

    driver_version: str | None
    """Version of the kernel driver."""
    devices: dict[str, Gpu]
    """Keyed by UUID, in NVML's order."""


_AS_READ = tuple(field.name for field in fields(Reading) if field.name not in {"memory", "mig", "processes"})
"""What is shown as it was read."""


def derive_gpus(before: Taken[GpusSample] | None, now: Taken[GpusSample], previous: Gpus | None) -> Gpus:
    """Return the GPUs section; there is nothing to subtract, as the driver keeps its own windows."""
    del before, previous
    return Gpus(now.sample.driver_version, {uuid: _gpu(sample) for uuid, sample in now.sample.devices.items()})


def _gpu(sample: GpuSample) -> Gpu:
    facts, reading = sample.facts, sample.reading or NOTHING_READ
    memory = reading.memory
    processes = _processes(sample) if sample.reading else None
    return Gpu(
        index=facts.index,
        name=facts.name,
        pci_address=facts.pci_address,
        state=sample.state,
        reason=sample.reason,
        memory_used_bytes=memory.used_bytes if memory else None,
        memory_free_bytes=memory.free_bytes if memory else None,
        memory_total_bytes=memory.total_bytes if memory else None,
        memory_utilization=share(memory.used_bytes, memory.total_bytes) if memory else None,
        memory_orphaned_bytes=_orphaned(processes),
        mig=tuple(_mig(instance) for instance in reading.mig),
        processes=processes,
        **{name: getattr(reading, name) for name in _AS_READ},
    )


def _mig(instance: MigSample) -> MigInstance:
    memory = instance.memory
    return MigInstance(
        uuid=instance.uuid,
        name=instance.name,
        memory_used_bytes=memory.used_bytes if memory else None,
        memory_total_bytes=memory.total_bytes if memory else None,
        memory_utilization=share(memory.used_bytes, memory.total_bytes) if memory else None,
    )


def _processes(sample: GpuSample) -> tuple[GpuProcess, ...] | None:
    if sample.reading is None or sample.reading.processes is None:
        return None
    processes = (
        GpuProcess(each.pid, each.kind, each.memory_bytes, each.utilization, each.mig_uuid, sample.alive.get(each.pid))
        for each in sample.reading.processes
    )
    return tuple(sorted(processes, key=lambda each: (-(each.memory_bytes or 0), each.pid)))


def _orphaned(processes: tuple[GpuProcess, ...] | None) -> int | None:
    """Return the memory of the processes that are gone; None if that can't be told of each."""
    if processes is None:
        return None
    total = 0
    for process in processes:
        if process.alive is None or (not process.alive and process.memory_bytes is None):
            return None
        total += 0 if process.alive else process.memory_bytes or 0
    return total
