"""Pressure stall information: what a snapshot says of it."""

from dataclasses import dataclass

from resourced.collectors.base import Taken
from resourced.collectors.pressure import PressureOfSample, PressureSample, StallSample
from resourced.quantities import rate, share


@dataclass(frozen=True, slots=True)
class Stall:
    """One line of a PSI file: the share of time in which tasks stood still for want of the resource."""

    avg10_share: float
    """Share of the last 10 seconds, 0-1, as the kernel averages it."""
    avg60_share: float
    """Share of the last 60 seconds, 0-1."""
    avg300_share: float
    """Share of the last 300 seconds, 0-1."""
    total_seconds: float
    """Seconds stalled since boot (or since the cgroup was made)."""
    share: float | None = None
    """Share of the last interval, 0-1, from the total: faster than avg10; null at the first sample."""


@dataclass(frozen=True, slots=True)
class PressureOf:
    """Pressure on one resource."""

    some: Stall | None
    """At least one task waited."""
    full: Stall | None
    """All tasks that were not idle waited at once; null where the kernel has no such line."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Machine-wide pressure, from /proc/pressure; a resource that the kernel doesn't tell of is null."""

    cpu: PressureOf | None
    """Waiting for a processor."""
    memory: PressureOf | None
    """Waiting for memory: reclaim, refaults, swap-ins."""
    io: PressureOf | None
    """Waiting for a block device."""


def derive_stall(before: StallSample | None, now: StallSample | None, elapsed_s: float) -> Stall | None:
    """Return one line with its share of the last `elapsed_s` seconds; None where the kernel has no such line."""
    if now is None:
        return None
    grown = rate(before.total_seconds if before else None, now.total_seconds, elapsed_s)
    return Stall(
        avg10_share=now.avg10_share,
        avg60_share=now.avg60_share,
        avg300_share=now.avg300_share,
        total_seconds=now.total_seconds,
        share=share(grown, 1.0),
    )


def derive_pressure_of(
    before: PressureOfSample | None, now: PressureOfSample | None, elapsed_s: float
) -> PressureOf | None:
    """Return the pressure on one resource, of the machine or of a cgroup.

    Args:
        before: The sample before, or None at the first.
        now: This sample; None if the kernel doesn't tell.
        elapsed_s: Seconds between them on the monotonic clock.
    """
    if now is None:
        return None
    return PressureOf(
        some=derive_stall(before.some if before else None, now.some, elapsed_s),
        full=derive_stall(before.full if before else None, now.full, elapsed_s),
    )


def derive_pressure(
    before: Taken[PressureSample] | None, now: Taken[PressureSample], previous: Pressure | None
) -> Pressure:
    """Return the machine's pressure; the shares of the last interval are null at the first sample."""
    del previous
    old, new, elapsed_s = before.sample if before else None, now.sample, now.seconds_since(before)
    return Pressure(
        cpu=derive_pressure_of(old.cpu if old else None, new.cpu, elapsed_s),
        memory=derive_pressure_of(old.memory if old else None, new.memory, elapsed_s),
        io=derive_pressure_of(old.io if old else None, new.io, elapsed_s),
    )
