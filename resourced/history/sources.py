"""Which pieces and blocks answer for a time, so that every tick counts exactly once.

Order is by the numbers of batches, not by time. The store says up to which batch everything is in blocks (`packed`) and
in the tiers (`rolled`); what comes after is in memory, or in blocks of single ticks. Where a tier has been dropped
because of its age, the next coarser one answers for the batches that it no longer has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resourced.history.batch import TIME
from resourced.history.cells import HOUR, MINUTE, Cells
from resourced.history.columns import Piece
from resourced.history.reader import Session, StoredBlock
from resourced.series import Series

if TYPE_CHECKING:
    from resourced.history.arrays import Chosen, Floats


@dataclass(frozen=True, slots=True)
class Source:
    """A piece or a block, and up to which batch its cells count."""

    holder: Piece | StoredBlock
    """Where the values are."""
    below: int | None = None
    """Only cells of batches before this count; None for all."""

    @property
    def tier(self) -> int:
        """Return the seconds of its cells; 0 for single ticks."""
        return self.holder.tier if isinstance(self.holder, StoredBlock) else 0

    def times(self) -> "Floats":
        """Return the time of each tick, or the start of each cell."""
        return self.holder.own(TIME)

    def chosen(self, times: "Floats", start: float, end: float) -> "Chosen":
        """Return which ticks or cells count, for times from start to before end."""
        found = (times >= start) & (times < end)
        if self.below is not None:
            found &= self.holder.own(1) < self.below
        return found

    def column(self, series: Series) -> "Floats | None":
        """Return the values of a series at single ticks; None if it has none here."""
        return None if self.tier else self.holder.column(series)

    def cells(self, series: Series) -> Cells | None:
        """Return the cells of a series; None if it has none here."""
        return self.holder.cells(series) if isinstance(self.holder, StoredBlock) and self.tier else None


def in_memory(pieces: Sequence[Piece], session: Session | None) -> list[Piece]:
    """Return the pieces that are not in blocks of the store."""
    packed = session.packed if session is not None else -1
    return [piece for piece in pieces if piece.last > packed]


def find_sources(pieces: Sequence[Piece], session: Session | None, tier: int, start: float, end: float) -> list[Source]:
    """Return what answers for a time, in the order in which it was recorded.

    Args:
        pieces: What is in memory.
        session: The store, or None if there is none.
        tier: Seconds of the coarsest cells that are fine enough; 0 for single ticks.
        start: First moment, seconds since the epoch.
        end: First moment after it.
    """
    memory = [Source(p) for p in in_memory(pieces, session) if p.end >= start and p.start < end]
    if session is None:
        return memory
    return sorted((*_stored(session, tier, start, end), *memory), key=lambda source: source.holder.first)


def _stored(session: Session, tier: int, start: float, end: float) -> list[Source]:
    rolled = session.rolled()
    raw = session.floor(0)
    minute = session.floor(MINUTE)
    raw_floor = session.packed + 1 if raw is None else raw
    found: list[Source] = []
    if tier == 0:
        found += [Source(block) for block in session.blocks(0, start, end)]
        minute_floor = raw_floor if minute is None else min(minute, raw_floor)
        found += _before(session, MINUTE, raw_floor, start, end)
        found += _before(session, HOUR, minute_floor, start, end)
        return found
    found += [Source(block) for block in session.blocks(0, start, end) if block.first > rolled]
    if tier < HOUR:
        found += [Source(block) for block in session.blocks(MINUTE, start, end)]
        found += _before(session, HOUR, rolled + 1 if minute is None else minute, start, end)
    else:
        found += [Source(block) for block in session.blocks(HOUR, start, end)]
    return found


def _before(session: Session, tier: int, floor: int, start: float, end: float) -> list[Source]:
    """Return the blocks of a tier, with their cells that come before a batch."""
    return [
        Source(block, None if block.last < floor else floor)
        for block in session.blocks(tier, start, end)
        if block.first < floor
    ]
