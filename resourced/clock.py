"""Time as a dependency: durations on the monotonic clock, wall time only as a stamp."""

import time
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Successive calls of `monotonic` and `boottime` never decrease; `wall` may jump either way."""

    def wall(self) -> float:
        """Seconds since the Unix epoch, UTC (CLOCK_REALTIME)."""
        ...

    def monotonic(self) -> float:
        """Seconds on CLOCK_MONOTONIC: stands still while the machine is suspended."""
        ...

    def boottime(self) -> float:
        """Seconds since boot on CLOCK_BOOTTIME: includes the time that the machine was suspended."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_boot_id(proc: Path = Path("/proc")) -> str | None:
    """Return the identity of this boot, or None where the kernel doesn't tell (/proc/sys/kernel/random/boot_id)."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text().strip() or None
    except OSError:
        return None
