"""NVML, NVIDIA's management library, by way of nvidia-ml-py; the only module that imports pynvml.

A device is asked for one value after the other. What it doesn't support or doesn't allow is None, and is left alone for
a while; an error that concerns the whole device or library is raised.

https://docs.nvidia.com/deploy/nvml-api/
"""

import ctypes
import time
from _ctypes import dlclose
from contextlib import suppress
from typing import Any

from resourced.collectors.gpureading import (
    Facts,
    MemorySample,
    MigSample,
    ProcessSample,
    Reading,
    fraction,
    is_available,
    latest_use,
    merge_contexts,
    pci_address,
    performance_state,
    throttle_reasons,
)
from resourced.collectors.rarely import Rarely
from resourced.errors import GpuError

LIBRARY = "libnvidia-ml.so.1"
"""What pynvml loads."""

_NOT_SUPPORTED, _NO_PERMISSION, _NOT_FOUND, _FUNCTION_NOT_FOUND, _OLD_STRUCTURE = 3, 4, 6, 13, 25
_UNINITIALIZED, _DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND, _VERSION_MISMATCH = 1, 9, 12, 18
_GPU_IS_LOST, _RESET_REQUIRED, _GPU_NOT_FOUND = 15, 16, 28
_LIBRARY_FAULTS = frozenset({_UNINITIALIZED, _DRIVER_NOT_LOADED, _VERSION_MISMATCH})
_DEVICE_FAULTS = frozenset({_GPU_IS_LOST, _RESET_REQUIRED, _GPU_NOT_FOUND})
_LASTING = frozenset({_NOT_SUPPORTED, _NO_PERMISSION, _FUNCTION_NOT_FOUND, _OLD_STRUCTURE})
_MEMORY_V2 = 0x02000028
_REFUSED_SECONDS = 600.0  # a change of MIG mode, of rights or of the driver's settings makes other calls answer
_WINDOW_MICROSECONDS = 2_000_000  # the driver samples processes every 1/6 s to 1 s
_SETTINGS_SECONDS = 10.0
_KINDS = ("compute", "graphics")


class LibraryFaultError(GpuError):
    """NVML as a whole answers no more; it must be initialised anew."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class DeviceFaultError(GpuError):
    """One GPU answers no more: it fell off the bus or needs a reset."""


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
            text = str(error)  # which asks the library
            _unload(pynvml)
            missing = error.value in {_DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND}
            raise LibraryFaultError(f"NVML can't be initialised: {text}", missing=missing) from error
        try:
            self.driver_version: str | None = Asked(pynvml, None).get("nvmlSystemGetDriverVersion")
        except GpuError:
            self.close()
            raise

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
                    pci = device.get("nvmlDeviceGetPciInfo")
                    address = pci_address(str(pci.busId)) if pci else None
                    found.append(Device(device, Facts(uuid, index, device.get("nvmlDeviceGetName"), address)))
        return tuple(found)

    def close(self) -> None:
        """Shut NVML down, which lets a GPU go to sleep."""
        try:
            self._api.nvmlShutdown()
        except self._api.NVMLError:  # after a reload the driver doesn't know of us, while pynvml counts us still
            self._api._nvmlLib_refcount = max(0, self._api._nvmlLib_refcount - 1)  # noqa: SLF001


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
            self._judge(key, error)
            return None
        except (AttributeError, self._api.NVMLLibraryMismatchError):  # pynvml or the driver has no such function
            self._refused[key] = time.monotonic() + _REFUSED_SECONDS
            return None
        return None if isinstance(answer, int) and not is_available(answer) else answer

    def _judge(self, key: tuple[str, Any], error: Any) -> None:
        """Raise if the error concerns more than this call; remember it if it will last."""
        if error.value in _LIBRARY_FAULTS:
            raise LibraryFaultError(f"NVML: {key[0]}: {error}") from error
        if error.value in _DEVICE_FAULTS:
            raise DeviceFaultError(f"NVML: {key[0]}: {error}") from error
        if error.value in _LASTING:
            self._refused[key] = time.monotonic() + _REFUSED_SECONDS

    def number(self, call: str, *arguments: Any, factor: float = 1) -> float | None:
        """Return a number in base units, or None."""
        answer = self.get(call, *arguments)
        return None if answer is None else answer * factor

    def memory(self) -> MemorySample | None:
        """Return the memory; version 2 doesn't count what the driver reserves as used."""
        memory = self.get("nvmlDeviceGetMemoryInfo", _MEMORY_V2) or self.get("nvmlDeviceGetMemoryInfo")
        if memory is None or not memory.total or not all(map(is_available, (memory.total, memory.free, memory.used))):
            return None
        return MemorySample(memory.total, memory.free, memory.used)

    def contexts(self) -> dict[int, tuple[str, int | None]] | None:
        """Return kind and memory of each process; None where the driver doesn't tell."""
        return merge_contexts({k: self._running(f"nvmlDeviceGet{k.capitalize()}RunningProcesses") for k in _KINDS})

    def _running(self, call: str) -> list[Any] | None:
        for name in (call, call, f"{call}_v2"):  # between its two calls the list may have outgrown the room made for it
            answer: list[Any] | None = self.get(name)
            if answer is not None:
                return answer
        return None

    def use(self) -> dict[int, float | None] | None:
        """Return the share of each process that ran kernels of late; one that ran none is left out."""
        key = ("nvmlDeviceGetProcessUtilization", ())
        if self._refused.get(key, 0.0) > time.monotonic():
            return None
        since = time.time_ns() // 1000 - _WINDOW_MICROSECONDS
        try:
            return latest_use(self._api.nvmlDeviceGetProcessUtilization(self._handle, since), since)
        except self._api.NVMLError as error:
            if error.value in {0, _NOT_FOUND}:  # no samples at all
                return {}
            self._judge(key, error)
        except self._api.NVMLLibraryMismatchError:
            self._refused[key] = time.monotonic() + _REFUSED_SECONDS
        return None

    def of(self, call: str, index: int) -> "Asked | None":
        """Return another handle that belongs to this one: a MIG instance."""
        handle = self.get(call, index)
        return None if handle is None else Asked(self._api, handle)


class Device:
    """One GPU, by its handle; valid until NVML is shut down."""

    def __init__(self, asked: Asked, facts: Facts) -> None:
        self._asked = asked
        self.facts = facts
        self._pcie: tuple[float | None, float | None] = (None, None)
        self._settings = Rarely(self._read_settings, _SETTINGS_SECONDS)

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
        power_limit, mig_enabled = self._settings.get()
        mig, inside = (
            self._mig(processes=processes) if mig_enabled else ((), self._processes(ask, None, wanted=processes))
        )
        if pcie:
            count = "nvmlDeviceGetPcieThroughput"
            self._pcie = ask.number(count, 1, factor=1000), ask.number(count, 0, factor=1000)
        return Reading(
            utilization=fraction(busy.gpu if busy else None),
            memory_bandwidth_utilization=fraction(busy.memory if busy else None),
            memory=ask.memory(),
            temperature_celsius=self._temperature(),
            power_watts=ask.number("nvmlDeviceGetPowerUsage", factor=1e-3),
            power_limit_watts=power_limit,
            energy_joules=ask.number("nvmlDeviceGetTotalEnergyConsumption", factor=1e-3),
            clock_graphics_hertz=ask.number("nvmlDeviceGetClockInfo", 0, factor=1e6),
            clock_sm_hertz=ask.number("nvmlDeviceGetClockInfo", 1, factor=1e6),
            clock_memory_hertz=ask.number("nvmlDeviceGetClockInfo", 2, factor=1e6),
            fan_utilization=fraction(ask.get("nvmlDeviceGetFanSpeed")),
            encoder_utilization=fraction((ask.get("nvmlDeviceGetEncoderUtilization") or [None])[0]),
            decoder_utilization=fraction((ask.get("nvmlDeviceGetDecoderUtilization") or [None])[0]),
            pcie_receive_bytes_per_second=self._pcie[0],
            pcie_transmit_bytes_per_second=self._pcie[1],
            ecc_corrected=ask.get("nvmlDeviceGetTotalEccErrors", 0, 0),
            ecc_uncorrected=ask.get("nvmlDeviceGetTotalEccErrors", 1, 0),
            throttle_reasons=throttle_reasons(ask.get("nvmlDeviceGetCurrentClocksThrottleReasons")),
            performance_state=performance_state(ask.get("nvmlDeviceGetPerformanceState")),
            mig_enabled=mig_enabled,
            mig=mig,
            processes=inside,
        )

    def _read_settings(self) -> tuple[float | None, bool | None]:
        """Return the limit of the draw and whether MIG is on."""
        mode = self._asked.get("nvmlDeviceGetMigMode")
        limit = self._asked.number("nvmlDeviceGetEnforcedPowerLimit", factor=1e-3)
        return limit, None if mode is None else mode[0] == 1

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
        busy = asked.use() if mig_uuid is None else None  # not known inside of MIG
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
