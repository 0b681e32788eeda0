"""What is read of a GPU, and how NVML's answers become values: base units, fractions, None for what isn't known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

_UNKNOWN_BYTES = 2**64 - 1
_SENTINELS = frozenset({2**32 - 1, _UNKNOWN_BYTES})  # NVML_VALUE_NOT_AVAILABLE
_LARGEST_PERFORMANCE_STATE = 15  # 32 means unknown
_LARGEST_PID = 2**22  # PID_MAX_LIMIT
_REASONS = (
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
    "board_limit",
    "reliability",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What doesn't change of a GPU."""

    uuid: str
    index: int
    name: str | None
    pci_address: str | None
    """As below /sys/bus/pci/devices."""


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Memory of a GPU or a MIG instance."""

    total_bytes: int
    free_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """A process that has a context on a GPU."""

    pid: int
    kind: str
    memory_bytes: int | None
    utilization: float | None
    mig_uuid: str | None


@dataclass(frozen=True, slots=True)
class MigSample:
    """One MIG instance."""

    uuid: str
    name: str | None
    memory: MemorySample | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What changes of a GPU, in base units; None where it isn't supported or not allowed."""

    utilization: float | None = None
    memory_bandwidth_utilization: float | None = None
    memory: MemorySample | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    energy_joules: float | None = None
    clock_graphics_hertz: float | None = None
    clock_sm_hertz: float | None = None
    clock_memory_hertz: float | None = None
    fan_utilization: float | None = None
    encoder_utilization: float | None = None
    decoder_utilization: float | None = None
    pcie_receive_bytes_per_second: float | None = None
    pcie_transmit_bytes_per_second: float | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    performance_state: int | None = None
    mig_enabled: bool | None = None
    mig: tuple[MigSample, ...] = ()
    processes: tuple[ProcessSample, ...] | None = None


NOTHING_READ = Reading()
"""Stands for a GPU that could not be read."""


class Context(Protocol):
    """A process in NVML's list of those that have a context on a GPU."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815 - NVML's name


class UseSample(Protocol):
    """The driver's sample of one process's use of a GPU."""

    pid: int
    timeStamp: int  # noqa: N815 - NVML's name; microseconds since the epoch
    smUtil: int  # noqa: N815 - NVML's name; percent


def is_available(value: object) -> bool:
    """Return whether a number says something: NVML writes the largest one where it knows none."""
    return value not in _SENTINELS


def fraction(percent: int | None) -> float | None:
    """Return a percentage as 0-1; a fan may be asked for more than its maximum."""
    return None if percent is None or not is_available(percent) else min(1.0, percent / 100)


def performance_state(state: int | None) -> int | None:
    """Return the P-state, or None where it is unknown."""
    return state if state is not None and 0 <= state <= _LARGEST_PERFORMANCE_STATE else None


def throttle_reasons(bits: int | None) -> tuple[str, ...] | None:
    """Return the names of the bits that are set; a bit that has no name here is passed over."""
    if bits is None:
        return None
    return tuple(name for place, name in enumerate(_REASONS) if bits >> place & 1)


def pci_address(bus_id: str) -> str:
    """Return "00000000:0A:00.0" as sysfs has it: at least four digits of domain, small letters."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"{domain.lstrip('0').zfill(4)}:{rest}"


def merge_contexts(lists: Mapping[str, Iterable[Context] | None]) -> dict[int, tuple[str, int | None]] | None:
    """Return kind and memory of each process that is in one list or several.

    Args:
        lists: The processes of each kind (compute, graphics); None where the driver doesn't tell.

    Returns:
        None where no list is told. None as well where one holds what can't be a process: some drivers (535 before
        535.98) fill the list in another form than the one that was asked for, and then every entry may be wrong.
    """
    if all(processes is None for processes in lists.values()):
        return None
    found: dict[int, tuple[str, int | None]] = {}
    for kind, processes in lists.items():
        for process in processes or ():
            if not 0 < process.pid <= _LARGEST_PID:
                return None
            kinds, held = found.get(process.pid, ("", None))
            known = [value for value in (held, process.usedGpuMemory) if value not in (None, _UNKNOWN_BYTES)]
            joined = "+".join(dict.fromkeys([*kinds.split("+"), kind])).lstrip("+")
            found[process.pid] = joined, max(known, default=None)  # both lists tell the sum
    return found


def latest_use(samples: Iterable[UseSample], since: int) -> dict[int, float | None]:
    """Return the share of each process by its newest sample; None where that one is impossible.

    Args:
        samples: The driver's, which at times has unused slots (pid 0) and shares beyond 100 %.
        since: Microseconds since the epoch; what is older is passed over.
    """
    newest: dict[int, UseSample] = {}
    for sample in samples:
        known = newest.get(sample.pid)
        if sample.pid and sample.timeStamp >= since and (known is None or known.timeStamp < sample.timeStamp):
            newest[sample.pid] = sample
    return {pid: sample.smUtil / 100 if sample.smUtil <= 100 else None for pid, sample in newest.items()}
