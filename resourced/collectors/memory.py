"""Memory and swap: /proc/meminfo, /proc/vmstat, zram devices and the ARC of ZFS.

https://docs.kernel.org/filesystems/proc.html#meminfo, https://docs.kernel.org/admin-guide/blockdev/zram.html
"""

import os
from dataclasses import dataclass

from resourced.collectors.base import KeptFile, Roots
from resourced.collectors.rarely import Rarely
from resourced.errors import ParseError, Unavailable

COUNTERS = ("pgfault", "pgmajfault", "pswpin", "pswpout", "oom_kill")
"""Counters of /proc/vmstat that are kept, beside those of reclaim."""

SCANNED = ("pgscan_kswapd", "pgscan_direct", "pgscan_khugepaged", "pgscan_proactive")
"""Counters of /proc/vmstat whose sum is what reclaim scanned, each page once (pgscan_anon and _file count it again)."""

_KEPT = frozenset(name.encode() for name in (*COUNTERS, *SCANNED))
_UNITS = {(): 1, (b"kB",): 1024}
_DEVICES_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ZramSample:
    """One zram device."""

    original_bytes: int
    compressed_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class ArcSample:
    """The ARC: its size, and the size below which it doesn't shrink."""

    size_bytes: int
    minimum_bytes: int


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Memory at one moment, as the kernel tells it: impossible values are not mended."""

    meminfo: dict[str, int]
    """Keyed by the kernel's name; bytes, but for the HugePages_ ones, which are pages."""
    vmstat: dict[str, int]
    """COUNTERS and SCANNED since boot, pages or events; those that this kernel doesn't have are not listed."""
    page_size_bytes: int
    zram: tuple[ZramSample, ...]
    arc: ArcSample | None


def parse_meminfo(content: bytes, source: str) -> dict[str, int]:
    """Return /proc/meminfo keyed by the kernel's name: bytes where the file says kB, else plain numbers.

    Raises:
        ParseError: A line is not a name and a number, or MemTotal is missing.
    """
    values: dict[str, int] = {}
    for line in content.splitlines():
        name, _, rest = line.partition(b":")
        words = rest.split()
        try:
            values[name.decode()] = int(words[0]) * _UNITS[*words[1:]]
        except (ValueError, KeyError, IndexError) as error:
            raise ParseError(source, line.decode(errors="replace"), "a name, a number and perhaps kB") from error
    if "MemTotal" not in values:
        raise ParseError(source, content[:120].decode(errors="replace"), "a line that begins with MemTotal")
    return values


def parse_vmstat(content: bytes, source: str) -> dict[str, int]:
    """Return the counters of /proc/vmstat that are kept.

    Raises:
        ParseError: One of them is not a whole number.
    """
    words = content.split()
    values: dict[str, int] = {}
    for name, value in zip(words[::2], words[1::2], strict=False):
        if name in _KEPT:
            try:
                values[name.decode()] = int(value)
            except ValueError as error:
                line = b"%b %b" % (name, value)
                raise ParseError(source, line.decode(errors="replace"), "a whole number") from error
    return values


def parse_mm_stat(content: bytes, source: str) -> ZramSample:
    """Return what mm_stat of a zram device says: its first three numbers.

    Raises:
        ParseError: It does not begin with three whole numbers.
    """
    try:
        original, compressed, used = map(int, content.split(None, 3)[:3])
    except ValueError as error:
        raise ParseError(source, content.decode(errors="replace"), "three whole numbers") from error
    return ZramSample(original, compressed, used)


def parse_arcstats(content: bytes, source: str) -> ArcSample:
    """Return what the kstat of the ARC says: lines of name, type and value.

    Raises:
        ParseError: size or c_min is missing or not a whole number.
    """
    values = {words[0]: words[2] for line in content.splitlines() if len(words := line.split()) == 3}
    try:
        return ArcSample(int(values[b"size"]), int(values[b"c_min"]))
    except (KeyError, ValueError) as error:
        raise ParseError(source, content[:120].decode(errors="replace"), "size and c_min, whole numbers") from error


class MemoryCollector:
    """Reads memory and swap.

    Args:
        roots: Where /proc and /sys are.
        page_size_bytes: Size of a page in /proc/vmstat; by default this kernel's.
    """

    name = "memory"

    def __init__(self, roots: Roots, page_size_bytes: int | None = None) -> None:
        self._meminfo = KeptFile(roots.proc / "meminfo", one_record=True)
        self._vmstat = KeptFile(roots.proc / "vmstat")
        self._sources = str(self._meminfo.path), str(self._vmstat.path)
        self._arc_path = roots.proc / "spl/kstat/zfs/arcstats"
        self._blocks = roots.sys / "block"
        self._page_size_bytes = page_size_bytes or os.sysconf("SC_PAGE_SIZE")
        self._files: tuple[KeptFile, ...] = ()
        self._devices = Rarely(self._find_devices, _DEVICES_SECONDS)

    def collect(self) -> MemorySample:
        zrams, arc = self._devices.get()
        return MemorySample(
            meminfo=parse_meminfo(self._meminfo.read(), self._sources[0]),
            vmstat=parse_vmstat(self._vmstat.read(), self._sources[1]),
            page_size_bytes=self._page_size_bytes,
            zram=tuple(
                parse_mm_stat(content, str(file.path))
                for file in zrams
                if (content := _read_if_there(file)) is not None
            ),
            arc=parse_arcstats(content, str(arc.path)) if arc and (content := _read_if_there(arc)) else None,
        )

    def _find_devices(self) -> tuple[list[KeptFile], KeptFile | None]:
        """Return the zram devices, and the ARC if ZFS is loaded."""
        for file in self._files:
            file.close()
        try:
            found = [path for path in sorted(self._blocks.iterdir()) if path.name[:4] == "zram"]
            zrams = [KeptFile(path / "mm_stat", one_record=True) for path in found]
        except OSError:
            zrams = []
        arc = KeptFile(self._arc_path) if self._arc_path.exists() else None
        self._files = (*zrams, *([arc] if arc else []))
        return zrams, arc

    def close(self) -> None:
        for file in (self._meminfo, self._vmstat, *self._files):
            file.close()


def _read_if_there(file: KeptFile) -> bytes | None:
    """Return the content, or None if the device was removed since it was found."""
    try:
        return file.read()
    except (OSError, Unavailable):
        return None
