"""A rule, compiled: thresholds in base units, conditions as a tree over numbered leaves."""

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache

from resourced.decision import Level, Mode, Scope, Step
from resourced.policy.expression import Expression


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparison."""

    expression: Expression
    """What is compared."""
    above: bool
    """Whether it holds above the threshold, or below."""
    threshold: float
    """In the expression's unit."""
    clear: float
    """Once the rule fires, the comparison holds until the value passes this."""
    period_seconds: float
    """How long it must hold."""
    share: float
    """Share of that time, 0-1."""

    def holds(self, value: float, *, firing: bool) -> bool:
        """Return whether the comparison holds for a value."""
        threshold = self.clear if firing else self.threshold
        return value > threshold if self.above else value < threshold


class Join(StrEnum):
    """How conditions are joined."""

    ALL = "all"
    ANY = "any"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Node:
    """Joined conditions; an int is the number of a leaf."""

    join: Join
    parts: tuple["Tree", ...]


Tree = Node | int

Truth = bool | None
"""Yes, no, or not known."""

GAIN_UNITS: dict[str, str] = {
    "memory": "By",
    "swap": "By",
    "gpu_memory": "By",
    "cpu": "{cpu}",
    "io": "By/s",
    "pids": "{process}",
}
"""Unit of gains and usages by resource."""


def evaluate(tree: Tree, leaves: "list[Truth]") -> "Truth":
    """Return whether a condition holds; None if that can't be told from what is known."""
    if isinstance(tree, int):
        return leaves[tree]
    if tree.join is Join.NOT:
        inner = evaluate(tree.parts[0], leaves)
        return None if inner is None else not inner
    decisive = tree.join is Join.ANY
    known: Truth = not decisive
    for part in tree.parts:
        value = evaluate(part, leaves)
        if value is decisive:
            return decisive
        if value is None:
            known = None
    return known


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder."""

    step: Step
    """What is done."""
    grace_seconds: float
    """How long its effect is awaited."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Patterns; any that matches will do."""

    units: tuple[str, ...] = ()
    """systemd units."""
    slices: tuple[str, ...] = ()
    """Slices with everything below."""
    users: tuple[str, ...] = ()
    """User ids."""
    processes: tuple[str, ...] = ()
    """Command names."""

    def __bool__(self) -> bool:
        """Return whether anybody at all is meant."""
        return bool(self.units or self.slices or self.users or self.processes)

    def matches(self, *, unit: str | None, cgroup: str | None, uid: int | None, name: str | None) -> bool:
        """Return whether something with these properties is selected.

        Args:
            unit: Its systemd unit.
            cgroup: Path of its cgroup.
            uid: Its user.
            name: Its command name; None for what is no process.
        """
        return (
            (name is not None and bool(self.processes) and any_of(self.processes).match(name) is not None)
            or (uid is not None and bool(self.users) and any_of(self.users).match(str(uid)) is not None)
            or (unit is not None and bool(self.units) and any_of(self.units).match(unit) is not None)
            or (cgroup is not None and bool(self.units or self.slices) and _leads(self.units, self.slices, cgroup))
        )


@lru_cache(maxsize=256)
def any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return one expression for all patterns: a machine has a thousand processes to be looked at."""
    return re.compile("|".join(translate(pattern) for pattern in patterns) or r"(?!)")


@lru_cache(maxsize=4096)
def _leads(units: tuple[str, ...], slices: tuple[str, ...], cgroup: str) -> bool:
    """Return whether a path leads through one of these units or slices."""
    wanted = {False: any_of(units), True: any_of(slices)}
    return any(wanted[part.endswith(".slice")].match(part) for part in cgroup.split("/"))


@dataclass(frozen=True, slots=True)
class Shield:
    """What the owner of the machine says of everyone, for every rule."""

    protect: Selector = Selector()
    """Never pruned."""
    priorities: tuple[tuple[Selector, float], ...] = ()
    """Priority of what is selected, the first that matches; 0 for the rest; higher is more important."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What a target must free at least."""

    amount: float
    """In the resource's unit, or a share of its total."""
    relative: bool
    """Whether it is a share of the total."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    """Unique."""
    description: str
    """Why it exists."""
    level: Level
    """How grave."""
    mode: Mode
    """How far it may go."""
    tree: Tree
    """The condition."""
    leaves: tuple[Leaf, ...]
    """Its comparisons by number."""
    instance_label: str | None
    """Label whose values are judged apart (a GPU, a mount); None for the machine as a whole."""
    gpu: str | None
    """UUID of the GPU on which somebody gives way; a pattern for that of the instance, None for any."""
    user: str | None
    """Id of the user of whom something gives way; a pattern for that of the instance, None for any."""
    clear_seconds: float
    """How long the condition must be gone before the rule is over."""
    cooldown_seconds: float
    """How long after a decision no further one is taken."""
    warmup_seconds: float
    """How long the machine must have been watched."""
    resource: str
    """memory, swap, gpu_memory, cpu, io or pids."""
    gain: Gain
    """What a target must free at least."""
    scope: Scope
    """What is pruned."""
    rank: tuple[tuple[str, float], ...]
    """Strategies with weights."""
    rungs: tuple[Rung, ...]
    """The ladder."""
    ladder_seconds: float
    """How long a target is dealt with if all of it is taken."""
    asking_seconds: float
    """How long registered workloads may be awaited before its first step."""
    only: Selector | None
    """If given, nothing else may be pruned."""
    spare: Selector | None
    """These may not be pruned."""
    shield: Shield
    """What the owner of the machine says of everyone."""

    @property
    def prunes(self) -> bool:
        """Whether the rule asks for something to give way; a rule of level warn only speaks."""
        return self.level is not Level.WARN

    @property
    def busy_seconds(self) -> float:
        """How long after a decision its target is dealt with; 0 for a rule that does nothing by itself."""
        return self.ladder_seconds if self.prunes and self.mode is Mode.ENFORCE else 0.0
