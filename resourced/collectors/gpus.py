"""GPUs by NVML, without waking one that sleeps, and through a driver that is reloaded.

https://docs.kernel.org/power/runtime_pm.html, /sys/bus/pci/devices/ADDRESS/power/runtime_status
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from resourced.collectors.base import Roots, read_text
from resourced.collectors.nvml import Device, DeviceFaultError, Facts, LibraryFaultError, Nvml, Reading, library_loads
from resourced.errors import GpuError, Unavailable

_LOOK_SECONDS = 300.0  # between two searches for a library that nothing in /proc, /sys or /dev speaks of
_FIRST_PAUSE_SECONDS = 1.0
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

    def collect(self) -> GpusSample:
        asleep = set() if self._wake else self._asleep()
        if asleep and asleep >= self._addresses():
            return self._all_asleep()
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
            raise self._fault
        self._look(now)
        self.close()
        try:
            self._nvml = Nvml()
            self._devices = self._nvml.devices()
        except LibraryFaultError as fault:
            self.close()
            raise self._failed(fault) from fault
        self._fault = None
        self._version = self._nvml.driver_version
        found = {device.facts.uuid: device.facts for device in self._devices}
        gone = {uuid: facts for uuid, facts in self._known.items() if uuid not in found and self._plugged(facts)}
        self._lost = {uuid: self._lost.get(uuid, "NVML does not list it any more") for uuid in gone}
        self._known = dict(sorted((gone | found).items(), key=lambda item: item[1].index))
        if self._lost:
            self._wait()
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

    def _failed(self, fault: LibraryFaultError) -> GpuError | Unavailable:
        """Return what to raise now and until the next attempt."""
        self._wait()
        self._fault = Unavailable(str(fault)) if fault.missing and not self._known else GpuError(str(fault))
        return self._fault

    def _wait(self) -> None:
        self._pause = min(max(_FIRST_PAUSE_SECONDS, 2 * self._pause), self._retry_seconds)
        self._due = self._monotonic() + self._pause

    def _read(self, asleep: set[str]) -> dict[str, GpuSample]:
        read: dict[str, GpuSample] = {}
        self._turn += 1
        host = self._sees_the_host()
        for position, device in enumerate(self._devices):
            facts = device.facts
            if facts.pci_address in asleep:
                read[facts.uuid] = _sleeping(facts)
            elif facts.uuid not in self._lost:
                measured = self._turn % len(self._devices) == position % len(self._devices)
                try:
                    reading = device.read(pcie=measured, processes=self._read_processes)
                except DeviceFaultError as fault:
                    self._lost[facts.uuid] = str(fault)
                    self._wait()
                else:
                    alive = {each.pid: self._alive(each.pid) if host else None for each in reading.processes or ()}
                    read[facts.uuid] = GpuSample(facts, "active", None, reading, alive)
        for uuid, reason in self._lost.items():
            read[uuid] = GpuSample(self._known[uuid], "lost", reason, None, {})
        return {uuid: read[uuid] for uuid in self._known}

    def _all_asleep(self) -> GpusSample:
        self.close()  # an open NVML wakes the device again and again
        self._fault = None
        if not self._known:
            raise Unavailable("every NVIDIA GPU is asleep, and none is woken to be asked for its name")
        return GpusSample(self._version, {uuid: _sleeping(facts) for uuid, facts in self._known.items()})

    def _addresses(self) -> set[str]:
        """Return the PCI addresses of the NVIDIA GPUs: of those that NVML showed, else of those that the driver has."""
        known = {facts.pci_address for facts in self._known.values() if facts.pci_address}
        if known:
            return known
        with suppress(OSError):
            bound = (path.name for path in (self._roots.sys / "bus/pci/drivers/nvidia").iterdir())
            return {name for name in bound if name.count(":") == 2}
        return set()

    def _asleep(self) -> set[str]:
        devices = self._roots.sys / "bus/pci/devices"
        return {a for a in self._addresses() if read_text(devices / a / "power/runtime_status") == "suspended"}

    def _plugged(self, facts: Facts) -> bool:
        return bool(facts.pci_address) and (self._roots.sys / "bus/pci/devices" / str(facts.pci_address)).exists()

    def _sees_the_host(self) -> bool:
        """Return whether /proc shows all processes of the host, whose pids NVML gives: no container, no hidepid."""
        try:
            namespace = str((self._roots.proc / "self/ns/pid").readlink())
        except OSError:
            namespace = _HOST_PID_NAMESPACE
        return namespace == _HOST_PID_NAMESPACE and self._alive(1)

    def _alive(self, pid: int) -> bool:
        return (self._roots.proc / str(pid)).exists()


def _sleeping(facts: Facts) -> GpuSample:
    return GpuSample(facts, "asleep", "suspended by the kernel's power management; not woken to be read", None, {})
