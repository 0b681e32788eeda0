"""What is in memory: the ticks since the last flush, and whatever is not in a block on disk yet.

Every batch has a number that only grows. It, not the time, is the order in which things happened: a clock that is set
back makes times overlap, never numbers. The store says up to which number everything is in its blocks; memory answers
for all that comes after, so no tick is ever counted twice or missed.
"""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from resourced.history.batch import Batch, Tick, make_batch
from resourced.history.columns import Columns, Piece
from resourced.history.layout import Layout
from resourced.history.settings import HistorySettings
from resourced.history.tops import TopsTick, encode_tops

HOUR_SECONDS = 3600.0
_MOST_TICKS = 600
_JOIN_TICKS = 300
_JOIN_PIECES = 60


def hour_of(time: float) -> int:
    """Return the number of the hour since the epoch."""
    return int(time // HOUR_SECONDS)


def _shifted(piece: Piece, shift: int) -> Piece:
    if isinstance(piece, Batch):
        return replace(piece, first=piece.first + shift)
    return replace(piece, first=piece.first + shift, last=piece.last + shift)


def run_key(piece: Piece) -> tuple[str, int]:
    """Return what the pieces of one block have in common: the boot and the hour."""
    return piece.boot, hour_of(piece.start)


class Window:
    """The part of the history that is in memory. All methods may be called from any thread.

    Attributes:
        lost_ticks: Ticks dropped because they could not be written for too long.
    """

    def __init__(self, settings: HistorySettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._pending: list[Tick] = []
        self._tops: list[TopsTick] = []
        self._layout = Layout(())
        self._boot = ""
        self._pieces: list[Piece] = []
        self._unwritten: deque[Batch] = deque()
        self._next = 0
        self._packed = -1
        self.lost_ticks = 0

    def add(self, layout: Layout, boot: str, tick: Tick, tops: TopsTick | None = None) -> None:
        """Take one tick; costs microseconds."""
        with self._lock:
            before = self._pending[-1] if self._pending else None
            if before is not None and (
                layout is not self._layout
                or boot != self._boot
                or hour_of(before.time) != hour_of(tick.time)
                or len(self._pending) >= _MOST_TICKS
            ):
                self._close()
            self._layout, self._boot = layout, boot
            self._pending.append(tick)
            if tops is not None:
                self._tops.append(tops)

    def add_tops(self, tops: TopsTick) -> None:
        """Take a recording of the largest for the newest tick."""
        with self._lock:
            self._tops.append(tops)

    def close(self) -> list[Batch]:
        """Make a batch of what is pending and return all batches that are not written, oldest first."""
        with self._lock:
            self._close()
            return list(self._unwritten)

    def _close(self) -> None:
        if not self._pending:
            return
        batch = make_batch(self._next, self._layout, self._boot, self._pending, encode_tops(self._tops))
        self._next += 1
        self._pending, self._tops = [], []
        self._pieces.append(batch)
        self._unwritten.append(batch)

    def written(self, last: int) -> None:
        """Forget that batches up to this number are to be written."""
        with self._lock:
            while self._unwritten and self._unwritten[0].first <= last:
                self._unwritten.popleft()

    def view(self) -> list[Piece]:
        """Return all pieces in order, the newest tick included."""
        with self._lock:
            pieces = list(self._pieces)
            if self._pending:
                pieces.append(make_batch(self._next, self._layout, self._boot, self._pending, encode_tops(self._tops)))
            return pieces

    def load(self, batches: Iterable[Batch], following: int, packed: int) -> bool:
        """Put what a store holds before what is in memory, and number this on from there.

        Args:
            batches: Those of the store that are in no block, oldest first.
            following: The number that the store's next batch would have.
            packed: The number up to which everything is in blocks.

        Returns:
            Whether memory holds pieces that were written to another store, so that this one should get them soon.
        """
        with self._lock:
            self._close()
            shift = max(0, following - (self._pieces[0].first if self._pieces else self._next))
            mine = [_shifted(piece, shift) for piece in self._pieces]
            unwritten = {batch.first + shift for batch in self._unwritten}
            self._pieces = [*batches, *mine]
            self._unwritten = deque(p for p in mine if isinstance(p, Batch) and p.first in unwritten)
            self._next += shift
            self._packed = packed
            return len(self._unwritten) < len(mine)

    def next_join(self) -> list[Piece]:
        """Return small pieces of one hour that together are worth packing; empty if there are none."""
        with self._lock:
            held = {batch.first for batch in self._unwritten}
            group: list[Piece] = []
            for piece in self._pieces:
                joinable = isinstance(piece, Batch) and piece.first > self._packed and piece.first not in held
                if group and (not joinable or run_key(piece) != run_key(group[0])):
                    if len(group) >= 2:
                        return group
                    group = []
                if joinable:
                    group.append(piece)
                    if sum(each.count for each in group) >= _JOIN_TICKS or len(group) >= _JOIN_PIECES:
                        return group if len(group) >= 2 else []
            return []

    def next_run(self, now: float, *, force: bool = False) -> list[Piece]:
        """Return all pieces of the oldest hour that is not in a block and is over; empty if there is none.

        Args:
            now: Wall time.
            force: Whether an hour that is not over will do, too.
        """
        with self._lock:
            held = {batch.first for batch in self._unwritten}
            rest = [piece for piece in self._pieces if piece.first > self._packed]
            if not rest:
                return []
            run = []
            for piece in rest:
                if run_key(piece) != run_key(rest[0]):
                    break
                run.append(piece)
            pending = (self._boot, hour_of(self._pending[0].time)) if self._pending else run_key(run[0])
            over = len(run) < len(rest) or hour_of(now) > hour_of(run[0].start) or pending != run_key(run[0])
            return run if (over or force) and not any(piece.first in held for piece in run) else []

    def put(self, joined: Columns) -> None:
        """Replace the pieces that were joined."""
        with self._lock:
            kept = [piece for piece in self._pieces if not joined.first <= piece.first <= joined.last]
            at = sum(piece.first < joined.first for piece in kept)
            self._pieces = [*kept[:at], joined, *kept[at:]]

    def packed(self, last: int) -> None:
        """Learn that everything up to this number is in blocks."""
        with self._lock:
            self._packed = max(self._packed, last)

    def trim(self, newest: float, *, stored: bool) -> int:
        """Drop what is older than the window and in a block, or too much.

        Args:
            newest: Wall time from which the window is counted.
            stored: Whether there is a store, so that what is not in a block must stay.

        Returns:
            Ticks that were dropped without ever having been written.
        """
        oldest = newest - self._settings.window_seconds
        with self._lock:
            self._pieces = [
                piece for piece in self._pieces if piece.end >= oldest or (stored and piece.first > self._packed)
            ]
            if not stored:
                self._unwritten.clear()
                return 0
            lost = 0
            size = sum(batch.size for batch in self._unwritten)
            while size > self._settings.memory_limit_bytes:
                batch = self._unwritten.popleft()
                self._pieces = [piece for piece in self._pieces if piece.first != batch.first]
                size -= batch.size
                lost += batch.count
            self.lost_ticks += lost
            return lost

    @property
    def size(self) -> int:
        """Return bytes of memory, about."""
        with self._lock:
            pending = len(self._pending) * (len(self._layout) * 8 + 200)
            return sum(piece.size for piece in self._pieces) + pending

    @property
    def newest(self) -> float | None:
        """Return the wall time of the newest tick, or None if there is none."""
        with self._lock:
            if self._pending:
                return self._pending[-1].time
            return self._pieces[-1].end if self._pieces else None
