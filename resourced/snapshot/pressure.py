"""Pressure stall information: what a snapshot says of it."""

from dataclasses import dataclass


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
