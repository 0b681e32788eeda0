"""Recorded ticks, one after the other, for those who want to go through the past: the policy's rehearsal, replay."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resourced.history.batch import MONOTONIC, SEQUENCE, TIME
from resourced.history.columns import Piece
from resourced.history.moment import put_tops
from resourced.history.reader import Session, StoredBlock
from resourced.history.shape import Tree, complete, put, section_type
from resourced.history.sources import find_sources
from resourced.history.topspack import read_frame
from resourced.series import Series
from resourced.snapshot import SECTIONS, Health, Snapshot

_CARRY_SECONDS = 60.0
_TOGETHER_SECONDS = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class RecordedTick:
    """One tick as it was recorded."""

    time: float
    """Wall time, seconds since the epoch."""
    monotonic_seconds: float
    """The same moment on CLOCK_MONOTONIC."""
    sequence: int
    """Number of the sample in its run of the daemon."""
    boot_id: str | None
    """Identity of the boot; None if unknown."""
    layout: tuple[Series, ...]
    """What the values are; the same object as long as nothing changes."""
    values: tuple[float | None, ...]
    """One a series; None where nothing was recorded."""
    tops: Mapping[str, Any] = field(default_factory=dict)
    """The sections cgroups and processes as trees, from the last recording of the largest, if it is not old."""

    def snapshot(self, *, full: bool = True) -> Snapshot:
        """Return it as a snapshot; what was not recorded is None.

        Args:
            full: Whether numbers of the machine are filled in; without, only cgroups and processes are, which takes a
                tenth of the time.
        """
        tree: Tree = dict(self.tops)
        if full:
            if "processes" in tree:
                tree["processes"] = dict(tree["processes"])
            if "gpus" in tree:
                devices = tree["gpus"]["devices"]
                tree["gpus"] = {"devices": {uuid: dict(device) for uuid, device in devices.items()}}
            for series, value in zip(self.layout, self.values, strict=True):
                if value is not None:
                    put(tree, series, value)
        sections = {name: complete(section_type(name), tree[name], objects=True) for name in SECTIONS if name in tree}
        health = {name: Health("ok", time=self.time) for name in sections}
        return Snapshot(
            self.sequence, self.time, self.monotonic_seconds, None, self.boot_id, **sections, collectors=health
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a stretch of ticks is: a piece in memory, or a block by its number."""

    piece: Piece | None
    """What is in memory."""
    block: int | None
    """Number of a block of single ticks."""


def find_stretches(pieces: Sequence[Piece], session: Session | None, since: float, until: float) -> list[Stretch]:
    """Return where the ticks of some time are, in the order in which they happened."""
    return [
        Stretch(None, source.holder.number) if isinstance(source.holder, StoredBlock) else Stretch(source.holder, None)
        for source in find_sources(pieces, session, 0, since, until)
        if not source.tier
    ]


class Ticks:
    """The ticks of one stretch after the other.

    Args:
        since: First moment, seconds since the epoch.
        until: First moment after the last.
        metrics: Names of the metrics wanted; None for all. Few are read many times as fast as all.
    """

    def __init__(self, since: float, until: float, metrics: Collection[str] | None = None) -> None:
        self._since = since
        self._until = until
        self._metrics = metrics
        self._layout: tuple[Series, ...] = ()
        self._tops: tuple[float, Tree] = (-math.inf, {})

    def load(self, stretch: Stretch, session: Session | None) -> list[RecordedTick]:
        """Return the ticks of a stretch; none if its block has gone meanwhile."""
        holder: Piece | StoredBlock | None = stretch.piece
        if session is not None and stretch.block is not None:
            holder = session.block(stretch.block)
        if holder is None:
            return []
        return list(self._read(holder))

    def _read(self, holder: Piece | StoredBlock) -> Iterator[RecordedTick]:
        import numpy as np  # noqa: PLC0415 - 15 MB that are not needed before the first question

        wanted = self._metrics
        names = tuple(each for each in holder.names() if wanted is None or each.metric in wanted)
        if names != self._layout:
            self._layout = names
        columns = [holder.column(series) for series in names]
        nothing = np.full(holder.count, np.nan)
        rows = np.column_stack([nothing if column is None else column for column in columns]) if names else None
        holes = None if rows is None else np.isnan(rows).any(axis=1).tolist()
        listed = None if rows is None else rows.tolist()
        stamps = zip(*(holder.own(which).tolist() for which in (TIME, MONOTONIC, SEQUENCE)), strict=True)
        recordings = _recordings(holder)
        for number, (time, monotonic, sequence) in enumerate(stamps):
            while recordings and recordings[0][0] <= time + _TOGETHER_SECONDS:
                self._tops = recordings.pop(0)
            if not self._since <= time < self._until:
                continue
            values: list[float | None] = []
            if listed is not None and holes is not None:
                values = listed[number]
                if holes[number]:
                    values = [None if value != value else value for value in values]  # noqa: PLR0124 - only NaN differs
            tops = self._tops[1] if 0 <= time + _TOGETHER_SECONDS - self._tops[0] <= _CARRY_SECONDS else {}
            yield RecordedTick(
                time,
                monotonic,
                int(sequence),
                holder.boot or None,
                self._layout,
                tuple(values),
                tops,
            )


def _recordings(holder: Piece | StoredBlock) -> list[tuple[float, Tree]]:
    """Return the recordings of the largest in a stretch, in the order in which they were made."""
    found: list[tuple[float, Tree]] = []
    if isinstance(holder, StoredBlock):
        blobs = holder.session.rows("SELECT data FROM tops WHERE first = ? ORDER BY id", (holder.first,))
        read = [read_frame(blob) for (blob,) in blobs]
    else:
        read = [read_frame(blob) for blob in holder.tops_blobs]
    for frame in read:
        for at, time in enumerate(frame.times.tolist()):
            tree: Tree = {}
            put_tops(tree, frame, at)
            found.append((time, tree))
    return found
