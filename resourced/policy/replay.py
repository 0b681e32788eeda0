"""Rehearsal: rules over the recorded past, with the same judge as live, and what they would have forestalled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resourced.decision import Decision, Level
from resourced.policy.judge import GAP_SECONDS, judge
from resourced.policy.observation import Tick
from resourced.policy.rule import Rule
from resourced.policy.state import JudgeState
from resourced.series import Series

OOM_KILLS = Series("resourced.memory.oom_kills")
"""What tells of the kernel's own kills."""

STALLED = Series("resourced.pressure.stalled.share", (("resource", "memory"),))
"""What tells of a machine on which nobody gets on for want of memory."""

STALLED_SHARE, STALLED_SECONDS = 0.5, 10.0
"""A stall: all tasks waited for memory for more than half of the time, ten seconds long. People call that a freeze."""

LOOK_BACK_SECONDS = 600.0
"""A decision this long before a kill or a stall counts as its warning; an earlier one is another matter."""


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
class Stall:
    """A time in which nobody got on for want of memory, and whether the rules would have come first."""

    time: float
    """Wall time at which it began."""
    seconds: float
    """How long it lasted."""
    decision_id: str | None
    """The first decision to prune before it; null if there was none."""
    seconds_before: float | None
    """How long before its beginning that decision came."""


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
    stalls: tuple[Stall, ...]
    """Times in which nobody got on for want of memory."""
    prunes: int
    """Decisions of level soft or hard."""
    prunes_per_day: float | None
    """The same for a day; null for less than a minute."""
    false_prunes: int
    """Decisions to prune that fell into no stall and that neither a kill nor a stall followed within ten minutes.
    Whether they were wrong is another question: a rule that prunes in time prevents the kill."""
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
    course = Replay(rules, state, gap_seconds=gap_seconds)
    for tick in ticks:
        course.see(tick)
    return course.result()


class Replay:
    """Judges recorded ticks one by one, so that several policies can go through one past together.

    The arguments are those of `replay`.
    """

    def __init__(
        self, rules: tuple[Rule, ...], state: JudgeState | None = None, *, gap_seconds: float = GAP_SECONDS
    ) -> None:
        self._rules = rules
        self._state = state or JudgeState.empty()
        self._gap = gap_seconds
        self._decisions: list[Decision] = []
        self._watch = Watch()
        self._sequence = 0

    def see(self, tick: Tick) -> None:
        """Judge the next tick; where samples are numbered anew the daemon was started again."""
        if tick.sequence < self._sequence:
            self._state = self._state.after_restart()
        self._sequence = tick.sequence
        judgement = judge(self._state, tick, self._rules, gap_seconds=self._gap)
        self._state = judgement.state
        self._decisions += judgement.decisions
        self._watch.see(tick)

    def result(self) -> ReplayResult:
        """Return what was decided so far."""
        return self._watch.result(self._decisions, self._state)


class Watch:
    """Finds the moments at which the kernel's count of kills grew, and the times in which nobody got on."""

    def __init__(self) -> None:
        self.start: float | None = None
        self.end: float | None = None
        self.ticks = 0
        self._kills: list[float] = []
        self._stalls: list[tuple[float, float]] = []
        self._layout: object = None
        self._columns: tuple[int | None, int | None] = (None, None)
        self._count: float | None = None
        self._stalled: tuple[float, float] | None = None

    def see(self, tick: Tick) -> None:
        """Look at one tick."""
        if self.start is None:
            self.start = tick.time
        self.end = tick.time
        self.ticks += 1
        if tick.layout is not self._layout:
            self._layout = tick.layout
            places = {series: column for column, series in enumerate(tick.layout)}
            self._columns = places.get(OOM_KILLS), places.get(STALLED)
        kills, stalled = self._columns
        if kills is not None and (count := tick.values[kills]) is not None:
            if self._count is not None and count > self._count:
                self._kills.append(tick.time)
            self._count = count
        if stalled is not None:
            self._see_stall(tick.time, tick.values[stalled])

    def _see_stall(self, time: float, share: float | None) -> None:
        if share is not None and share > STALLED_SHARE:
            self._stalled = (self._stalled[0] if self._stalled else time, time)
        elif self._stalled is not None:
            self._stalls += self._under_way()
            self._stalled = None

    def _under_way(self) -> list[tuple[float, float]]:
        """The stall that has not ended, if it is long enough to be one."""
        now = self._stalled
        return [now] if now is not None and now[1] - now[0] >= STALLED_SECONDS else []

    def result(self, decisions: Sequence[Decision], state: JudgeState) -> ReplayResult:
        """Return decisions over what was seen, each with what it forestalled."""
        pruning = [each for each in decisions if each.level is not Level.WARN]
        span = self.end - self.start if self.end is not None and self.start is not None else 0.0
        kills, stalls = self._kills, [*self._stalls, *self._under_way()]
        ends = [0.0, *(end for _, end in stalls)]
        return ReplayResult(
            self.start,
            self.end,
            self.ticks,
            tuple(decisions),
            tuple(Kill(at, *_warning(at, before, pruning)) for before, at in zip([0.0, *kills], kills, strict=False)),
            tuple(
                Stall(at, end - at, *_warning(at, before, pruning))
                for before, (at, end) in zip(ends, stalls, strict=False)
            ),
            len(pruning),
            len(pruning) * 86400 / span if span >= 60 else None,
            sum(not _deserved(each.time, kills, stalls) for each in pruning),
            state,
        )


def _deserved(time: float, kills: Sequence[float], stalls: Sequence[tuple[float, float]]) -> bool:
    return any(0 <= at - time <= LOOK_BACK_SECONDS for at in kills) or any(
        begun - LOOK_BACK_SECONDS <= time <= end for begun, end in stalls
    )


def _warning(time: float, before: float, pruning: Sequence[Decision]) -> tuple[str | None, float | None]:
    """The first decision before a trouble; one before the trouble of before belongs to that one."""
    earliest = max(before, time - LOOK_BACK_SECONDS)
    first = next((each for each in pruning if earliest < each.time <= time), None)
    return (first.id, time - first.time) if first else (None, None)
