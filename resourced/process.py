"""The daemon's own process: its limits, what it costs, and how little of it must stay in memory."""

import ctypes
import gc
import os
import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONTROL_THREADS = 8
"""Threads of the event loop for what may wait a little, such as writing a small file: changes that were asked for, a
reload, the store's own state. Questions to the history, which take long, have threads of their own."""

_SPARE_DESCRIPTORS = 4096
"""Descriptors for connections, the store and cgroup files, beside those of processes."""
_MADV_DONTNEED = 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 256 * 1024
_FIRST_LOOK_SECONDS = 30.0
_LOOK_SECONDS = 60.0
_GROWN_BYTES = 4 * 1024**2
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)")


@dataclass(frozen=True, slots=True)
class OwnUsage:
    """What the process costs."""

    cpu_seconds: float
    """Processor seconds since its start, user and system (getrusage)."""
    memory_bytes: int | None
    """Resident set size (/proc/self/statm)."""
    threads: int | None
    """Threads."""
    descriptors: int | None
    """Open descriptors."""


def own_usage() -> OwnUsage:
    """Return what this process costs now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return OwnUsage(
        used.ru_utime + used.ru_stime,
        resident_bytes(),
        _count("/proc/self/task"),
        _count("/proc/self/fd"),
    )


def raise_descriptor_limit(wanted: int) -> int:
    """Raise the soft limit of open files to `wanted` and some to spare, as far as the hard limit goes; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = wanted + _SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        aim = min(aim, hard)
    if soft != resource.RLIM_INFINITY and soft < aim:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
        return aim
    return soft


def bound_heap() -> None:
    """Let large blocks go back to the kernel when they are freed; does nothing where the C library isn't glibc.

    By default glibc learns from the first large block that is freed to keep later ones up to 32 MiB in its heap, in as
    many heaps as there were threads at once. An answer from a week of single ticks takes such blocks and left 14 MiB.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_ARENA_MAX, 2)


def settle() -> int:
    """Give back what only the start needed; return the bytes of library code that are no longer mapped.

    Garbage is collected once and what stays is taken out of the collector's sight. Freed heap goes back to the kernel.
    So do pages of program files that were mapped by being read once, at import: the few that are used again come back
    from the page cache with a minor fault each.
    """
    gc.collect()
    gc.freeze()
    return give_back()


def give_back() -> int:
    """Give freed heap and clean pages of program files back to the kernel; return the bytes no longer mapped.

    Takes some 20 ms of one thread, and some minor faults of those that come to use these pages again.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        return sum(
            end - start
            for start, end in _clean_file_mappings(
                Path("/proc/self/smaps").read_text(encoding="ascii", errors="replace")
            )
            if libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED) == 0
        )
    except (OSError, AttributeError):  # no smaps, or not glibc
        return 0


def be_nice(nice: int) -> str | None:
    """Take a priority, from -20 to 19; lower is more.

    Returns:
        Why it may not be had; None if it is.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError as error:
        return error.strerror
    return None


def lock_memory() -> str | None:
    """Keep this process's memory out of swap: what is in use now, and whatever is touched from now on.

    Returns:
        Why it could not be done; None if it was.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and not _has_capability(_CAP_IPC_LOCK):
        # Within a limit every later allocation beyond it would fail, which is worse than to be swapped out.
        return f"the limit of locked memory is {soft} bytes; raise it (LimitMEMLOCK=infinity)"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        return os.strerror(ctypes.get_errno())
    return None


def _has_capability(number: int) -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> number & 1)


class Slimmer:
    """Gives memory back when the process has grown: questions to the history take some for a moment only."""

    def __init__(self) -> None:
        self._due: float | None = None
        self._least = 0

    def look(self, now: float) -> None:
        """Give back what can be, if it is time and worth it; called after each tick.

        Args:
            now: Monotonic seconds. The first look that does something comes half a minute after the first of all, when
                the first writing of the history has imported what it needs.
        """
        if self._due is None:
            self._due = now + _FIRST_LOOK_SECONDS
        if now < self._due:
            return
        self._due = now + _LOOK_SECONDS
        if not self._least:
            settle()
        elif (resident_bytes() or 0) > self._least + _GROWN_BYTES:
            give_back()
        else:
            return
        self._least = resident_bytes() or 0


def _clean_file_mappings(smaps: str) -> Iterator[tuple[int, int]]:
    """Yield the address ranges of mapped files that can't be written to and hold no page of our own.

    What the dynamic linker has changed (relocations) is our own and must not be given back: the file does not have it.
    """
    start = end = 0
    wanted = False
    for line in smaps.splitlines():
        if found := _MAPPING.match(line):
            start, end = int(found[1], 16), int(found[2], 16)
            wanted = "w" not in found[3] and found[3].endswith("p") and found[4].startswith("/")
        elif wanted and line.startswith("Anonymous:"):
            if line.split()[1] == "0":
                yield start, end
            wanted = False


def resident_bytes() -> int | None:
    """Return the resident set size; None where /proc doesn't tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


def _count(directory: str) -> int | None:
    try:
        return sum(1 for _ in Path(directory).iterdir())
    except OSError:
        return None
