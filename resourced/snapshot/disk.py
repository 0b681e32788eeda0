"""Block devices and file systems: what a snapshot says of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """One whole block device (no partitions, no loop or ram devices), from /proc/diskstats."""

    read_bytes: int
    """Bytes read since boot."""
    write_bytes: int
    """Bytes written since boot."""
    discard_bytes: int | None
    """Bytes discarded since boot; null before Linux 4.18."""
    read_operations: int
    """Reads completed since boot."""
    write_operations: int
    """Writes completed since boot."""
    read_seconds: float
    """Seconds spent by all reads since boot."""
    write_seconds: float
    """Seconds spent by all writes since boot."""
    busy_seconds: float
    """Seconds since boot in which at least one operation was under way."""
    queue_seconds: float
    """Seconds waited by all operations since boot: its rate is the mean queue length."""
    in_flight: int
    """Operations under way now."""
    read_bytes_per_second: float | None
    """Bytes a second read over the last interval."""
    write_bytes_per_second: float | None
    """Bytes a second written over the last interval."""
    read_operations_per_second: float | None
    """Reads a second."""
    write_operations_per_second: float | None
    """Writes a second."""
    utilization: float | None
    """Share of the last interval in which at least one operation was under way, 0-1."""
    queue_length: float | None
    """Mean number of operations under way or waiting over the last interval."""


@dataclass(frozen=True, slots=True)
class Disk:
    """All block devices."""

    devices: dict[str, Device]
    """Keyed by kernel name (sda, nvme0n1, dm-0), sorted."""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """One mounted file system, from /proc/self/mountinfo and statvfs(2)."""

    device: str
    """What is mounted: a device, a dataset, a remote path."""
    type: str
    """File system type: ext4, xfs, nfs4, …"""
    read_only: bool
    """Whether it is mounted read-only."""
    total_bytes: int | None
    """Size; null while it does not answer."""
    used_bytes: int | None
    """Used by files and metadata."""
    free_bytes: int | None
    """Free, with what is reserved for root."""
    available_bytes: int | None
    """Free for users who are not root."""
    utilization: float | None
    """used / (used + available), as df(1) shows it, 0-1."""
    inodes_total: int | None
    """Inodes; null where the type has no fixed number."""
    inodes_free: int | None
    """Free inodes."""
    inodes_utilization: float | None
    """Share of inodes used, 0-1."""
    reason: str | None
    """Why the values are null: the file system does not answer, or may not be asked."""


@dataclass(frozen=True, slots=True)
class Filesystems:
    """All mounted file systems that hold data."""

    mounts: dict[str, Filesystem]
    """Keyed by mount point, sorted; of several mounts of one device the shortest path is kept."""
