"""Block devices: /proc/diskstats, and /sys/block to tell whole devices from partitions.

https://docs.kernel.org/admin-guide/iostats.html
"""

from dataclasses import dataclass

from resourced.collectors.base import KeptFile, Roots, read_int
from resourced.collectors.rarely import Rarely
from resourced.errors import ParseError

_SECTOR_BYTES = 512  # the unit of /proc/diskstats, whatever the device's own sectors are
_LEFT_OUT = ("loop", "ram")
_DEVICES_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DeviceSample:
    """Counters of one block device since it appeared; times in seconds, of which the kernel counts milliseconds."""

    read_operations: int
    read_bytes: int
    read_seconds: float
    write_operations: int
    write_bytes: int
    write_seconds: float
    in_flight: int
    busy_seconds: float
    queue_seconds: float
    discard_bytes: int | None
    """None before Linux 4.18."""


@dataclass(frozen=True, slots=True)
class DiskSample:
    """All whole block devices at one moment."""

    devices: dict[str, DeviceSample]
    """Keyed by the kernel's name, sorted."""


def split_diskstats(content: bytes) -> dict[bytes, bytes]:
    """Return the lines of /proc/diskstats keyed by device name; a line without a name is kept under its own text."""
    lines = {}
    for line in content.split(b"\n"):
        words = line.split(None, 3)
        if words:
            lines[words[2] if len(words) > 3 else line] = line
    return lines


def parse_device(line: bytes, source: str) -> DeviceSample:
    """Return the counters in one line of /proc/diskstats.

    Raises:
        ParseError: It is not major, minor and name, followed by eleven whole numbers or more.
    """
    try:
        reads, _, read_sectors, read_ms, writes, _, write_sectors, write_ms, in_flight, busy_ms, queue_ms, *more = map(
            int, line.split()[3:]
        )
    except ValueError as error:
        wanted = "major, minor, name and eleven whole numbers or more"
        raise ParseError(source, line.decode(errors="replace"), wanted) from error
    return DeviceSample(
        read_operations=reads,
        read_bytes=read_sectors * _SECTOR_BYTES,
        read_seconds=read_ms / 1000,
        write_operations=writes,
        write_bytes=write_sectors * _SECTOR_BYTES,
        write_seconds=write_ms / 1000,
        in_flight=in_flight,
        busy_seconds=busy_ms / 1000,
        queue_seconds=queue_ms / 1000,
        discard_bytes=more[2] * _SECTOR_BYTES if len(more) > 2 else None,
    )


class DiskCollector:
    """Reads the counters of whole block devices: no partitions, loop or ram devices, and none without a medium.

    Args:
        roots: Where /proc and /sys are.
    """

    name = "disk"

    def __init__(self, roots: Roots) -> None:
        self._file = KeptFile(roots.proc / "diskstats")
        self._source = str(self._file.path)
        self._blocks = roots.sys / "block"
        self._names: list[bytes] = []
        self._wanted = Rarely(self._find_whole, _DEVICES_SECONDS)

    def collect(self) -> DiskSample:
        lines = split_diskstats(self._file.read())
        names = list(lines)
        if names != self._names:
            self._names = names
            self._wanted.expire()
        return DiskSample({name: parse_device(lines[key], self._source) for name, key in self._wanted.get()})

    def _find_whole(self) -> list[tuple[str, bytes]]:
        """Return the devices that are wanted, sorted, with their keys. Partitions have no entry in /sys/block."""
        wanted = []
        for key in self._names:
            name = key.decode(errors="replace")
            # A slash in a device's name (cciss/c0d0) is an exclamation mark in sysfs.
            if not name.startswith(_LEFT_OUT) and read_int(self._blocks / name.replace("/", "!") / "size"):
                wanted.append((name, key))
        return sorted(wanted)

    def close(self) -> None:
        self._file.close()
