"""Processes, from /proc/PID: every one at every sample, through descriptors that are kept open."""

import errno
import os
import resource
from dataclasses import dataclass

from resourced.clock import Clock, SystemClock
from resourced.collectors.base import Roots, read_text
from resourced.collectors.procstat import (
    Details,
    Stat,
    parse_cgroup,
    parse_io,
    parse_number,
    parse_stat,
    parse_status,
)
from resourced.collectors.rarely import Rarely
from resourced.errors import ParseError

_READ_SIZE = 4096
"""What one read gives at most. Each of these files is one record, of which the kernel gives as much as fits."""
_LIMIT_SECONDS = 60.0
_IDLE_SECONDS = 30.0
"""A process whose stat hasn't changed for so long is idle."""
_IDLE_EVERY = 4
"""An idle process is read at every fourth sample: what it begins to do is seen at most three samples late."""
_IDLE_LATE_SECONDS = 4.0
"""Nor is it left unread for longer than this and one interval, however long the interval."""
_LARGE_BYTES = 64 * 1024**2
"""A process that holds more memory is read at every sample, idle or not."""
_KERNEL_EVERY = 32
"""A pid that was a kernel thread's is looked at again at every 32nd sample, since pids are reused."""
_KERNEL_LATE_SECONDS = 60.0
"""Nor is that put off for longer than this and one interval."""
_TURN_SHARE = 10
"""One tenth of the readings of details goes to all processes in turn, whatever they do."""
_DESCRIPTORS_BACK = 256
"""How many kept descriptors are given back when the daemon has run out of them."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True, slots=True)
class Record:
    """What was read of one process. While nothing changes, successive samples hold the very same object.

    Each of the two times before is that of the last reading that still gave what the record before says: what has
    changed since then has changed within that span.
    """

    stat: Stat
    """/proc/PID/stat."""
    details: Details
    """The other files; read less often."""
    read_seconds: float
    """CLOCK_MONOTONIC when stat was read."""
    before_seconds: float | None
    """The same for the reading before; None if this is the first of this process."""
    details_seconds: float
    """CLOCK_MONOTONIC when the details were read."""
    details_before_seconds: float | None
    """The same for the reading before; None if this is the first of this process."""


@dataclass(frozen=True, slots=True)
class ProcessesSample:
    """All processes."""

    records: tuple[Record, ...]
    """Those that are no kernel threads, in no particular order."""
    kernel_threads: int
    """Kernel threads."""
    unreadable: int
    """Processes that are listed and may not be read, or can't be understood."""
    page_size_bytes: int
    """Unit of resident_pages."""
    ticks_per_second: int
    """Unit of cpu_ticks."""
    limit: int | None = None
    """Most tasks that may exist at once; None if it can't be read."""


class _Entry:
    """One process from sample to sample."""

    __slots__ = (
        "changed_seconds",
        "checked_seconds",
        "descriptor",
        "details_seconds",
        "large",
        "name",
        "number",
        "raw",
        "record",
    )

    def __init__(self, name: str, descriptor: int, raw: bytes, record: Record) -> None:
        self.name = name
        self.number = record.stat.pid
        self.descriptor = descriptor
        self.raw = raw
        self.record = record
        self.changed_seconds = self.checked_seconds = record.read_seconds
        self.details_seconds = record.details_seconds
        self.large = False


def _read_limit(roots: Roots) -> int | None:
    """Return the smaller of the kernel's limits of process ids and of threads."""
    texts = (read_text(roots.proc / "sys/kernel" / name) for name in ("pid_max", "threads-max"))
    return min((int(text) for text in texts if text and text.strip().isdecimal()), default=None)


class ProcessesCollector:
    """Reads all processes.

    /proc/PID/stat is read at every sample, through a descriptor that is kept open; what is idle and small at every
    fourth. User, cgroup, swap, I/O and the kernel's badness are read when a process appears and once more at the
    sample after (it may have been between fork and exec), again when it has done something, and of all processes some
    at each sample, in turn.

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
        self._monotonic = (clock or SystemClock()).monotonic
        self._directory = -1
        self._names: list[str] = []
        self._listed: list[str] = []
        self._entries: dict[str, _Entry] = {}
        self._kernel: dict[str, float] = {}  # name -> when it was last seen to be a kernel thread
        self._new: set[str] = set()
        self._open = 0
        self._sample = 0
        self._turn = 0
        self._page_size = resource.getpagesize()
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._limit = Rarely(lambda: _read_limit(roots), _LIMIT_SECONDS, self._monotonic)

    def collect(self) -> ProcessesSample:
        if self._directory < 0:
            self._directory = os.open(self._proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._sample += 1
        self._list()
        new, self._new = self._new, set()
        unreadable = 0
        refused: Exception | None = None
        active: list[_Entry] = []
        now = self._monotonic()
        for name in self._listed:
            entry = self._entries.get(name)
            try:
                if entry is None:
                    self._meet(name, now)
                elif self._is_due(entry, now) and (self._read(entry) or name in new):
                    active.append(entry)
            except (FileNotFoundError, ProcessLookupError):
                self._drop(name)
            except (OSError, ParseError) as error:
                self._drop(name)
                if getattr(error, "errno", None) in _EXHAUSTED:
                    raise
                refused = error
                unreadable += 1
        unreadable += self._refresh([entry for entry in active if self._entries.get(entry.name) is entry])
        if isinstance(refused, ParseError) and not self._entries:
            raise refused  # it isn't one of them, but all
        if self._sample == 1:
            self._new.clear()  # all were new; the start of the daemon is no news of them
        records = tuple([entry.record for entry in self._entries.values()])
        limit = self._limit.get()
        return ProcessesSample(records, len(self._kernel), unreadable, self._page_size, self._ticks, limit)

    def close(self) -> None:
        for name in list(self._entries):
            self._drop(name)
        self._kernel.clear()
        self._names, self._listed, self._sample = [], [], 0
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def _list(self) -> None:
        """List /proc, and forget those who are there no more."""
        names = os.listdir(self._directory)  # noqa: PTH208 - by descriptor, without an object for each name
        if names == self._names:
            return
        self._names = names
        self._listed = [name for name in names if "0" <= name[0] <= "9"]
        known = set(self._listed)
        for name in [*(self._entries.keys() - known), *(self._kernel.keys() - known)]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._kernel.pop(name, None)
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._release(entry.descriptor)

    def _release(self, descriptor: int) -> None:
        if descriptor >= 0:
            os.close(descriptor)
            self._open -= 1

    def _is_due(self, entry: _Entry, now: float) -> bool:
        """Whether it is read at this sample: always, unless it has been idle for long and is small."""
        return (
            now - entry.changed_seconds <= _IDLE_SECONDS
            or (entry.number + self._sample) % _IDLE_EVERY == 0
            or entry.large
            or now - entry.checked_seconds > _IDLE_LATE_SECONDS
        )

    def _read(self, entry: _Entry) -> bool:
        """Read the stat of one that is known; return whether it has done something since."""
        now = self._monotonic()
        try:
            raw = self._stat(entry.name, entry.descriptor)
        except ProcessLookupError:  # the one whose file is open has gone; its number may be another's now
            self._drop(entry.name)
            self._meet(entry.name, now)
            return False
        if raw == entry.raw:
            entry.checked_seconds = now
            return False
        last = entry.record
        stat = parse_stat(raw, f"{self._proc}/{entry.name}/stat")
        if stat.start_time_ticks != last.stat.start_time_ticks:
            self._drop(entry.name)
            self._meet(entry.name, now)
            return False
        entry.record = Record(
            stat, last.details, now, entry.checked_seconds, last.details_seconds, last.details_before_seconds
        )
        entry.raw = raw
        entry.changed_seconds = entry.checked_seconds = now
        entry.large = stat.resident_pages * self._page_size > _LARGE_BYTES
        return (
            stat.cpu_ticks != last.stat.cpu_ticks
            or stat.major_faults != last.stat.major_faults
            or stat.name != last.stat.name
        )

    def _meet(self, name: str, now: float) -> None:
        """Read a pid of which nothing is known: a new process, or a kernel thread."""
        seen = self._kernel.get(name)
        if seen is not None and (int(name) + self._sample) % _KERNEL_EVERY and now - seen <= _KERNEL_LATE_SECONDS:
            return
        descriptor = self._keep(name)
        try:
            read = self._monotonic()
            raw = self._stat(name, descriptor)
            stat = parse_stat(raw, f"{self._proc}/{name}/stat")
            if stat.kernel_thread:
                self._kernel[name] = read
                self._release(descriptor)
                return
            record = Record(stat, self._details(name), read, None, read, None)
        except BaseException:
            self._release(descriptor)
            raise
        self._kernel.pop(name, None)
        entry = self._entries[name] = _Entry(name, descriptor, raw, record)
        entry.large = stat.resident_pages * self._page_size > _LARGE_BYTES
        self._new.add(name)

    def _keep(self, name: str) -> int:
        """Open a stat to be kept open; return -1 if no more may be."""
        if self._open >= self._descriptors:
            return -1
        try:
            descriptor = os.open(f"{name}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._give_back()
            return -1
        self._open += 1
        return descriptor

    def _give_back(self) -> None:
        """Close some descriptors, and keep no more than the rest from now on: the daemon needs them elsewhere."""
        kept = [entry for entry in self._entries.values() if entry.descriptor >= 0]
        for entry in kept[-_DESCRIPTORS_BACK:]:
            self._release(entry.descriptor)
            entry.descriptor = -1
        self._descriptors = self._open

    def _stat(self, name: str, descriptor: int) -> bytes:
        if descriptor >= 0:
            return os.pread(descriptor, _READ_SIZE, 0)
        return self._file(name, "stat")

    def _file(self, name: str, file: str) -> bytes:
        descriptor = os.open(f"{name}/{file}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            content = part = os.read(descriptor, _READ_SIZE)
            while len(part) == _READ_SIZE:  # status of one in hundreds of groups
                part = os.read(descriptor, _READ_SIZE)
                content += part
            return content
        finally:
            os.close(descriptor)

    def _try(self, name: str, file: str) -> bytes | None:
        """Read a file that may be refused or gone."""
        try:
            return self._file(name, file)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise
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
        )

    def _refresh(self, active: list[_Entry]) -> int:
        """Read details again: of the active ones, those first that have waited longest, and of all some in turn.

        Returns:
            How many could not be understood.
        """
        entries = list(self._entries.values())
        most = self._details_per_tick
        turn = min(max(1, most // _TURN_SHARE), most, len(entries))
        if len(active) > most - turn:
            active.sort(key=lambda entry: entry.details_seconds)
        chosen = {entry.name: entry for entry in active[: most - turn]}
        for offset in range(turn):
            entry = entries[(self._turn + offset) % len(entries)]
            chosen[entry.name] = entry
        self._turn = (self._turn + turn) % max(1, len(entries))
        malformed = 0
        for entry in chosen.values():
            try:
                self._look_closer(entry)
            except ParseError:
                self._drop(entry.name)
                malformed += 1
        return malformed

    def _look_closer(self, entry: _Entry) -> None:
        """Read the details of one; its record stays the same object if they have not changed."""
        now = self._monotonic()
        details, record = self._details(entry.name), entry.record
        if details.uid is None and record.details.uid is not None:
            return  # it has gone in the meantime
        if details != record.details:
            entry.record = Record(
                record.stat, details, record.read_seconds, record.before_seconds, now, entry.details_seconds
            )
        entry.details_seconds = now
