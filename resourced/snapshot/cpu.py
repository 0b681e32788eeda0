"""The processors: what a snapshot says of them."""

from dataclasses import dataclass

from resourced.collectors.base import Taken
from resourced.collectors.cpu import MODES, CpuSample, Ticks
from resourced.quantities import rate


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


def derive_cpu(before: Taken[CpuSample] | None, now: Taken[CpuSample], previous: Cpu | None) -> Cpu:
    """Return the processors' section; rates and shares are null at the first sample and after a counter's reset."""
    del previous
    stat, elapsed_s = now.sample.stat, now.seconds_since(before)
    old = before.sample.stat if before and elapsed_s > 0 else None
    hertz, tps = now.sample.frequencies_hertz, now.sample.ticks_per_second
    utilization, modes = _shares(old.total if old else None, stat.total, tps)
    cores = {}
    for number, ticks in stat.cores.items():
        core_utilization, core_modes = _shares(old.cores.get(number) if old else None, ticks, tps)
        cores[number] = Core(core_utilization, core_modes, hertz.get(number))
    return Cpu(
        utilization=utilization,
        modes=modes,
        mode_seconds={mode: ticks / tps for mode, ticks in zip(MODES, stat.total, strict=True)},
        cores=cores,
        logical_count=len(cores),
        physical_count=now.sample.physical_count,
        frequency_hertz=sum(hertz.values()) / len(hertz) if hertz else None,
        load_1m=now.sample.load[0],
        load_5m=now.sample.load[1],
        load_15m=now.sample.load[2],
        tasks_running=stat.tasks_running,
        tasks_blocked=stat.tasks_blocked,
        context_switches=stat.context_switches,
        context_switches_per_second=rate(old.context_switches if old else None, stat.context_switches, elapsed_s),
        interrupts=stat.interrupts,
        interrupts_per_second=rate(old.interrupts if old else None, stat.interrupts, elapsed_s),
        forks=stat.forks,
        forks_per_second=rate(old.forks if old else None, stat.forks, elapsed_s),
        boot_time=stat.boot_time,
    )


def _shares(before: Ticks | None, now: Ticks, ticks_per_second: int) -> tuple[float | None, dict[str, float | None]]:
    """Return the utilization, and the share of the interval by mode.

    Idle and iowait are estimates for processors that sleep, and may go back by a tick or two: that counts as no time.
    A counter that goes back by more than a second was reset, as when a processor comes back online: nothing is known.
    """
    unknown: dict[str, float | None] = dict.fromkeys(MODES)
    if before is None:
        return None, unknown
    grown = [new - old for old, new in zip(before, now, strict=True)]
    if min(grown) < -ticks_per_second:
        return None, unknown
    grown = [max(0, ticks) for ticks in grown]
    whole = sum(grown)
    if whole == 0:
        return None, unknown
    idle = grown[MODES.index("idle")] + grown[MODES.index("iowait")]
    shares: dict[str, float | None] = {mode: ticks / whole for mode, ticks in zip(MODES, grown, strict=True)}
    return (whole - idle) / whole, shares
