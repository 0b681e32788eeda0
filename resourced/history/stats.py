"""What the history holds and costs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TierStats:
    """One tier."""

    resolution_seconds: float
    """Seconds of a cell; 0 for single ticks."""
    bytes: int
    """Bytes of its columns."""
    samples: int
    """Values, or cells of values."""
    blocks: int
    """Blocks."""
    start: float | None
    """Wall time of the oldest; null if it is empty."""
    end: float | None
    """Wall time of the newest."""


@dataclass(frozen=True, slots=True)
class HistoryStats:
    """The history as a whole."""

    path: str | None
    """The store's file; null where only memory is used."""
    problem: str | None
    """Why nothing can be written now; null if it can."""
    disk_bytes: int
    """Bytes of the store's files."""
    free_bytes: int
    """Bytes in them that are free for what comes."""
    maximum_bytes: int
    """Most bytes that it may take."""
    memory_bytes: int
    """Bytes of samples in memory, compressed, about."""
    oldest: float | None
    """Wall time of the oldest sample, of whatever resolution; null if there is none."""
    newest: float | None
    """Wall time of the newest."""
    series: int
    """Series of the newest tick."""
    bytes_per_sample: float | None
    """Bytes on disk of a value at single ticks; null before the first hour is packed."""
    bytes_per_day: float | None
    """Bytes that a day of single ticks takes at this rate, with its tiers; null before the first hour is packed."""
    tops_bytes: int
    """Bytes of the largest cgroups and processes."""
    decisions: int
    """Decisions on disk."""
    lost_ticks: int
    """Ticks dropped since the start because they could not be written for too long."""
    tiers: tuple[TierStats, ...]
    """Finest first."""
