"""Measures what the history holds and costs."""

from pathlib import Path

from resourced.history.cells import HOUR, MINUTE
from resourced.history.reader import Session
from resourced.history.settings import HistorySettings
from resourced.history.stats import HistoryStats, TierStats
from resourced.history.store import FILE_NAME
from resourced.history.window import Window

_DAY = 86400.0


def survey(
    session: Session | None,
    directory: Path | None,
    window: Window,
    settings: HistorySettings,
    *,
    problem: str | None,
    series: int,
) -> HistoryStats:
    """Return what the history holds; see HistoryStats."""
    tiers = tuple(_tier(session, tier) for tier in (0, MINUTE, HOUR)) if session else ()
    raw = tiers[0] if tiers else None
    per_sample = raw.bytes / raw.samples if raw and raw.samples else None
    free = tops = decisions = 0
    if session is not None:
        free = session.row("PRAGMA freelist_count")[0] * session.row("PRAGMA page_size")[0]
        tops = session.row("SELECT coalesce(sum(length(data)), 0) FROM tops")[0]
        decisions = session.row("SELECT count(*) FROM decision")[0]
    pieces = window.view()
    starts = [tier.start for tier in tiers if tier.start is not None] + [piece.start for piece in pieces]
    ends = [tier.end for tier in tiers if tier.end is not None] + [piece.end for piece in pieces]
    path = directory / FILE_NAME if directory else None
    return HistoryStats(
        path=str(path) if path else None,
        problem=problem,
        disk_bytes=_disk_bytes(path) if path else 0,
        free_bytes=free,
        maximum_bytes=settings.max_bytes,
        memory_bytes=window.size,
        oldest=min(starts, default=None),
        newest=max(ends, default=None),
        series=series,
        bytes_per_sample=per_sample,
        bytes_per_day=_per_day(session),
        tops_bytes=tops,
        decisions=decisions,
        lost_ticks=window.lost_ticks,
        tiers=tiers,
    )


def _tier(session: Session, tier: int) -> TierStats:
    size, samples, blocks, start, end = session.row(
        "SELECT coalesce(sum(bytes), 0), coalesce(sum(samples), 0), count(*), min(start), max(end) FROM block"
        " WHERE tier = ?",
        (tier,),
    )
    return TierStats(float(tier), size, samples, blocks, start, end)


def _per_day(session: Session | None) -> float | None:
    """Return the bytes of each tier by the time that it covers, summed for a day."""
    if session is None:
        return None
    rows = session.rows("SELECT sum(bytes), sum(end - start) FROM block GROUP BY tier")
    rows += session.rows("SELECT sum(length(data)), sum(end - start) FROM tops HAVING count(*) > 0")
    found = [size / seconds * _DAY for size, seconds in rows if seconds > 0]
    return sum(found) if found else None


def _disk_bytes(path: Path) -> int:
    total = 0
    for end in ("", "-wal", "-shm"):
        try:
            total += path.with_name(path.name + end).stat().st_size
        except OSError:
            continue
    return total
