"""GPUs by NVML, without waking one that sleeps, and through a driver that is reloaded.

A GPU that can be suspended stays awake as long as NVML is in use. Where all can (laptops; a server's are kept on),
NVML is shut down when there was no work for a while, and looked at again now and then as long as they stay awake.

https://docs.kernel.org/power/runtime_pm.html, /sys/bus/pci/devices/ADDRESS/power/runtime_status
https://download.nvidia.com/XFree86/Linux-x86_64/570.86.16/README/dynamicpowermanagement.html
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from resourced.collectors.base import Roots, read_text
from resourced.collectors.gpureading import Facts, ProcessSample, Reading
from resourced.collectors.nvml import Device, DeviceFaultError, LibraryFaultError, Nvml, library_loads
from resourced.collectors.rarely import Rarely
from resourced.errors import GpuError, Unavailable

_LOOK_SECONDS = 300.0  # between two searches for a library that nothing in /proc, /sys or /dev speaks of
_FIRST_PAUSE_SECONDS = 1.0
_LOST_PAUSE_SECONDS = 600.0  # looking for a lost GPU initialises NVML anew for the others too
_BOUND_SECONDS = 10.0  # between two looks at which devices the driver has
_IDLE_SECONDS = 10.0  # without work for so long, a GPU that can sleep is let go
_REST_SECONDS = 20.0  # then it is left alone; the driver suspends it some six seconds after the last user has left
_ASLEEP = ("suspended", "suspending")
_RTD3 = re.compile(r"^Runtime D3 status:\s*(Disabled|Not supported)", re.MULTILINE)
_HOST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU."""

    facts: Facts
    state: str
    reason: str | None
    reading: Reading | None
    """None unless the state is active."""
    alive: dict[int, bool | None]
    """Whether each process that it names exists."""


@dataclass(frozen=True, slots=True)
class GpusSample:
    """All GPUs at one moment."""

    driver_version: str | None
    devices: dict[str, GpuSample]
    """Keyed by UUID, in NVML's order."""


class GpusCollector:
    """Reads the GPUs.

    Args:
        roots: Where /proc and /sys are.
        retry_seconds: Longest pause until a driver that answers no more, or a GPU that is lost, is tried again; the
            first pause is a second, each further one twice as long.
        wake: Whether a GPU that sleeps is woken to be read.
        read_processes: Whether the processes on each GPU are read.
        control: The driver's control device.
        monotonic: Tells the time in seconds.
    """

    name = "gpus"

    def __init__(
        self,
        roots: Roots,
        *,
        retry_seconds: float = 30.0,
        wake: bool = False,
        read_processes: bool = True,
        control: Path = Path("/dev/nvidiactl"),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._roots = roots
        self._retry_seconds = retry_seconds
        self._wake = wake
        self._read_processes = read_processes
        self._driver = roots.sys / "bus/pci/drivers/nvidia"
        self._signs = (roots.proc / "driver/nvidia", roots.sys / "module/nvidia", control)
        self._monotonic = monotonic
        self._nvml: Nvml | None = None
        self._devices: tuple[Device, ...] = ()
        self._known: dict[str, Facts] = {}
        self._lost: dict[str, str] = {}
        self._version: str | None = None
        self._due, self._pause = 0.0, 0.0
        self._fault: GpuError | Unavailable | None = None
        self._library: tuple[bool, float, bool] | None = None
        self._turn = 0
        self._missing: set[int] = set()
        self._idle_since: float | None = None
        self._rest_until = 0.0
        self._bound = Rarely(self._read_bound, _BOUND_SECONDS, monotonic)
        self._bound_at_open: set[str] = set()

    def collect(self) -> GpusSample:
        if self._nvml is not None and self._bound.get() != self._bound_at_open:
            self.close()  # it knows no others than when it was opened
        asleep = set() if self._wake else self._asleep()
        if asleep and asleep >= self._addresses():
            return self._all_asleep()
        if self._nvml is None and self._monotonic() < self._rest_until:
            return self._at_rest(asleep)
        for again in (True, False):
            self._open()
            try:
                sample = GpusSample(self._version, self._read(asleep))
            except LibraryFaultError as fault:
                self.close()
                if not again:
                    raise self._failed(fault) from fault
            else:
                if not self._lost:
                    self._pause = 0.0
                self._rest_if_idle(sample)
                return sample
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def close(self) -> None:
        if self._nvml is not None:
            self._nvml.close()
        self._nvml, self._devices = None, ()

    def _open(self) -> None:
        """Initialise NVML, unless it is; after a fault, and as long as a GPU is lost, with growing pauses."""
        now = self._monotonic()
        if self._nvml is not None and not (self._lost and now >= self._due):
            return
        if self._fault is not None and now < self._due:
            raise self._fault.with_traceback(None)
        self._look(now)
        self.close()
        self._bound.expire()
        self._bound_at_open = self._bound.get()
        try:
            self._nvml = Nvml()
            self._devices = self._nvml.devices()
        except GpuError as fault:
            self.close()
            raise self._failed(fault) from fault
        self._fault = None
        self._version = self._nvml.driver_version
        found = {device.facts.uuid: device.facts for device in self._devices}
        gone = {uuid: facts for uuid, facts in self._known.items() if uuid not in found and self._plugged(facts)}
        self._lost = {uuid: self._lost.get(uuid, "NVML does not list it any more") for uuid in gone}
        self._known = dict(sorted((gone | found).items(), key=lambda item: item[1].index))
        if self._lost:
            self._wait(_LOST_PAUSE_SECONDS)
        if not self._known:
            self.close()
            self._fault, self._due = Unavailable("NVML knows no GPU"), now + self._retry_seconds
            raise self._fault

    def _look(self, now: float) -> None:
        """Find out at next to no cost whether there is a driver.

        Raises:
            Unavailable: There is none.
        """
        signs = any(path.exists() for path in self._signs)
        if self._library is None or now >= self._library[1] or signs != self._library[2]:
            self._library = library_loads(), now + _LOOK_SECONDS, signs
        if not self._library[0]:
            driver = "is loaded" if signs else "is not loaded either"
            raise Unavailable(f"NVML's library libnvidia-ml.so.1 can't be loaded; the NVIDIA driver {driver}")

    def _failed(self, fault: GpuError) -> GpuError | Unavailable:
        """Return what to raise now and until the next attempt."""
        self._wait(self._retry_seconds)
        missing = isinstance(fault, LibraryFaultError) and fault.missing and not self._known
        self._fault = Unavailable(str(fault)) if missing else GpuError(str(fault))
        return self._fault

    def _wait(self, longest_seconds: float) -> None:
        self._pause = min(max(_FIRST_PAUSE_SECONDS, 2 * self._pause), longest_seconds)
        self._due = self._monotonic() + self._pause

    def _read(self, asleep: set[str]) -> dict[str, GpuSample]:
        read: dict[str, GpuSample] = {}
        self._turn += 1
        for position, device in enumerate(self._devices):
            facts = device.facts
            if facts.pci_address in asleep:
                read[facts.uuid] = _sleeping(facts)
            elif facts.uuid not in self._lost:
                measured = self._turn % len(self._devices) == position
                try:
                    reading = device.read(pcie=measured, processes=self._read_processes)
                except DeviceFaultError as fault:
                    self._lost[facts.uuid] = str(fault)
                    self._wait(_LOST_PAUSE_SECONDS)
                else:
                    read[facts.uuid] = GpuSample(facts, "active", None, reading, {})
        for uuid, reason in self._lost.items():
            read[uuid] = GpuSample(self._known[uuid], "lost", reason, None, {})
        alive = self._alive({each.pid for sample in read.values() for each in _processes(sample)})
        return {
            uuid: replace(sample, alive={each.pid: alive[each.pid] for each in _processes(sample)})
            for uuid, sample in ((uuid, read[uuid]) for uuid in self._known)
        }

    def _all_asleep(self) -> GpusSample:
        self.close()  # an open NVML wakes the device again and again
        self._fault = self._idle_since = None
        self._rest_until = 0.0
        if not self._known:
            raise Unavailable("every NVIDIA GPU is asleep, and none is woken to be asked for its name")
        return GpusSample(self._version, {uuid: _sleeping(facts) for uuid, facts in self._known.items()})

    def _addresses(self) -> set[str]:
        """Return the PCI addresses of the NVIDIA GPUs: of those that NVML showed, and those that the driver got since.

        Before NVML showed any, of all that the driver has; a container may not be given them all.
        """
        known = {facts.pci_address for facts in self._known.values() if facts.pci_address}
        return known | (self._bound.get() - self._bound_at_open) if known else self._read_bound()

    def _read_bound(self) -> set[str]:
        """Return the PCI addresses of the devices that the driver has."""
        try:
            return {name for name in os.listdir(self._driver) if name.count(":") == 2}  # noqa: PTH208 - names only
        except OSError:
            return set()

    def _asleep(self) -> set[str]:
        devices = self._roots.sys / "bus/pci/devices"
        return {a for a in self._addresses() if read_text(devices / a / "power/runtime_status") in _ASLEEP}

    def _plugged(self, facts: Facts) -> bool:
        """Return whether a GPU that NVML doesn't list is there, and not given to another driver (vfio-pci)."""
        if not facts.pci_address or not (self._roots.sys / "bus/pci/devices" / facts.pci_address).exists():
            return False
        return facts.pci_address in self._bound_at_open or not self._driver.exists()

    def _rest_if_idle(self, sample: GpusSample) -> None:
        """Let the GPUs go if none has had work for a while and all of them would then go to sleep."""
        now = self._monotonic()
        if self._wake or not all(self._may_sleep(gpu.facts) and _is_idle(gpu) for gpu in sample.devices.values()):
            self._idle_since = None
            return
        if self._idle_since is None:
            self._idle_since = now
        if now - self._idle_since >= _IDLE_SECONDS:
            self.close()
            self._rest_until = now + _REST_SECONDS

    def _at_rest(self, asleep: set[str]) -> GpusSample:
        reason = "without work; left alone so that it can go to sleep"
        rest = {uuid: GpuSample(facts, "idle", reason, None, {}) for uuid, facts in self._known.items()}
        slept = {u: _sleeping(facts) for u, facts in self._known.items() if facts.pci_address in asleep}
        return GpusSample(self._version, rest | slept)

    def _may_sleep(self, facts: Facts) -> bool:
        """Return whether the kernel suspends the GPU when nobody uses it."""
        address = str(facts.pci_address)
        if read_text(self._roots.sys / "bus/pci/devices" / address / "power/control") != "auto":
            return False
        return not _RTD3.search(read_text(self._roots.proc / "driver/nvidia/gpus" / address / "power") or "")

    def _alive(self, pids: set[int]) -> dict[int, bool | None]:
        """Return whether each process exists; None where that can't be told.

        One that has just ended may still be in a list that was made before, so only one that is missing for the second
        time is taken for gone.
        """
        if not pids or not self._sees_the_host():
            self._missing = set()
            return dict.fromkeys(pids)
        missing = {pid for pid in pids if not self._exists(pid)}
        gone, self._missing = missing & self._missing, missing
        return {pid: pid not in missing or (False if pid in gone else None) for pid in pids}

    def _sees_the_host(self) -> bool:
        """Return whether /proc shows all processes of the host, whose pids NVML gives: no container, no hidepid."""
        try:
            namespace = str((self._roots.proc / "self/ns/pid").readlink())
        except OSError:
            namespace = _HOST_PID_NAMESPACE
        return namespace == _HOST_PID_NAMESPACE and self._exists(1)

    def _exists(self, pid: int) -> bool:
        return (self._roots.proc / str(pid)).exists()


def _processes(sample: GpuSample) -> tuple[ProcessSample, ...]:
    return (sample.reading.processes if sample.reading else None) or ()


def _is_idle(gpu: GpuSample) -> bool:
    """Return whether a GPU does nothing and nobody computes on it; a desktop's context doesn't hinder its sleep."""
    if gpu.state != "active" or gpu.reading is None:
        return gpu.state == "asleep"
    return gpu.reading.utilization == 0 and not any("compute" in each.kind for each in _processes(gpu))


def _sleeping(facts: Facts) -> GpuSample:
    return GpuSample(facts, "asleep", "suspended by the kernel's power management; not woken to be read", None, {})
