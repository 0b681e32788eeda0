"""The processors: what a snapshot says of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Core:
    """One logical processor."""

    utilization: float | None
    """Share of the last interval spent neither idle nor waiting for I/O, 0-1."""
    modes: dict[str, float | None]
    """Share of the last interval by mode: user, nice, system, idle, iowait, irq, softirq, steal."""
    frequency_hertz: float | None
    """Present frequency, from cpufreq."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """All processors together, from /proc/stat, /proc/loadavg and cpufreq."""

    utilization: float | None
    """Share of the last interval that all processors together spent neither idle nor waiting for I/O, 0-1."""
    modes: dict[str, float | None]
    """Share of the last interval by mode: user, nice, system, idle, iowait, irq, softirq, steal."""
    mode_seconds: dict[str, float]
    """Processor seconds since boot by mode, summed over all processors."""
    cores: dict[str, Core]
    """Keyed by logical number ("0", "1", …), in numerical order; a processor that is offline is not listed."""
    logical_count: int
    """Logical processors that are online."""
    physical_count: int | None
    """Physical cores."""
    frequency_hertz: float | None
    """Mean present frequency of the processors that tell it."""
    load_1m: float | None
    """Load average over one minute: tasks running, runnable or in uninterruptible sleep."""
    load_5m: float | None
    """Load average over five minutes."""
    load_15m: float | None
    """Load average over fifteen minutes."""
    tasks_running: int | None
    """Tasks that run or are runnable."""
    tasks_blocked: int | None
    """Tasks that wait for I/O."""
    context_switches: int | None
    """Context switches since boot."""
    context_switches_per_second: float | None
    """Context switches a second over the last interval."""
    interrupts: int | None
    """Interrupts serviced since boot."""
    interrupts_per_second: float | None
    """Interrupts a second over the last interval."""
    forks: int | None
    """Processes and threads created since boot."""
    forks_per_second: float | None
    """Processes and threads created a second over the last interval."""
    boot_time: float | None
    """Wall time of boot, seconds since the epoch."""
