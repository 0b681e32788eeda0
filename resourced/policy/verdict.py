"""The answer to "should something be pruned?", put together from a state when someone asks."""

from collections.abc import Sequence

from resourced.decision import Decision, Phase, RuleState, Verdict
from resourced.policy.evidence import evidence
from resourced.policy.observation import Tick
from resourced.policy.state import JudgeState


def verdict(state: JudgeState, tick: Tick, computed: Sequence[float | None]) -> Verdict:
    """Return the verdict on a tick.

    Args:
        state: What the judge made of the tick.
        tick: The tick.
        computed: Values by slot of the state's binding.
    """
    rules = rule_states(state, tick, computed)
    firing = [each for each in rules if each.phase is Phase.FIRING]
    pruning = {(r.rule, r.instance) for r in firing if _prunes(r)}
    decisions = sorted((d for _, d in state.decisions), key=lambda d: (d.time, d.id), reverse=True)
    missing = {f"{e.metric}: {e.reason}": None for each in rules for e in each.evidence if e.value is None}
    return Verdict(
        prune=bool(pruning),
        time=tick.time,
        sequence=tick.sequence,
        reasons=tuple(_reason(each, decisions) for each in firing) or _quiet(rules, missing),
        rules=rules,
        decisions=tuple(d for d in decisions if any(r.rule == d.rule and r.instance == d.instance for r in firing)),
        missing=tuple(missing),
    )


def rule_states(state: JudgeState, tick: Tick, computed: Sequence[float | None]) -> tuple[RuleState, ...]:
    """Return where every rule stands for every instance."""
    binding = state.binding
    if binding is None:
        return ()
    now, states = tick.monotonic_seconds, []
    for number, (instance, standing) in enumerate(zip(binding.instances, state.instances, strict=True)):
        firing = standing.phase in (Phase.FIRING, Phase.CLEARING)
        states.append(
            RuleState(
                instance.rule.name,
                instance.name,
                instance.rule.level,
                instance.rule.mode,
                standing.phase,
                standing.since_wall or tick.time,
                now - standing.true_since if standing.true_since is not None else 0.0,
                tuple(
                    evidence(binding, bound, computed, state.leaves[instance.first + offset], tick, firing=firing)
                    for offset, bound in enumerate(binding.leaves_of(number))
                ),
            )
        )
    return tuple(states)


def _prunes(state: RuleState) -> bool:
    return state.level.value != "warn"


def _reason(state: RuleState, decisions: list[Decision]) -> str:
    found = next((d for d in decisions if d.rule == state.rule and d.instance == state.instance), None)
    if found is not None:
        return str(found)
    about = f" for {state.instance}" if state.instance else ""
    return f"{state.level} rule {state.rule}{about} fires and waits for what was done before to take effect"


def _quiet(rules: tuple[RuleState, ...], missing: dict[str, None]) -> tuple[str, ...]:
    if not rules:
        return ("no rule applies to this machine",)
    if missing and all(e.value is None for each in rules for e in each.evidence):
        return ("nothing that the rules read is known now",)
    return ()
