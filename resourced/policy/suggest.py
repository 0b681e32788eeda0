"""Thresholds from a machine's own past: what is usual here, what was the worst, and what would lie outside both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from resourced.policy.binding import Binding
from resourced.policy.expression import bounds
from resourced.policy.judge import judge
from resourced.policy.observation import Tick, layout_of
from resourced.policy.rule import Leaf, Rule
from resourced.policy.state import JudgeState

FEWEST_SAMPLES = 600
"""Ten minutes at a sample a second: less says nothing of what is usual."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A threshold that this machine's own past speaks for. Nothing applies it by itself."""

    rule: str
    """The rule."""
    metric: str
    """What is compared."""
    comparison: str
    """above or below."""
    present: float
    """Present threshold, in the metric's unit."""
    suggested: float
    """Threshold that the past speaks for."""
    unit: str
    """UCUM unit."""
    usual_low: float
    """1st percentile."""
    usual_high: float
    """99th percentile."""
    extreme: float
    """The value nearest to firing that was seen."""
    samples: int
    """Values seen."""
    reason: str
    """Why, for a person."""


def suggest(ticks: Iterable[Tick], rules: tuple[Rule, ...]) -> list[Suggestion]:
    """Return one suggestion for each comparison of rules of which enough is known.

    Args:
        ticks: The past, in order of time; taken from a time in which the machine was well.
        rules: The present rules.
    """
    seen: dict[tuple[str, int], list[float]] = {}
    state = JudgeState.empty()
    for tick in ticks:
        judgement = judge(state, tick, rules)
        state = judgement.state
        binding = state.binding
        if binding is not None:
            _collect(binding, judgement.computed, seen)
    return [
        found
        for rule in rules
        for number, leaf in enumerate(rule.leaves)
        if (found := of_values(rule.name, leaf, seen.get((rule.name, number), []))) is not None
    ]


def _collect(binding: Binding, values: Sequence[float | None], seen: dict[tuple[str, int], list[float]]) -> None:
    for instance in binding.instances:
        for offset in range(len(instance.rule.leaves)):
            value = values[binding.leaves[instance.first + offset].slot]
            if value is not None:
                seen.setdefault((instance.rule.name, offset), []).append(value)


def of_values(rule: str, leaf: Leaf, values: list[float]) -> Suggestion | None:
    """Return the suggestion for one comparison; None if too few values are known.

    The threshold lies beyond the worst that was seen, by half the distance between the usual and the worst, and at
    least a tenth of the metric's range or of the worst value: a rule that would have fired on a quiet machine is wrong.
    """
    if len(values) < FEWEST_SAMPLES:
        return None
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100]
    least, most = bounds(leaf.expression)
    if leaf.above:
        extreme = ordered[-1]
        room = max((extreme - high) / 2, 0.1 * (most if most <= 1 else abs(extreme)))
        suggested = min(extreme + room, most - (most - extreme) / 4 if most < 1e300 else extreme + room)
    else:
        extreme = ordered[0]
        room = max((low - extreme) / 2, 0.1 * abs(extreme))
        suggested = max(extreme - room, least + (extreme - least) / 4 if least > -1e300 else extreme - room)
    fires = leaf.holds(extreme, firing=False)
    side = "above" if leaf.above else "below"
    return Suggestion(
        rule,
        str(leaf.expression),
        side,
        leaf.threshold,
        suggested,
        leaf.expression.unit,
        low,
        high,
        extreme,
        len(values),
        f"98 of 100 values lay between {low:.4g} and {high:.4g}, the nearest to firing was {extreme:.4g}; "
        + (
            f"the present threshold {leaf.threshold:.4g} was passed, so that the rule may fire while all is well"
            if fires
            else f"the present threshold {leaf.threshold:.4g} was not passed"
        ),
    )


def suggest_from_columns(columns: Mapping[str, list[float | None]], rules: tuple[Rule, ...]) -> list[Suggestion]:
    """Return suggestions from values that were read as whole columns, one a series, at one sample a second.

    Raises:
        ValueError: The columns have different lengths.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise ValueError("columns of the past have different lengths")
    layout, _ = layout_of(dict.fromkeys(columns))
    rows = zip(*columns.values(), strict=True)
    return suggest((Tick(float(n), float(n), n, layout, row) for n, row in enumerate(rows)), rules)
