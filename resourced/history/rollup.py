"""From single ticks to the tiers: a day that is over becomes one block of minutes and one of hours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resourced.history.batch import TIME
from resourced.history.cells import HOUR, MINUTE, Cells, encode_cells, summarize, summarize_cells
from resourced.history.codec import encode_column
from resourced.history.columns import Columns
from resourced.history.reader import Session, StoredBlock
from resourced.history.store import Store

if TYPE_CHECKING:
    from resourced.history.arrays import Floats

DAY_SECONDS = 86400.0


def day_of(time: float) -> int:
    """Return the number of the day since the epoch, UTC."""
    return int(time // DAY_SECONDS)


def roll(store: Store, now: float, *, force: bool = False) -> bool:
    """Roll up the oldest day that is over, if there is one, in one transaction.

    Args:
        store: Where it is.
        now: Wall time.
        force: Whether a day that is not over will do, too.

    Returns:
        Whether a day was rolled up.
    """
    session = Session(store.connection)
    rolled = session.rolled()
    blocks = [block for block in session.all_blocks(0) if block.first > rolled]
    if not blocks:
        return False
    day = [block for block in blocks if day_of(block.start) == day_of(blocks[0].start)]
    following = [block for block in blocks if block.first > day[0].first and block not in day]
    if following:
        day = [block for block in day if block.first < following[0].first]
    elif day_of(now) == day_of(day[0].start) and not force:
        return False
    _write(store, day)
    return True


class _Edges:
    """Where the minutes of a block begin."""

    def __init__(self, block: StoredBlock) -> None:
        import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first hour is over

        times = block.own(TIME)
        self.order = None if (np.diff(times) >= 0).all() else np.argsort(times, kind="stable")
        minutes = np.floor((times if self.order is None else times[self.order]) / MINUTE)
        self.edges = np.flatnonzero(np.diff(minutes, prepend=-1.0))
        self.starts = minutes[self.edges] * MINUTE

    def summarize(self, values: "Floats") -> Cells:
        return summarize(values if self.order is None else values[self.order], self.edges)


def _write(store: Store, day: Sequence[StoredBlock]) -> None:
    import numpy as np  # noqa: PLC0415 - as above

    edges = [_Edges(block) for block in day]
    starts = np.concatenate([each.starts for each in edges])
    sources = np.concatenate([np.full(len(e.starts), float(b.last)) for e, b in zip(edges, day, strict=True)])
    hours = np.flatnonzero(np.diff(sources, prepend=-1.0))
    numbers = dict.fromkeys(number for block in day for number in block.directory.numbers)
    minutes_of: list[tuple[int, bytes]] = []
    hours_of: list[tuple[int, bytes]] = []
    for number in numbers:
        cells = _joined([_cells(block, each, number) for block, each in zip(day, edges, strict=True)])
        if minutes := encode_cells(cells):
            minutes_of.append((number, minutes))
            hours_of.append((number, encode_cells(summarize_cells(cells, hours))))
    hour_starts = np.floor(starts[hours] / HOUR) * HOUR
    with store.transaction():
        for tier, begin, behind, columns in (
            (MINUTE, starts, sources, minutes_of),
            (HOUR, hour_starts, sources[hours], hours_of),
        ):
            about = Columns(
                day[0].first,
                day[-1].last,
                "",
                len(begin),
                float(begin.min()),
                float(begin.max()) + tier,
                (b"", b"", b""),
                {},
            )
            store.insert_block(tier, about, (encode_column(begin), encode_column(behind)), columns)


def _cells(block: StoredBlock, edges: _Edges, number: int) -> Cells:
    import numpy as np  # noqa: PLC0415 - as above

    values = block.column_of(number)
    if values is not None:
        return edges.summarize(values)
    nothing = np.full(len(edges.starts), np.nan)
    return Cells(nothing, nothing, nothing, nothing, np.zeros(len(edges.starts)))


def _joined(cells: Sequence[Cells]) -> Cells:
    import numpy as np  # noqa: PLC0415 - as above

    return Cells(*(np.concatenate([getattr(each, name) for each in cells]) for name in Cells.__slots__))
