"""Comparisons with their numbers, and the reason where a number is missing."""

from collections.abc import Sequence

from resourced.decision import Evidence
from resourced.policy.binding import ABSENT, Binding, BoundLeaf
from resourced.policy.expression import readings
from resourced.policy.observation import Tick
from resourced.policy.state import Held
from resourced.policy.words import say


def evidence(
    binding: Binding,
    bound: BoundLeaf,
    computed: Sequence[float | None],
    held: Held | None,
    tick: Tick,
    *,
    firing: bool,
) -> Evidence:
    """Return what one comparison says now."""
    leaf, value = bound.leaf, computed[bound.slot]
    holds = None if value is None else leaf.holds(value, firing=firing)
    return Evidence(
        metric=str(leaf.expression),
        comparison="above" if leaf.above else "below",
        threshold=leaf.threshold,
        unit=leaf.expression.unit,
        value=value,
        holds=holds,
        held_seconds=held.seconds if held else 0.0,
        period_seconds=leaf.period_seconds,
        samples=held.samples if held else int(value is not None),
        agreeing=held.agreeing if held else 0,
        share_required=leaf.share,
        reason=None if value is not None else why_missing(binding, bound, tick),
        words=say(str(leaf.expression)),
    )


def why_missing(binding: Binding, bound: BoundLeaf, tick: Tick) -> str:
    """Return why a comparison has no value."""
    if bound.slot == ABSENT:
        return "this machine does not have it"
    names = {reading.metric.name for reading in readings(bound.leaf.expression)}
    for reader in binding.readers:
        series = binding.layout[reader.column]
        if series.metric not in names:
            continue
        value = tick.values[reader.column]
        if value is None:
            return f"{series} is missing or stale"
        limit = tick.values[reader.ceiling] if reader.ceiling >= 0 else None
        if not reader.low <= value <= reader.high or (limit is not None and value > limit):
            return f"{series} is impossible: {value:.6g}"
    missing = [r for r in readings(bound.leaf.expression) if r.metric.name not in {s.metric for s in binding.layout}]
    if missing:
        return f"this machine does not have {missing[0]}"
    return "there is not enough history yet"
