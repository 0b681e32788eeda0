"""Rehearsal: rules over the recorded past, with the same judge as live, and what differs between two policies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resourced.decision import Decision, Level
from resourced.policy.judge import GAP_SECONDS, judge
from resourced.policy.observation import Tick
from resourced.policy.rule import Rule
from resourced.policy.state import JudgeState

OOM_KILLS = "resourced.memory.oom_kills"
"""The metric that tells of the kernel's own kills."""

LOOK_BACK_SECONDS = 600.0
"""A decision this long before a kill of the kernel counts as its warning; an earlier one is another matter."""

MOVED_SECONDS = 300.0
"""Two decisions of one rule within this are the same decision, moved."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill by the kernel that was recorded, and whether the rules would have come first."""

    time: float
    """Wall time at which it was seen."""
    decision_id: str | None
    """The first decision to prune before it; null if there was none."""
    seconds_before: float | None
    """How long before the kill that decision came."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What rules would have decided."""

    start: float | None
    """Wall time of the first tick; null if there was none."""
    end: float | None
    """Wall time of the last."""
    ticks: int
    """Ticks judged."""
    decisions: tuple[Decision, ...]
    """In the order in which they would have been taken."""
    kills: tuple[Kill, ...]
    """The kernel's own kills."""
    prunes: int
    """Decisions of level soft or hard."""
    prunes_per_day: float | None
    """The same for a day; null for less than a minute."""
    false_prunes: int
    """Decisions to prune that no kill of the kernel followed within ten minutes. Whether they were wrong is another
    question: a rule that prunes in time prevents the kill."""
    state: JudgeState
    """The judge after the last tick."""


def replay(
    ticks: Iterable[Tick],
    rules: tuple[Rule, ...],
    state: JudgeState | None = None,
    *,
    gap_seconds: float = GAP_SECONDS,
) -> ReplayResult:
    """Judge recorded ticks.

    Args:
        ticks: In order of time. Without snapshots decisions name no target.
        rules: From compile_rules.
        state: State of the judge before the first tick; by default it has seen nothing.
        gap_seconds: As for the judge; for a past of one tick a minute, two minutes or more.
    """
    state = state or JudgeState.empty()
    decisions: list[Decision] = []
    watch = _KillWatch()
    start = end = None
    count = 0
    for tick in ticks:
        judgement = judge(state, tick, rules, gap_seconds=gap_seconds)
        state = judgement.state
        decisions += judgement.decisions
        watch.see(tick)
        end = tick.time
        if start is None:
            start = end
        count += 1
    pruning = [each for each in decisions if each.level is not Level.WARN]
    span = end - start if end is not None and start is not None else 0.0
    return ReplayResult(
        start,
        end,
        count,
        tuple(decisions),
        tuple(_kill(time, before, pruning) for before, time in zip((0.0, *watch.times), watch.times, strict=False)),
        len(pruning),
        len(pruning) * 86400 / span if span >= 60 else None,
        sum(not any(0 <= time - d.time <= LOOK_BACK_SECONDS for time in watch.times) for d in pruning),
        state,
    )


class _KillWatch:
    """Finds the moments at which the kernel's count of kills grew."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._layout: object = None
        self._column: int | None = None
        self._count: float | None = None

    def see(self, tick: Tick) -> None:
        if tick.layout is not self._layout:
            self._layout = tick.layout
            self._column = next((n for n, each in enumerate(tick.layout) if each.metric == OOM_KILLS), None)
        count = tick.values[self._column] if self._column is not None else None
        if count is None:
            return
        if self._count is not None and count > self._count:
            self.times.append(tick.time)
        self._count = count


def _kill(time: float, before: float, pruning: Sequence[Decision]) -> Kill:
    """A decision before the kill of before belongs to that one."""
    earliest = max(before, time - LOOK_BACK_SECONDS)
    first = next((each for each in pruning if earliest < each.time <= time), None)
    return Kill(time, first.id if first else None, time - first.time if first else None)


@dataclass(frozen=True, slots=True)
class Moved:
    """One decision that both policies take, at another time or on another target."""

    old: Decision
    """As the one policy decides."""
    new: Decision
    """As the other does."""
    seconds: float
    """How much later the other is; negative if it is earlier."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two policies over the same past."""

    same: tuple[Decision, ...]
    """Taken by both at the same moment on the same target."""
    new: tuple[Decision, ...]
    """Taken by the second only."""
    gone: tuple[Decision, ...]
    """Taken by the first only."""
    moved: tuple[Moved, ...]
    """Taken by both, but earlier, later or on another target."""


def compare(old: Sequence[Decision], new: Sequence[Decision]) -> Comparison:
    """Return what differs between two lists of decisions over the same past, each in order of time."""
    rest = list(old)
    same: list[Decision] = []
    added: list[Decision] = []
    moved: list[Moved] = []
    for decision in new:
        near = [
            each
            for each in rest
            if (each.rule, each.instance) == (decision.rule, decision.instance)
            and abs(each.time - decision.time) <= MOVED_SECONDS
        ]
        if not near:
            added.append(decision)
            continue
        match = min(near, key=lambda each: abs(each.time - decision.time))
        rest.remove(match)
        if match.time == decision.time and _target(match) == _target(decision):
            same.append(decision)
        else:
            moved.append(Moved(match, decision, decision.time - match.time))
    return Comparison(tuple(same), tuple(added), tuple(rest), tuple(moved))


def _target(decision: Decision) -> str | None:
    return decision.target.key if decision.target else None
