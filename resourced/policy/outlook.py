"""Would I be pruned, and how near is it: the margin to each threshold and the time left at the present slope."""

from collections.abc import Sequence
from dataclasses import dataclass

from resourced.decision import Candidate, Level, Mode, Phase, Scope
from resourced.policy.binding import Instance
from resourced.policy.candidates import population_of
from resourced.policy.judge import Judgement
from resourced.policy.observation import Tick
from resourced.policy.ranking import eligible, rank
from resourced.policy.rule import Leaf
from resourced.policy.state import JudgeState


@dataclass(frozen=True, slots=True)
class Margin:
    """How far one comparison is from holding."""

    metric: str
    """Series or derived expression."""
    comparison: str
    """above or below."""
    threshold: float
    """In the metric's unit."""
    unit: str
    """UCUM unit."""
    value: float | None
    """The newest value; null if missing or stale."""
    margin: float | None
    """How far the value is from the threshold, in the metric's unit; 0 or less if the comparison holds."""
    seconds_left: float | None
    """Time until the threshold is crossed at the present slope, and its period over; null if it isn't approached."""


@dataclass(frozen=True, slots=True)
class RuleOutlook:
    """What one rule would do to the one who asks."""

    rule: str
    """Name of the rule."""
    instance: str
    """Which of several; empty for the machine."""
    level: Level
    """How grave."""
    mode: Mode
    """How far it may go."""
    phase: Phase
    """Where it stands."""
    place: int | None
    """Place among those that may be pruned, 1 goes first; null if it would not be pruned by this rule."""
    of: int
    """How many may be pruned."""
    candidate: Candidate | None
    """The one who asks, with score by term; null if nothing of the rule's scope stands for it."""
    margins: tuple[Margin, ...]
    """Each comparison of the rule."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The answer to one who asks whether it would be pruned."""

    prune: bool
    """Whether it is the one that would be pruned now: a rule fires, and it goes first."""
    next: bool
    """Whether it would go first if some rule fired now."""
    seconds_left: float | None
    """Time until some rule that would take it first may fire at the present slopes; null if none is approached."""
    protected: str | None
    """Why it may not be pruned by any rule; null if it may by some."""
    found: bool
    """Whether it exists in the snapshot."""
    rules: tuple[RuleOutlook, ...]
    """Every rule that prunes."""


Slope = tuple[float, float]
"""(units a second, seconds it was seen over)."""


def outlook(
    now: Judgement,
    before: Judgement | None = None,
    *,
    pid: int | None = None,
    unit: str | None = None,
    workload: str | None = None,
) -> Outlook:
    """Return how near someone is to being pruned.

    Args:
        now: The newest judgement.
        before: One from some seconds before, for the slopes; None if there is none.
        pid: The process that asks.
        unit: The unit that asks.
        workload: The id or name of the registered workload that asks.
    """
    state, binding = now.state, now.state.binding
    if binding is None:
        return Outlook(prune=False, next=False, seconds_left=None, protected=None, found=False, rules=())
    wanted = _Wanted(now.tick, pid, unit, workload)
    rules = tuple(
        _of_rule(before, now, number, instance, wanted)
        for number, instance in enumerate(binding.instances)
        if instance.rule.prunes
    )
    mine = [each for each in rules if each.candidate is not None]
    left = [seconds for each in mine if each.place == 1 and (seconds := _nearest(each, state)) is not None]
    reasons = [each.candidate.protected for each in mine if each.candidate is not None]
    return Outlook(
        prune=any(each.place == 1 and each.phase is Phase.FIRING for each in mine),
        next=any(each.place == 1 for each in mine),
        seconds_left=min(left, default=None),
        protected=reasons[0] if reasons and all(reasons) else None,
        found=wanted.found,
        rules=rules,
    )


class _Wanted:
    """Finds the candidate that stands for the one who asks, whatever the scope of a rule is."""

    def __init__(self, tick: Tick, pid: int | None, unit: str | None, workload: str | None) -> None:
        lease = next(
            (each for each in tick.workloads if workload is not None and workload in (each.id, each.name)), None
        )
        self.pid = lease.pid if lease and pid is None else pid
        self.workload = lease.name if lease else None
        self.lease_pid = lease.pid if lease else None
        snapshot = tick.snapshot
        processes = snapshot.processes.items if snapshot and snapshot.processes else ()
        nodes = snapshot.cgroups.nodes if snapshot and snapshot.cgroups else {}
        process = next((each for each in processes if each.pid == self.pid), None)
        self.uid = process.uid if process else None
        self.cgroup = process.cgroup if process else lease.cgroup if lease else None
        if unit is not None:
            self.cgroup = next((path for path in nodes if path.rpartition("/")[2] == unit), None)
        self.found = process is not None or self.cgroup is not None or lease is not None

    def is_in(self, candidate: Candidate, members: dict[str, frozenset[int]]) -> bool:
        if candidate.scope is Scope.WORKLOAD:
            mine = candidate.pid in (None, self.lease_pid)  # several may have one name
            return self.workload is not None and candidate.name == self.workload and mine
        if candidate.scope is Scope.USER:
            return self.uid is not None and candidate.uid == self.uid
        if candidate.scope in (Scope.UNIT, Scope.SLICE):
            return self.cgroup is not None and f"{self.cgroup}/".startswith(f"{candidate.cgroup}/")
        if self.pid is not None:
            return candidate.pid == self.pid or self.pid in members.get(candidate.key, ())
        return self.cgroup is not None and candidate.cgroup == self.cgroup


def _of_rule(before: Judgement | None, now: Judgement, number: int, instance: Instance, wanted: _Wanted) -> RuleOutlook:
    rule = instance.rule
    population = population_of(now.tick, rule, instance.name)
    ranked = rank(population, rule, {})
    members = population.members_by_key(rule.scope) if rule.scope is Scope.TREE else {}
    free = [each for each in ranked if eligible(each)]
    mine = next((each for each in ranked if wanted.is_in(each, members)), None)
    place = free.index(mine) + 1 if mine is not None and mine in free else None
    return RuleOutlook(
        rule.name,
        instance.name,
        rule.level,
        rule.mode,
        now.state.instances[number].phase,
        place,
        len(free),
        mine,
        _margins(before, now, instance),
    )


def _margins(before: Judgement | None, now: Judgement, instance: Instance) -> tuple[Margin, ...]:
    binding = now.state.binding
    if binding is None:
        return ()
    comparable = before is not None and before.state.binding is binding
    found = []
    for bound in binding.leaves[instance.first : instance.first + len(instance.rule.leaves)]:
        value = now.computed[bound.slot]
        slope = None
        if comparable and before is not None:
            elapsed = now.tick.monotonic_seconds - before.tick.monotonic_seconds
            old = before.computed[bound.slot]
            if elapsed > 0 and old is not None and value is not None:
                slope = (value - old) / elapsed
        found.append(_margin(bound.leaf, value, slope))
    return tuple(found)


def _margin(leaf: Leaf, value: float | None, slope: float | None) -> Margin:
    margin = left = None
    if value is not None:
        margin = leaf.threshold - value if leaf.above else value - leaf.threshold
        nearing = None if slope is None else (slope if leaf.above else -slope)
        if margin <= 0:
            left = leaf.period_seconds
        elif nearing is not None and nearing > 0:
            left = margin / nearing + leaf.period_seconds
    return Margin(
        str(leaf.expression),
        "above" if leaf.above else "below",
        leaf.threshold,
        leaf.expression.unit,
        value,
        margin,
        left,
    )


def _nearest(it: RuleOutlook, state: JudgeState) -> float | None:
    """A lower bound: the soonest moment at which the rule's tree could hold, from its leaves' own times."""
    binding = state.binding
    if it.phase is Phase.FIRING:
        return 0.0
    rule = next(
        (each.rule for each in binding.instances if each.rule.name == it.rule and each.name == it.instance), None
    ) if binding else None  # fmt: skip
    return _time_of(rule.tree, [each.seconds_left for each in it.margins]) if rule else None


def _time_of(tree: object, leaves: Sequence[float | None]) -> float | None:
    if isinstance(tree, int):
        return leaves[tree]
    parts = [_time_of(part, leaves) for part in getattr(tree, "parts", ())]
    known = [part for part in parts if part is not None]
    join = getattr(tree, "join", "not")
    if join == "any":
        return min(known, default=None)
    if join == "all":
        return max(known) if len(known) == len(parts) else None
    return None
