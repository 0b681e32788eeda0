"""Block devices: what a snapshot says of them."""

from dataclasses import dataclass

from resourced.collectors.base import Taken
from resourced.collectors.disk import DeviceSample, DiskSample
from resourced.quantities import rate, share


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


def derive_disk(before: Taken[DiskSample] | None, now: Taken[DiskSample], previous: Disk | None) -> Disk:
    """Return the disk section; a device that is new, or whose counters were reset, has no rates this time."""
    del previous
    elapsed_s = now.seconds_since(before)
    old = before.sample.devices if before else {}
    return Disk({name: _device(old.get(name), new, elapsed_s) for name, new in now.sample.devices.items()})


def _device(before: DeviceSample | None, now: DeviceSample, elapsed_s: float) -> Device:
    busy = rate(before.busy_seconds if before else None, now.busy_seconds, elapsed_s)
    reads, writes = before.read_operations if before else None, before.write_operations if before else None
    return Device(
        read_bytes=now.read_bytes,
        write_bytes=now.write_bytes,
        discard_bytes=now.discard_bytes,
        read_operations=now.read_operations,
        write_operations=now.write_operations,
        read_seconds=now.read_seconds,
        write_seconds=now.write_seconds,
        busy_seconds=now.busy_seconds,
        queue_seconds=now.queue_seconds,
        in_flight=now.in_flight,
        read_bytes_per_second=rate(before.read_bytes if before else None, now.read_bytes, elapsed_s),
        write_bytes_per_second=rate(before.write_bytes if before else None, now.write_bytes, elapsed_s),
        read_operations_per_second=rate(reads, now.read_operations, elapsed_s),
        write_operations_per_second=rate(writes, now.write_operations, elapsed_s),
        utilization=share(busy, 1.0),
        queue_length=rate(before.queue_seconds if before else None, now.queue_seconds, elapsed_s),
    )
