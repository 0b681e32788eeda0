"""A rule fires: put together the decision, with everyone who was considered."""

from collections.abc import Sequence

from resourced.decision import Candidate, Decision, Evidence, Mode, decision_id
from resourced.policy.binding import Binding, Instance
from resourced.policy.candidates import population_of
from resourced.policy.evidence import evidence
from resourced.policy.observation import Tick
from resourced.policy.ranking import MOST_SHOWN, eligible, rank
from resourced.policy.rule import GAIN_UNITS, Rule
from resourced.policy.state import Held

_SHOWN_OF_WARNINGS = 10


def decide(
    tick: Tick,
    instance: Instance,
    binding: Binding,
    computed: Sequence[float | None],
    leaves: Sequence[Held | None],
    *,
    held_seconds: float,
    flapping: bool,
    tried: dict[str, float],
) -> Decision:
    """Return the decision of a rule that fires.

    Args:
        tick: The moment.
        instance: The rule, for one GPU, mount or interface, or for the machine.
        binding: Rules and layout, for which `computed` holds values by slot and `leaves` how long each has held.
        computed: Values by slot.
        leaves: By number.
        held_seconds: How long the whole condition has held.
        flapping: Whether the rule began to fire again and again.
        tried: Seconds since somebody was chosen in vain, by key.
    """
    rule = instance.rule
    ranked = rank(population_of(tick, rule, instance.name), rule, tried)
    target = next((each for each in ranked if eligible(each)), None) if rule.prunes else None
    return Decision(
        id=decision_id(tick.time, rule.name, instance.name),
        time=tick.time,
        monotonic_seconds=tick.monotonic_seconds,
        sequence=tick.sequence,
        rule=rule.name,
        instance=instance.name,
        level=rule.level,
        mode=rule.mode,
        held_seconds=held_seconds,
        evidence=_evidence(tick, instance, binding, computed, leaves),
        machine={str(binding.layout[each.column]): tick.values[each.column] for each in binding.readers},
        candidates=tuple(_shown(ranked, rule)),
        target=target,
        steps=tuple(rung.step for rung in rule.rungs) if target is not None or not rule.prunes else (),
        expected_gain=target.expected_gain if target is not None else None,
        gain_unit=GAIN_UNITS[rule.resource],
        reason=_reason(tick, rule, ranked, target, flapping=flapping),
    )


def _evidence(
    tick: Tick, instance: Instance, binding: Binding, computed: Sequence[float | None], leaves: Sequence[Held | None]
) -> tuple[Evidence, ...]:
    return tuple(
        evidence(binding, binding.leaves[number], computed, leaves[number], tick, firing=False)
        for number in range(instance.first, instance.first + len(instance.rule.leaves))
    )


def _shown(ranked: list[Candidate], rule: Rule) -> list[Candidate]:
    """The best of those that may be pruned, and of the protected those that hold most."""
    most = MOST_SHOWN if rule.prunes else _SHOWN_OF_WARNINGS
    if len(ranked) <= most:
        return ranked
    free = [each for each in ranked if each.protected is None][: most * 3 // 4]
    kept = sorted((each for each in ranked if each.protected), key=lambda each: (-(each.usage or 0.0), each.key))
    return free + kept[: most - len(free)]


def _reason(tick: Tick, rule: Rule, ranked: list[Candidate], target: Candidate | None, *, flapping: bool) -> str | None:
    parts: list[str] = []
    if not rule.prunes:
        parts.append("the rule only warns")
    elif target is None:
        parts.append(_nobody(tick, ranked))
    if flapping:
        parts.append("the rule flaps: it began to fire three times within 15 min")
    if rule.mode is Mode.ADVISE and target is not None:
        parts.append("the rule advises: nothing is done unless someone approves")
    return "; ".join(parts) or None


def _nobody(tick: Tick, ranked: list[Candidate]) -> str:
    if tick.source is None:
        return "only numbers are known of this moment, not who held what"
    if not ranked:
        return "there is nothing of the rule's scope"
    if all(each.protected for each in ranked):
        return "everything of the rule's scope is protected"
    return "nothing that may be pruned would free enough"
