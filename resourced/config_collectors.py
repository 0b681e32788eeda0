"""What is read from the machine, how often, and how long it may take."""

from typing import Annotated

from pydantic import Field

from resourced.configkinds import Count, Duration, Section, Switch

Interval = Annotated[Duration, Field(ge=0.1, le=3600)]
Deadline = Annotated[Duration, Field(ge=0.01, le=60)]


class SamplingConfig(Section):
    """The tick: one sample, one judgement, one answer for everybody who asks."""

    interval: Annotated[Duration, Field(ge=0.1, le=60)] = 1.0
    """Time from one sample to the next."""
    deadline: Deadline | None = None
    """How long a collector may take. A later one is called stale and is not asked again until it has answered. By
    default 80% of the interval."""


class CollectorConfig(Section):
    """What can be said of every collector."""

    enabled: Switch = True
    """Whether this is read at all."""
    interval: Interval | None = None
    """Time from one reading to the next; in between the last one stands. By default sampling.interval."""
    deadline: Deadline | None = None
    """How long a reading may take. By default sampling.deadline."""


class NetworkConfig(CollectorConfig):
    """Interfaces and sockets."""

    ignore: tuple[str, ...] = ("veth*",)
    """Patterns of the interfaces that are left out."""


class FilesystemsConfig(CollectorConfig):
    """Mounted file systems."""

    interval: Interval | None = 10.0
    """Time from one reading to the next; in between the last one stands."""
    patience: Annotated[Duration, Field(ge=0.01, le=10)] = 0.5
    """How long a network file system may take before it is left out of a reading."""
    exclude_types: tuple[str, ...] = ()
    """Types of file system that are left out, beside those that hold no files of anybody."""


class SensorsConfig(CollectorConfig):
    """Temperatures, fans, batteries."""

    interval: Interval | None = 2.0
    """Time from one reading to the next; in between the last one stands."""
    ignore: tuple[str, ...] = ("drivetemp",)
    """Chips that are left out: asking a disk for its temperature may keep it from spinning down."""


class GpusConfig(CollectorConfig):
    """GPUs, by NVML."""

    retry: Annotated[Duration, Field(ge=1, le=86400)] = 30.0
    """After a driver that is missing or answers no more: time until it is tried again."""
    wake: Switch = False
    """Whether a GPU that sleeps is woken to be read."""
    processes: Switch = True
    """Whether the processes on each GPU are read."""


class CgroupsConfig(CollectorConfig):
    """Control groups, that is systemd's units and slices."""

    depth: Annotated[Count, Field(ge=1, le=32)] = 6
    """Levels below the root that are read."""
    limit: Annotated[Count, Field(ge=10, le=100_000)] = 1000
    """Most groups that are read; the others are counted only."""


class ProcessesConfig(CollectorConfig):
    """Processes."""

    descriptors: Annotated[Count, Field(ge=0, le=1_000_000)] = 2048
    """Most files of /proc that are kept open: reading them anew is a tenth of the cost of opening them."""
    details_per_tick: Annotated[Count, Field(ge=0, le=10_000)] = 50
    """Processes of which more is read in a sample (proportional memory, I/O): all of them in turn."""


class CollectorsConfig(Section):
    """One table for each collector."""

    cpu: CollectorConfig = CollectorConfig()
    """Processors: /proc/stat, /proc/loadavg."""
    memory: CollectorConfig = CollectorConfig()
    """Memory and swap: /proc/meminfo, /proc/vmstat."""
    pressure: CollectorConfig = CollectorConfig()
    """Pressure stall information: /proc/pressure."""
    network: NetworkConfig = NetworkConfig()
    """Interfaces and sockets: /proc/net."""
    disk: CollectorConfig = CollectorConfig()
    """Disks: /proc/diskstats."""
    filesystems: FilesystemsConfig = FilesystemsConfig()
    """Mounted file systems."""
    sensors: SensorsConfig = SensorsConfig()
    """Temperatures, fans, batteries: /sys/class/hwmon, /sys/class/power_supply."""
    gpus: GpusConfig = GpusConfig()
    """GPUs, by NVML."""
    cgroups: CgroupsConfig = CgroupsConfig()
    """Control groups: /sys/fs/cgroup."""
    processes: ProcessesConfig = ProcessesConfig()
    """Processes: /proc/PID."""
