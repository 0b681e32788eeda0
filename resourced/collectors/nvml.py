"""NVML, NVIDIA's management library, by way of nvidia-ml-py; the only module that imports pynvml.

A device is asked for one value after the other. What it doesn't support or doesn't allow is None, and is left alone for
a while; an error that concerns the whole device or library is raised.

https://docs.nvidia.com/deploy/nvml-api/
"""

import ctypes
import time
from _ctypes import dlclose
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from resourced.errors import GpuError

LIBRARY = "libnvidia-ml.so.1"
"""What pynvml loads."""

_UNINITIALIZED, _NO_PERMISSION, _NOT_FOUND, _INSUFFICIENT_SIZE, _DRIVER_NOT_LOADED = 1, 4, 6, 7, 9
_NOT_SUPPORTED, _FUNCTION_NOT_FOUND, _GPU_IS_LOST, _RESET_REQUIRED, _VERSION_MISMATCH = 3, 13, 15, 16, 18
_LIBRARY_FAULTS = frozenset({_UNINITIALIZED, _DRIVER_NOT_LOADED, _VERSION_MISMATCH})
_DEVICE_FAULTS = frozenset({_GPU_IS_LOST, _RESET_REQUIRED, 28})  # 28: GPU_NOT_FOUND
_LASTING = frozenset({_NOT_SUPPORTED, _NO_PERMISSION, _FUNCTION_NOT_FOUND, 25})  # 25: ARGUMENT_VERSION_MISMATCH
_SENTINELS = frozenset({2**32 - 1, 2**64 - 1})  # NVML_VALUE_NOT_AVAILABLE
_MEMORY_V2 = 0x02000028
_REFUSED_SECONDS = 600.0  # a change of MIG mode, of rights or of the driver's settings makes other calls answer
_WINDOW_MICROSECONDS = 2_000_000  # the driver samples processes every 1/6 s to 1 s
_LARGEST_PERFORMANCE_STATE = 15  # 32 means unknown
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


class LibraryFaultError(GpuError):
    """NVML as a whole answers no more; it must be initialised anew."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class DeviceFaultError(GpuError):
    """One GPU answers no more: it fell off the bus or needs a reset."""


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


def library_loads() -> bool:
    """Return whether the library can be loaded; it is not kept."""
    try:
        dlclose(ctypes.CDLL(LIBRARY)._handle)  # noqa: SLF001 - ctypes has no other way to let go
    except OSError:
        return False
    return True


class Nvml:
    """NVML, initialised.

    Raises:
        LibraryFaultError: The driver isn't loaded, doesn't fit the library, or refuses.
    """

    def __init__(self) -> None:
        import pynvml  # noqa: PLC0415 - 2 MB that a host without a GPU needn't carry

        self._api = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            _unload(pynvml)
            missing = error.value in {_DRIVER_NOT_LOADED, 12}  # 12: LIBRARY_NOT_FOUND
            raise LibraryFaultError(f"NVML can't be initialised: {error}", missing=missing) from error
        asked = Asked(pynvml, None)
        version = asked.get("nvmlSystemGetDriverVersion")
        self.driver_version: str | None = version

    def devices(self) -> tuple["Device", ...]:
        """Return the GPUs that answer, in NVML's order; a lost one is left out."""
        library = Asked(self._api, None)
        found = []
        for index in range(library.get("nvmlDeviceGetCount") or 0):
            with suppress(DeviceFaultError):
                handle = library.get("nvmlDeviceGetHandleByIndex", index)
                device = Asked(self._api, handle)
                uuid = device.get("nvmlDeviceGetUUID") if handle is not None else None
                if uuid is not None:
                    address = _pci_address(device.get("nvmlDeviceGetPciInfo"))
                    found.append(Device(device, Facts(uuid, index, device.get("nvmlDeviceGetName"), address)))
        return tuple(found)

    def close(self) -> None:
        """Shut NVML down, which lets a GPU go to sleep."""
        with suppress(self._api.NVMLError):
            self._api.nvmlShutdown()


class Asked:
    """Calls of NVML about one handle, with what it refused."""

    __slots__ = ("_api", "_handle", "_refused")

    def __init__(self, api: Any, handle: Any) -> None:
        self._api = api
        self._handle = handle
        self._refused: dict[tuple[str, Any], float] = {}

    def get(self, call: str, *arguments: Any) -> Any:
        """Return the answer, or None if there is none.

        Raises:
            LibraryFaultError: NVML must be initialised anew.
            DeviceFaultError: The device is lost.
        """
        key = (call, arguments)
        if self._refused and self._refused.get(key, 0.0) > time.monotonic():
            return None
        handle = () if self._handle is None else (self._handle,)
        try:
            answer = getattr(self._api, call)(*handle, *arguments)
        except self._api.NVMLError as error:
            code = error.value
            if code in _LIBRARY_FAULTS:
                raise LibraryFaultError(f"NVML: {call}: {error}") from error
            if code in _DEVICE_FAULTS:
                raise DeviceFaultError(f"NVML: {call}: {error}") from error
            if code in _LASTING:
                self._refused[key] = time.monotonic() + _REFUSED_SECONDS
            return None
        return None if isinstance(answer, int) and answer in _SENTINELS else answer

    def number(self, call: str, *arguments: Any, factor: float = 1) -> float | None:
        """Return a number in base units, or None."""
        answer = self.get(call, *arguments)
        return None if answer is None else answer * factor

    def memory(self) -> MemorySample | None:
        """Return the memory; version 2 doesn't count what the driver reserves as used."""
        memory = self.get("nvmlDeviceGetMemoryInfo", _MEMORY_V2) or self.get("nvmlDeviceGetMemoryInfo")
        if memory is None or memory.total in _SENTINELS or memory.used in _SENTINELS or not memory.total:
            return None
        return MemorySample(memory.total, memory.free, memory.used)

    def contexts(self) -> dict[int, tuple[str, int | None]] | None:
        """Return kind and memory of each process; None where the driver doesn't tell."""
        lists = {kind: self._running(f"nvmlDeviceGet{kind.capitalize()}RunningProcesses") for kind in _KINDS}
        if all(processes is None for processes in lists.values()):
            return None
        found: dict[int, tuple[str, int | None]] = {}
        for kind, processes in lists.items():
            for process in processes or ():
                kinds, held = found.get(process.pid, ("", None))
                memory = process.usedGpuMemory
                known = [value for value in (held, memory) if value is not None and value not in _SENTINELS]
                joined = kind if kinds in ("", kind) else f"{kinds}+{kind}"
                found[process.pid] = joined, max(known, default=None)
        return found

    def _running(self, call: str) -> list[Any] | None:
        for name in (call, call, f"{call}_v2"):  # between its two calls the list may have outgrown the room made for it
            answer: list[Any] | None = self.get(name) if hasattr(self._api, name) else None
            if answer is not None:
                return answer
        return None

    def utilizations(self) -> dict[int, float] | None:
        """Return the share of each process that ran kernels of late; one that ran none is left out."""
        since = time.time_ns() // 1000 - _WINDOW_MICROSECONDS
        try:
            samples = self._api.nvmlDeviceGetProcessUtilization(self._handle, since)
        except self._api.NVMLError as error:
            return {} if error.value in {0, _NOT_FOUND} else None
        newest: dict[int, Any] = {}
        for sample in samples:
            known = newest.get(sample.pid)
            # The driver fills unused slots with pid 0 and, at times, with shares beyond 100 %.
            usable = sample.pid and sample.smUtil <= 100 and sample.timeStamp >= since
            if usable and (known is None or known.timeStamp < sample.timeStamp):
                newest[sample.pid] = sample
        return {pid: sample.smUtil / 100 for pid, sample in newest.items()}

    def of(self, call: str, index: int) -> "Asked | None":
        """Return another handle that belongs to this one: a MIG instance."""
        handle = self.get(call, index)
        return None if handle is None else Asked(self._api, handle)


_KINDS = ("compute", "graphics")


class Device:
    """One GPU, by its handle; valid until NVML is shut down."""

    def __init__(self, asked: Asked, facts: Facts) -> None:
        self._asked = asked
        self.facts = facts
        self._pcie: tuple[float | None, float | None] = (None, None)

    def read(self, *, pcie: bool = True, processes: bool = True) -> Reading:
        """Read everything.

        Args:
            pcie: Whether the throughput of PCIe is measured now, which takes 40 ms; else it is as of last time.
            processes: Whether the processes are read.

        Raises:
            LibraryFaultError: NVML must be initialised anew.
            DeviceFaultError: The GPU is lost.
        """
        ask = self._asked
        busy = ask.get("nvmlDeviceGetUtilizationRates")
        mode = ask.get("nvmlDeviceGetMigMode")
        mig_enabled = None if mode is None else mode[0] == 1
        mig, inside = (
            self._mig(processes=processes) if mig_enabled else ((), self._processes(ask, None, wanted=processes))
        )
        if pcie:
            count = "nvmlDeviceGetPcieThroughput"
            self._pcie = ask.number(count, 1, factor=1000), ask.number(count, 0, factor=1000)
        return Reading(
            utilization=_percent(busy.gpu if busy else None),
            memory_bandwidth_utilization=_percent(busy.memory if busy else None),
            memory=ask.memory(),
            temperature_celsius=self._temperature(),
            power_watts=ask.number("nvmlDeviceGetPowerUsage", factor=1e-3),
            power_limit_watts=ask.number("nvmlDeviceGetEnforcedPowerLimit", factor=1e-3),
            energy_joules=ask.number("nvmlDeviceGetTotalEnergyConsumption", factor=1e-3),
            clock_graphics_hertz=ask.number("nvmlDeviceGetClockInfo", 0, factor=1e6),
            clock_sm_hertz=ask.number("nvmlDeviceGetClockInfo", 1, factor=1e6),
            clock_memory_hertz=ask.number("nvmlDeviceGetClockInfo", 2, factor=1e6),
            fan_utilization=_percent(ask.get("nvmlDeviceGetFanSpeed")),
            encoder_utilization=_percent(_first(ask.get("nvmlDeviceGetEncoderUtilization"))),
            decoder_utilization=_percent(_first(ask.get("nvmlDeviceGetDecoderUtilization"))),
            pcie_receive_bytes_per_second=self._pcie[0],
            pcie_transmit_bytes_per_second=self._pcie[1],
            ecc_corrected=ask.get("nvmlDeviceGetTotalEccErrors", 0, 0),
            ecc_uncorrected=ask.get("nvmlDeviceGetTotalEccErrors", 1, 0),
            throttle_reasons=_reasons(ask.get("nvmlDeviceGetCurrentClocksThrottleReasons")),
            performance_state=_performance(ask.get("nvmlDeviceGetPerformanceState")),
            mig_enabled=mig_enabled,
            mig=mig,
            processes=inside,
        )

    def _temperature(self) -> float | None:
        found = self._asked.number("nvmlDeviceGetTemperature", 0)
        return found if found is not None else self._asked.number("nvmlDeviceGetTemperatureV", 0)

    def _mig(self, *, processes: bool) -> tuple[tuple[MigSample, ...], tuple[ProcessSample, ...] | None]:
        """Return the instances and all of their processes; instances may come and go at any time."""
        found: list[MigSample] = []
        inside: list[ProcessSample] | None = []
        for index in range(self._asked.get("nvmlDeviceGetMaxMigDeviceCount") or 0):
            instance = self._asked.of("nvmlDeviceGetMigDeviceHandleByIndex", index)
            uuid = instance.get("nvmlDeviceGetUUID") if instance else None
            if instance is None or uuid is None:
                continue
            found.append(MigSample(uuid, instance.get("nvmlDeviceGetName"), instance.memory()))
            more = self._processes(instance, uuid, wanted=processes)
            inside = [*inside, *more] if inside is not None and more is not None else None
        return tuple(found), None if inside is None else tuple(inside)

    def _processes(self, asked: Asked, mig_uuid: str | None, *, wanted: bool) -> tuple[ProcessSample, ...] | None:
        contexts = asked.contexts() if wanted else None
        if not contexts:
            return None if contexts is None else ()
        busy = asked.utilizations() if mig_uuid is None else None  # not known inside of MIG
        return tuple(
            ProcessSample(pid, kind, memory, None if busy is None else busy.get(pid, 0.0), mig_uuid)
            for pid, (kind, memory) in contexts.items()
        )


def _unload(api: Any) -> None:
    """Let go of the library unless another thread uses it: after an update a new file stands in its place."""
    if api.nvmlLib is not None and not api._nvmlLib_refcount:  # noqa: SLF001 - pynvml has no other way to let go
        handle, api.nvmlLib = api.nvmlLib._handle, None  # noqa: SLF001
        api._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001
        dlclose(handle)


def _pci_address(info: Any) -> str | None:
    """Return the address with the four digits of domain and small letters that sysfs has."""
    if info is None:
        return None
    function = str(info.busId).rpartition(".")[2] or "0"
    return f"{info.domain:04x}:{info.bus:02x}:{info.device:02x}.{function}"


def _percent(value: int | None) -> float | None:
    return None if value is None or value in _SENTINELS else min(1.0, value / 100)


def _first(pair: list[int] | None) -> int | None:
    return pair[0] if pair else None


def _performance(state: int | None) -> int | None:
    return state if state is not None and state <= _LARGEST_PERFORMANCE_STATE else None


def _reasons(bits: int | None) -> tuple[str, ...] | None:
    if bits is None:
        return None
    return tuple(name for place, name in enumerate(_REASONS) if bits >> place & 1)
