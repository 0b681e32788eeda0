"""Processors: /proc/stat, /proc/loadavg, and below /sys/devices/system/cpu cpufreq and topology.

https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat
"""

import contextlib
import os
import re
from dataclasses import dataclass

from resourced.collectors.base import KeptFile, Roots, read_text
from resourced.collectors.rarely import Rarely
from resourced.errors import ParseError, Unavailable

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""Modes in the order of /proc/stat. What follows them there, guest time, is contained in user and nice already."""

Ticks = tuple[int, ...]
"""Clock ticks in each of MODES since boot."""

_FREQUENCY_SECONDS = 5.0  # each read costs some 10 us a core, and asks the hardware
_TOPOLOGY_SECONDS = 3600.0  # changes only when processors come or go, which is noticed anyway


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/stat holds. A counter that this kernel doesn't write is None."""

    total: Ticks
    """All processors together."""
    cores: dict[str, Ticks]
    """Keyed by logical number, in the file's order; only processors that are online."""
    context_switches: int | None
    interrupts: int | None
    forks: int | None
    boot_time: int | None
    """Seconds since the epoch."""
    tasks_running: int | None
    tasks_blocked: int | None


@dataclass(frozen=True, slots=True)
class CpuSample:
    """Processors at one moment."""

    stat: Stat
    ticks_per_second: int
    """Length of a tick in /proc/stat."""
    load: tuple[float, float, float]
    """Load averages over 1, 5 and 15 minutes."""
    frequencies_hertz: dict[str, float]
    """Keyed by logical number; processors that don't tell are not listed."""
    physical_count: int | None
    """Physical cores, of those that are online."""


def parse_stat(content: bytes, source: str) -> Stat:
    """Return what /proc/stat says.

    The line of interrupts has a number for each that the machine could have, thousands on a server: only its first
    word, the sum, is looked at.

    Raises:
        ParseError: A line has another form, or the sum over all processors is missing.
    """
    start = content.find(b"\nintr ")
    end = content.find(b"\n", start + 1) if start >= 0 else -1
    if start < 0:
        lines = content.split(b"\n")
    else:
        lines = content[:start].split(b"\n")
        lines.append(content[start + 1 : start + 40].split(b"\n", 1)[0])
        lines += content[end + 1 :].split(b"\n") if end >= 0 else []
    ticks: dict[bytes, Ticks] = {}
    plain: dict[bytes, int] = {}
    for line in lines:
        words = line.split(None, 9)
        if not words:
            continue
        try:
            if words[0].startswith(b"cpu"):
                ticks[words[0]] = _ticks(words)
            elif words[0] in _PLAIN:
                plain[words[0]] = int(words[1])
        except (ValueError, IndexError) as error:
            text = line.decode(errors="replace")
            raise ParseError(source, text, "a name and whole numbers, eight for a processor") from error
    total = ticks.pop(b"cpu", None)
    if total is None:
        raise ParseError(source, content[:120].decode(errors="replace"), "a line that begins with cpu")
    return Stat(
        total=total,
        cores={key[3:].decode(errors="replace"): value for key, value in ticks.items()},
        context_switches=plain.get(b"ctxt"),
        interrupts=plain.get(b"intr"),
        forks=plain.get(b"processes"),
        boot_time=plain.get(b"btime"),
        tasks_running=plain.get(b"procs_running"),
        tasks_blocked=plain.get(b"procs_blocked"),
    )


_PLAIN = frozenset((b"ctxt", b"intr", b"processes", b"btime", b"procs_running", b"procs_blocked"))


def _ticks(words: list[bytes]) -> Ticks:
    ticks = tuple(map(int, words[1:9]))
    if len(ticks) < len(MODES):
        raise IndexError
    return ticks


_LOADAVG = re.compile(rb"(\d{1,15}\.\d{1,15}) (\d{1,15}\.\d{1,15}) (\d{1,15}\.\d{1,15})\s")


def parse_loadavg(content: bytes, source: str) -> tuple[float, float, float]:
    """Return the load averages over 1, 5 and 15 minutes.

    Raises:
        ParseError: The file does not begin with three numbers.
    """
    found = _LOADAVG.match(content)
    if found is None:
        raise ParseError(source, content.decode(errors="replace"), "three load averages")
    one, five, fifteen = map(float, found.groups())
    return one, five, fifteen


class CpuCollector:
    """Reads the processors' counters.

    Args:
        roots: Where /proc and /sys are.
        ticks_per_second: Length of a tick in /proc/stat; by default this kernel's.
    """

    name = "cpu"

    def __init__(self, roots: Roots, ticks_per_second: int | None = None) -> None:
        self._stat = KeptFile(roots.proc / "stat", one_record=True)
        self._loadavg = KeptFile(roots.proc / "loadavg", one_record=True)
        self._sources = str(self._stat.path), str(self._loadavg.path)
        self._directory = roots.sys / "devices/system/cpu"
        self._ticks_per_second = ticks_per_second or os.sysconf("SC_CLK_TCK")
        self._online: tuple[str, ...] = ()
        self._clocks: dict[str, KeptFile] = {}
        self._frequencies = Rarely(self._read_frequencies, _FREQUENCY_SECONDS)
        self._physical = Rarely(self._count_physical, _TOPOLOGY_SECONDS)

    def collect(self) -> CpuSample:
        stat = parse_stat(self._stat.read(), self._sources[0])
        online = tuple(stat.cores)
        if online != self._online:
            self._adopt(online)
        return CpuSample(
            stat=stat,
            ticks_per_second=self._ticks_per_second,
            load=parse_loadavg(self._loadavg.read(), self._sources[1]),
            frequencies_hertz=self._frequencies.get(),
            physical_count=self._physical.get(),
        )

    def _adopt(self, online: tuple[str, ...]) -> None:
        """Look anew at which processors there are, what tells their frequency, and which of them share a core."""
        self._online = online
        for file in self._clocks.values():
            file.close()
        paths = {number: self._directory / f"cpu{number}/cpufreq/scaling_cur_freq" for number in online}
        self._clocks = {number: KeptFile(path, one_record=True) for number, path in paths.items() if path.exists()}
        self._frequencies.expire()
        self._physical.expire()

    def _read_frequencies(self) -> dict[str, float]:
        frequencies = {}
        for number, file in self._clocks.items():
            # Some drivers answer "<unknown>" while the processor sleeps.
            with contextlib.suppress(OSError, Unavailable, ValueError):
                frequencies[number] = int(file.read()) * 1000.0
        return frequencies

    def _count_physical(self) -> int | None:
        siblings = {
            read_text(self._directory / f"cpu{number}/topology/thread_siblings_list") for number in self._online
        }
        return None if None in siblings else len(siblings) or None

    def close(self) -> None:
        for file in (self._stat, self._loadavg, *self._clocks.values()):
            file.close()
