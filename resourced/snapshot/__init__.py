"""A snapshot: everything that is known of the machine at one moment, as immutable values.

Each section is made from two raw samples by a pure `derive_…` function in the module of its name; nothing else
subtracts counters. Sections are replaced whole and never changed, so a snapshot may be read from any thread.
"""

from dataclasses import dataclass, field

from resourced.snapshot.cgroups import Cgroups
from resourced.snapshot.cpu import Cpu
from resourced.snapshot.disk import Disk
from resourced.snapshot.filesystems import Filesystems
from resourced.snapshot.gpus import Gpus
from resourced.snapshot.memory import Memory
from resourced.snapshot.network import Network
from resourced.snapshot.pressure import Pressure
from resourced.snapshot.processes import Processes
from resourced.snapshot.sensors import Sensors


@dataclass(frozen=True, slots=True)
class Health:
    """How a section of the snapshot came about."""

    status: str
    """ok, stale (the value is an old one or missing, see reason), absent (the host has none) or off."""
    reason: str | None = None
    """Why it is stale, absent or off."""
    time: float | None = None
    """Wall time at which the value was read."""
    age_seconds: float | None = None
    """Age of the value when the snapshot was made."""
    duration_seconds: float | None = None
    """How long the last complete reading took."""
    failures: int = 0
    """Readings that failed or overran since the last good one."""
    retry_in_seconds: float | None = None
    """When it is tried again, if it is backing off."""

    @property
    def usable(self) -> bool:
        """Whether the value belongs to this snapshot; decisions are based on nothing else."""
        return self.status == "ok"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One sample of the whole machine. A section is null until its collector has answered once."""

    sequence: int
    """Number of the sample since the daemon started, from 1."""
    time: float
    """Wall time, seconds since the epoch."""
    monotonic_seconds: float
    """The same moment on CLOCK_MONOTONIC."""
    interval_seconds: float | None
    """Seconds since the sample before; null for the first."""
    boot_id: str | None
    """Identity of this boot."""
    cpu: Cpu | None = None
    """Processors."""
    memory: Memory | None = None
    """Memory and swap."""
    pressure: Pressure | None = None
    """Pressure stall information."""
    network: Network | None = None
    """Network interfaces and sockets."""
    disk: Disk | None = None
    """Block devices."""
    filesystems: Filesystems | None = None
    """Mounted file systems."""
    sensors: Sensors | None = None
    """Temperatures, fans, battery."""
    gpus: Gpus | None = None
    """GPUs."""
    cgroups: Cgroups | None = None
    """Control groups."""
    processes: Processes | None = None
    """Processes."""
    collectors: dict[str, Health] = field(default_factory=dict)
    """How each section came about, keyed by the section's name."""

    def usable(self, section: str) -> bool:
        """Return whether the section was read for this very snapshot."""
        health = self.collectors.get(section)
        return health is not None and health.usable

    def awaits(self, section: str) -> bool:
        """Return whether the section is still to be read for the first time: its collector is late at the start."""
        health = self.collectors.get(section)
        return getattr(self, section) is None and health is not None and health.status == "stale"


SECTIONS: tuple[str, ...] = (
    "cpu",
    "memory",
    "pressure",
    "network",
    "disk",
    "filesystems",
    "sensors",
    "gpus",
    "cgroups",
    "processes",
)
"""Names of the sections of a snapshot, each the name of its collector too."""
