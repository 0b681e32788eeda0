"""Looking again before a step: does the rule still ask for it, is the target still there, and may it be touched?"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from resourced.decision import Candidate, Decision, Mode, Phase
from resourced.policy.candidates import Population, Thing, gather, population_of
from resourced.policy.judge import Judgement
from resourced.policy.observation import Tick
from resourced.policy.protection import protection
from resourced.policy.rule import Rule
from resourced.policy.state import Standing

SLOPE_SECONDS = 2.0
"""How long something must have been watched before its slope counts: a program that starts takes in a moment what it
holds, which would forecast the end of the machine."""


class Need(StrEnum):
    """Whether a decision is still wanted."""

    FIRING = "firing"
    """Its rule fires on."""
    HOLDING = "holding"
    """The condition is gone, though not for long enough: nothing more is done and nothing is undone yet."""
    OVER = "over"
    """The rule has recovered, or is there no more."""
    UNKNOWN = "unknown"
    """It can't be told now."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen when something is looked at again."""

    need: Need
    """Whether the decision is still wanted."""
    mode: Mode = Mode.OFF
    """How far its rule may go by now."""
    found: bool = False
    """Whether the candidate is still there."""
    protected: str | None = None
    """Why it may not be pruned; null if it may."""
    members: tuple[tuple[int, int], ...] = ()
    """Its processes: pid, and clock ticks after boot at which each started."""
    usage: float | None = None
    """What it holds of the resource by now."""
    left: float | None = None
    """What the machine has left of the resource; null where that has no meaning (cpu, io, pids)."""
    seconds_left: float | None = None
    """Time until nothing is left of it at the present slope; null if it doesn't fall, or can't be told."""


def look_again(
    judgement: Judgement,
    rules: Sequence[Rule],
    decision: Decision,
    candidate: Candidate | None,
    before: Judgement | None = None,
) -> Look:
    """Return what the newest judgement says of a decision and of one of its candidates.

    Args:
        judgement: The newest.
        rules: The rules in force.
        decision: What was decided earlier, perhaps by rules that have been changed since.
        candidate: Whom to look for; None if nobody.
        before: A judgement from some seconds before, for the slope; None if there is none.
    """
    rule = next((each for each in rules if each.name == decision.rule), None)
    if rule is None:
        return Look(Need.OVER)
    need, tick = _need(judgement, decision), judgement.tick
    population = population_of(tick, rule, decision.instance)
    thing = _find(population, candidate)
    left = left_of(tick, rule.resource, population.gpu)
    earlier = left_of(before.tick, rule.resource, population.gpu) if before is not None else None
    elapsed = tick.monotonic_seconds - before.tick.monotonic_seconds if before is not None else 0.0
    return Look(
        need,
        rule.mode,
        found=thing is not None,
        protected=protection(thing, tick, rule) if thing is not None else None,
        members=tuple((each.pid, each.start_time_ticks) for each in thing.members) if thing is not None else (),
        usage=thing.usage if thing is not None else None,
        left=left,
        seconds_left=seconds_until_gone(earlier, left, elapsed),
    )


def seconds_until_gone(before: float | None, now: float | None, elapsed_seconds: float) -> float | None:
    """Return after how long nothing is left of what was `before` and is `now`.

    None if it doesn't fall, or was not watched for long enough to tell.
    """
    if before is None or now is None or elapsed_seconds < SLOPE_SECONDS or now >= before:
        return None
    return now * elapsed_seconds / (before - now)


def need_of(judgement: Judgement, rules: Sequence[Rule], decision: Decision) -> Need:
    """Return whether a decision is still wanted, without looking for anybody."""
    if all(each.name != decision.rule for each in rules):
        return Need.OVER
    return _need(judgement, decision)


def calm(judgement: Judgement, decision: Decision) -> bool:
    """Return whether the rule of a decision doesn't fire, and its condition is known not to hold just now either."""
    if judgement.state.binding is None:
        return False
    standing = _standing(judgement, decision)
    return standing is None or (standing.true_since is None and standing.phase not in (Phase.FIRING, Phase.CLEARING))


def left_of(tick: Tick, resource: str, gpu: str | None) -> float | None:
    """Return what the machine has left of a resource at a tick; None if unknown or without meaning."""
    snapshot = tick.snapshot
    if snapshot is None:
        return None
    if resource == "gpu_memory":
        devices = snapshot.gpus.devices if snapshot.gpus else {}
        free = [each.memory_free_bytes for uuid, each in devices.items() if gpu in (None, uuid)]
        known = [each for each in free if each is not None]
        return float(sum(known)) if known else None
    if snapshot.memory is None or resource not in ("memory", "swap"):
        return None
    left = snapshot.memory.available_bytes if resource == "memory" else snapshot.memory.swap_free_bytes
    return None if left is None else float(left)


def _need(judgement: Judgement, decision: Decision) -> Need:
    if judgement.state.binding is None:
        return Need.UNKNOWN
    standing = _standing(judgement, decision)
    if standing is None:
        return Need.OVER
    if standing.phase is Phase.FIRING:
        return Need.FIRING
    return Need.HOLDING if standing.phase is Phase.CLEARING else Need.OVER


def _standing(judgement: Judgement, decision: Decision) -> Standing | None:
    """Return how the rule of a decision stands; None if it isn't judged (any more)."""
    state = judgement.state
    if state.binding is None:
        return None
    for bound, standing in zip(state.binding.instances, state.instances, strict=True):
        if (bound.rule.name, bound.name) == (decision.rule, decision.instance):
            return standing
    return None


def _find(population: Population, candidate: Candidate | None) -> Thing | None:
    if candidate is None:
        return None
    wanted = candidate.key, candidate.gpu  # one process may be a candidate on several GPUs
    return next((each for each in gather(population, candidate.scope) if (each.key, each.gpu) == wanted), None)
