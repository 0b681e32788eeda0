"""From a decision to its rungs: which are allowed, how long each is awaited, and whether the next is still needed."""

from collections.abc import Sequence

from resourced.decision import Decision, Phase, Step
from resourced.policy.rule import Rule, Rung
from resourced.policy.state import JudgeState


def rungs(rules: Sequence[Rule], decision: Decision) -> tuple[Rung, ...]:
    """Return the ladder of a decision, mildest first; empty if its rule is gone or names no target."""
    rule = next((each for each in rules if each.name == decision.rule), None)
    if rule is None or decision.target is None:
        return ()
    return rule.rungs


def next_rung(ladder: Sequence[Rung], taken: Sequence[Step]) -> Rung | None:
    """Return the rung after those that were taken; None at the end of the ladder."""
    return next((rung for rung in ladder if rung.step not in taken), None)


def still_needed(state: JudgeState, decision: Decision) -> bool:
    """Return whether the rule behind a decision still fires: looked at again before each rung."""
    if state.binding is None:
        return False
    return any(
        standing.phase is Phase.FIRING
        for bound, standing in zip(state.binding.instances, state.instances, strict=True)
        if (bound.rule.name, bound.name) == (decision.rule, decision.instance)
    )
