"""What the history is told: how much is kept, for how long, and how often it is written."""

from dataclasses import dataclass

DAY_SECONDS = 86400.0
YEAR_SECONDS = 365 * DAY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """Plain values for the history."""

    flush_seconds: float = 10.0
    """How often samples are written to disk; records are written at once."""
    window_seconds: float = 3600.0
    """The last time of which every sample is kept in memory."""
    max_bytes: int = 256 * 1024**2
    """Most bytes on disk; beyond it the oldest go first."""
    raw_seconds: float = 7 * DAY_SECONDS
    """How long every sample is kept."""
    minute_seconds: float = 90 * DAY_SECONDS
    """How long the cells of one minute are kept."""
    hour_seconds: float = 2 * YEAR_SECONDS
    """How long the cells of one hour are kept."""
    tops_seconds: float = 2 * DAY_SECONDS
    """How long the largest cgroups and processes are kept."""
    decisions_seconds: float = 2 * YEAR_SECONDS
    """How long decisions and outcomes are kept."""
    events_seconds: float = 90 * DAY_SECONDS
    """How long logged events are kept."""
    top_cgroups: int = 20
    """Cgroups recorded by each of processor, memory, I/O; a cgroup that leads in several counts once."""
    top_processes: int = 20
    """Processes recorded, likewise."""
    tops_interval_seconds: float = 5.0
    """Shortest time between two recordings of the largest cgroups and processes; a decision is recorded always."""
    memory_limit_bytes: int = 16 * 1024**2
    """Most bytes of compressed samples kept in memory while they can't be written; then the oldest are lost."""
