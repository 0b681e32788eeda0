"""Processes, from /proc/PID: every one at every sample, through descriptors that are kept open."""

import contextlib
import os
import resource
from dataclasses import dataclass, replace

from resourced.clock import Clock, SystemClock
from resourced.collectors.base import Roots
from resourced.collectors.procstat import (
    Details,
    Stat,
    parse_cgroup,
    parse_io,
    parse_number,
    parse_stat,
    parse_status,
)

_READ_SIZE = 4096
_IDLE_SECONDS = 30.0
"""A process whose stat hasn't changed for so long is idle."""
_IDLE_EVERY = 4
"""An idle process is read at every fourth sample: what it begins to do is seen at most three samples late."""
_LARGE_BYTES = 64 * 1024**2
"""A process that holds more memory is read at every sample, idle or not."""
_KERNEL_EVERY = 32
"""A pid that was a kernel thread's is looked at again at every 32nd sample, since pids are reused."""
_IDLE_SHARE = 10
"""One tenth of the readings of details goes to processes that did nothing, in turn."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was read of one process. While nothing changes, successive samples hold the very same object."""

    stat: Stat
    """/proc/PID/stat."""
    details: Details
    """The other files; read less often."""
    read_seconds: float
    """CLOCK_MONOTONIC when stat was read."""
    before_seconds: float | None
    """The same for the reading before; null if this is the first of this process."""


@dataclass(frozen=True, slots=True)
class ProcessesSample:
    """All processes."""

    records: tuple[Record, ...]
    """Those that are no kernel threads, in the order of /proc."""
    kernel_threads: int
    """Kernel threads."""
    unreadable: int
    """Processes that are listed and may not be read."""
    page_size_bytes: int
    """Unit of resident_pages."""
    ticks_per_second: int
    """Unit of cpu_ticks."""


class _Entry:
    """One process from sample to sample."""

    __slots__ = ("changed_seconds", "checked_seconds", "descriptor", "large", "number", "raw", "record")

    def __init__(self, number: int, descriptor: int) -> None:
        self.number = number
        self.descriptor = descriptor
        self.raw = b""
        self.record: Record | None = None
        self.changed_seconds = 0.0
        self.checked_seconds: float | None = None
        self.large = False


class ProcessesCollector:
    """Reads all processes.

    /proc/PID/stat is read at every sample, through a descriptor that is kept open; what is idle and small at every
    fourth. User, cgroup, swap, I/O and the kernel's badness are read when a process appears, again when it has used
    the processor, and of the others some at each sample, in turn.

    Args:
        roots: Where /proc is.
        descriptors: Most descriptors that are kept open; beyond it files are opened for each reading.
        details_per_tick: Most processes of which details are read at a sample, besides new ones.
        clock: Tells the time.
    """

    name = "processes"

    def __init__(
        self, roots: Roots, *, descriptors: int = 2048, details_per_tick: int = 50, clock: Clock | None = None
    ) -> None:
        self._proc = str(roots.proc)
        self._descriptors = descriptors
        self._details_per_tick = details_per_tick
        self._clock = clock or SystemClock()
        self._directory = -1
        self._entries: dict[str, _Entry] = {}
        self._kernel: dict[str, int] = {}
        self._open = 0
        self._sample = 0
        self._turn = 0
        self._page_size = resource.getpagesize()
        self._ticks = os.sysconf("SC_CLK_TCK")

    def collect(self) -> ProcessesSample:
        if self._directory < 0:
            self._directory = os.open(self._proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._sample += 1
        names = os.listdir(self._directory)  # noqa: PTH208 - by descriptor, without an object for each name
        listed = [name for name in names if "0" <= name[0] <= "9"]
        self._forget(listed)
        unreadable = 0
        active: list[_Entry] = []
        for name in listed:
            try:
                self._read(name, active)
            except (FileNotFoundError, ProcessLookupError):
                self._drop(name)
            except PermissionError:
                self._drop(name)
                unreadable += 1
        self._refresh(active)
        records = tuple(entry.record for entry in self._entries.values() if entry.record is not None)
        return ProcessesSample(records, len(self._kernel), unreadable, self._page_size, self._ticks)

    def close(self) -> None:
        for name in list(self._entries):
            self._drop(name)
        self._kernel.clear()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def _forget(self, listed: list[str]) -> None:
        known = set(listed)
        for name in [name for name in self._entries if name not in known]:
            self._drop(name)
        for name in [name for name in self._kernel if name not in known]:
            del self._kernel[name]

    def _drop(self, name: str) -> None:
        self._kernel.pop(name, None)
        entry = self._entries.pop(name, None)
        if entry is not None and entry.descriptor >= 0:
            os.close(entry.descriptor)
            self._open -= 1

    def _read(self, name: str, active: list[_Entry]) -> None:
        """Read one process if it is its turn; note it among the active ones if it has used the processor."""
        entry = self._entries.get(name)
        if entry is None:
            self._look_at_stranger(name)
            return
        now = self._clock.monotonic()
        resting = now - entry.changed_seconds > _IDLE_SECONDS and not entry.large
        if resting and (entry.number + self._sample) % _IDLE_EVERY:
            return
        try:
            raw = self._stat(name, entry.descriptor)
        except ProcessLookupError:  # the one whose file is open has gone; its number may be another's now
            self._drop(name)
            self._look_at_stranger(name)
            return
        if raw == entry.raw:
            entry.checked_seconds = now
            return
        stat, last = parse_stat(raw, f"{self._proc}/{name}/stat"), entry.record
        if last is None or stat.start_time_ticks != last.stat.start_time_ticks:
            self._drop(name)
            self._look_at_stranger(name)
            return
        if stat.cpu_ticks != last.stat.cpu_ticks:
            active.append(entry)
        entry.record = Record(stat, last.details, now, entry.checked_seconds)
        self._note(entry, raw, stat, now)

    def _note(self, entry: _Entry, raw: bytes, stat: Stat, now: float) -> None:
        entry.raw = raw
        entry.changed_seconds = entry.checked_seconds = now
        entry.large = stat.resident_pages * self._page_size > _LARGE_BYTES

    def _look_at_stranger(self, name: str) -> None:
        """Read a pid of which nothing is known: a new process, or a kernel thread."""
        number = int(name)
        if name in self._kernel and (number + self._sample) % _KERNEL_EVERY:
            return
        descriptor = -1
        if self._open < self._descriptors:
            descriptor = os.open(f"{name}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            self._open += 1
        entry = _Entry(number, descriptor)
        self._entries[name] = entry
        now = self._clock.monotonic()
        raw = self._stat(name, descriptor)
        stat = parse_stat(raw, f"{self._proc}/{name}/stat")
        if stat.kernel_thread:
            self._drop(name)
            self._kernel[name] = stat.start_time_ticks
            return
        self._kernel.pop(name, None)
        entry.record = Record(stat, self._details(name), now, None)
        self._note(entry, raw, stat, now)

    def _stat(self, name: str, descriptor: int) -> bytes:
        if descriptor >= 0:
            return os.pread(descriptor, _READ_SIZE, 0)
        return self._file(name, "stat")

    def _file(self, name: str, file: str) -> bytes:
        descriptor = os.open(f"{name}/{file}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            return os.read(descriptor, _READ_SIZE)
        finally:
            os.close(descriptor)

    def _try(self, name: str, file: str) -> bytes | None:
        """Read a file that may be refused or gone."""
        with contextlib.suppress(OSError):
            return self._file(name, file)
        return None

    def _details(self, name: str) -> Details:
        path = f"{self._proc}/{name}"
        status, io, cgroup = self._try(name, "status"), self._try(name, "io"), self._try(name, "cgroup")
        uid, swap = parse_status(status, f"{path}/status") if status is not None else (None, None)
        read, written = parse_io(io, f"{path}/io") if io is not None else (None, None)
        return Details(
            uid,
            swap,
            parse_cgroup(cgroup) if cgroup is not None else None,
            read,
            written,
            parse_number(self._try(name, "oom_score"), f"{path}/oom_score"),
            parse_number(self._try(name, "oom_score_adj"), f"{path}/oom_score_adj"),
            self._clock.monotonic(),
        )

    def _refresh(self, active: list[_Entry]) -> None:
        """Read details again: of the active ones, and of some others in turn."""
        idle = self._details_per_tick // _IDLE_SHARE
        entries = list(self._entries.values())
        chosen = {entry.number: entry for entry in active[: self._details_per_tick - idle]}
        for offset in range(min(idle, len(entries))):
            entry = entries[(self._turn + offset) % len(entries)]
            chosen[entry.number] = entry
        self._turn = (self._turn + idle) % max(1, len(entries))
        for entry in chosen.values():
            if entry.record is None:
                continue
            details = self._details(str(entry.number))
            last = entry.record.details
            if details != replace(last, read_seconds=details.read_seconds) or entry in active:
                entry.record = replace(entry.record, details=details)


def read_command_line(roots: Roots, pid: int, start_time_ticks: int) -> str | None:
    """Return the command line of a process, arguments joined by spaces; None if it has gone or may not be read.

    Args:
        roots: Where /proc is.
        pid: The process.
        start_time_ticks: Its start, so that nobody else's is returned when the pid is reused.
    """
    raw = _of_same(roots, pid, start_time_ticks, "cmdline")
    return None if raw is None else raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def read_pss(roots: Roots, pid: int, start_time_ticks: int) -> int | None:
    """Return the proportional set size in bytes (/proc/PID/smaps_rollup); see `read_command_line`."""
    raw = _of_same(roots, pid, start_time_ticks, "smaps_rollup")
    for line in (raw or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _of_same(roots: Roots, pid: int, start_time_ticks: int, file: str) -> bytes | None:
    """Read a file of a process that is the same before and after."""
    directory = roots.proc / str(pid)
    try:
        before = parse_stat((directory / "stat").read_bytes(), str(directory / "stat"))
        raw = (directory / file).read_bytes()
        after = parse_stat((directory / "stat").read_bytes(), str(directory / "stat"))
    except OSError:
        return None
    return raw if before.start_time_ticks == after.start_time_ticks == start_time_ticks else None
