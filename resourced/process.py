"""The daemon's own process: its limits, what it costs, and how little of it must stay in memory."""

import contextlib
import ctypes
import gc
import os
import resource
from dataclasses import dataclass
from pathlib import Path

_SPARE_DESCRIPTORS = 4096
"""Descriptors for connections, the store and cgroup files, beside those of processes."""
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


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
        _resident_bytes(),
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


def settle() -> None:
    """Give back what only the start needed, and take what stays out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def lock_memory() -> bool:
    """Keep this process's memory out of swap, page by page as it is used (mlockall); return whether it was allowed."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:
        return False  # a lock within a limit makes allocations fail later
    try:
        failed: int = ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    except (OSError, AttributeError):
        return False
    return not failed


def _resident_bytes() -> int | None:
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
