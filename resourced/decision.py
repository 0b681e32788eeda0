"""What the policy says and what came of it, as data: the same objects reach the journal, the store and the API."""

import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How grave a rule is."""

    WARN = "warn"
    SOFT = "soft"
    HARD = "hard"


class Mode(StrEnum):
    """How far a rule may go: off is not judged, observe records, advise waits for approval, enforce acts."""

    OFF = "off"
    OBSERVE = "observe"
    ADVISE = "advise"
    ENFORCE = "enforce"


class Step(StrEnum):
    """The rungs of the ladder, mildest first."""

    NOTIFY = "notify"
    RECLAIM = "reclaim"
    THROTTLE = "throttle"
    FREEZE = "freeze"
    TERMINATE = "terminate"
    KILL = "kill"


class Scope(StrEnum):
    """What a candidate is."""

    PROCESS = "process"
    TREE = "tree"
    UNIT = "unit"
    SLICE = "slice"
    USER = "user"
    GPU_PROCESS = "gpu_process"
    WORKLOAD = "workload"


class Phase(StrEnum):
    """Where a rule stands for one instance (one GPU, mount, interface, cgroup, or the machine)."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    CLEARING = "clearing"
    COOLING = "cooling"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One comparison with its numbers."""

    metric: str
    """Series as rules write it: canonical name with labels, or a derived expression."""
    comparison: str
    """above or below."""
    threshold: float
    """In the metric's unit."""
    unit: str
    """UCUM unit of value and threshold."""
    value: float | None
    """The newest value; null if missing or stale."""
    holds: bool | None
    """Whether the comparison holds now; null if it can't be told."""
    held_seconds: float
    """How long it has held without a break."""
    period_seconds: float
    """How long it must hold."""
    samples: int
    """Samples seen in the period."""
    agreeing: int
    """Samples in the period for which the comparison held."""
    share_required: float
    """Share of the samples that must agree, 0-1."""
    reason: str | None = None
    """Why it can't be told."""
    words: str = ""
    """The metric as people say it; empty in what an older release recorded."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that could give way, with its score and what protects it."""

    scope: Scope
    """What kind of thing it is."""
    key: str
    """Identity that survives reuse: "pid:start" of a process, path and inode of a cgroup, uid of a user."""
    name: str
    """What a person calls it: command name, unit name, user name."""
    pid: int | None = None
    """Process id, or the leader's."""
    start_time_ticks: int | None = None
    """Start of the process, clock ticks after boot."""
    cgroup: str | None = None
    """Path in the cgroup tree."""
    unit: str | None = None
    """systemd unit."""
    uid: int | None = None
    """Owner."""
    gpu: str | None = None
    """UUID of the GPU concerned."""
    usage: float | None = None
    """What it holds of the resource in question, in the gain's unit."""
    expected_gain: float | None = None
    """What would be freed, in the gain's unit."""
    score: float = 0.0
    """Sum of the terms; the highest gives way first."""
    terms: dict[str, float] = field(default_factory=dict)
    """Score by term."""
    protected: str | None = None
    """Why it may not be pruned; null if it may."""
    note: str | None = None
    """Why it was passed over or put last, though it may be pruned."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One rule's verdict at one moment, complete enough to be understood years later."""

    id: str
    """20 hexadecimal digits, sortable by time."""
    time: float
    """Wall time, seconds since the epoch."""
    monotonic_seconds: float
    """The same moment on CLOCK_MONOTONIC."""
    sequence: int
    """Number of the sample that led to it."""
    rule: str
    """Name of the rule."""
    instance: str
    """Which of several: labels of the GPU, mount, interface or cgroup; empty for the machine."""
    level: Level
    """How grave."""
    mode: Mode
    """How far it may go."""
    held_seconds: float
    """How long the rule's condition has held."""
    evidence: tuple[Evidence, ...]
    """Every comparison that led to it."""
    machine: dict[str, float | None]
    """The machine's state by series name."""
    candidates: tuple[Candidate, ...] = ()
    """Everything considered, best first, the protected last."""
    target: Candidate | None = None
    """What must give way; null if the rule only warns or nothing may be pruned."""
    steps: tuple[Step, ...] = ()
    """What would be done, mildest first."""
    expected_gain: float | None = None
    """What the target would free."""
    gain_unit: str | None = None
    """UCUM unit of gains and usages."""
    reason: str | None = None
    """Why there is no target, or what is special."""

    def __str__(self) -> str:
        """Return the journal's line."""
        about = f" for {self.instance}" if self.instance else ""
        shown = "; ".join(
            f"{e.words or e.metric} {_number(e.value)} {e.comparison} {_number(e.threshold)} for {e.held_seconds:.0f} s"
            for e in self.evidence
            if e.holds
        )
        whom = f"{self.target.name} must give way" if self.target else self.reason or "nothing to prune"
        return f"{self.level} rule {self.rule}{about}: {shown or 'holds'}: {whom}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What really happened when a step was taken or called off."""

    decision_id: str
    """The decision that it belongs to."""
    time: float
    """Wall time, seconds since the epoch."""
    step: Step
    """Which rung."""
    result: str
    """done, called_off, refused, failed, undone or expired."""
    target: str
    """Name of what it was done to."""
    duration_seconds: float | None = None
    """How long it took, to the target's exit for terminate and kill."""
    expected_gain: float | None = None
    """What it should have freed."""
    measured_gain: float | None = None
    """What it freed."""
    detail: str | None = None
    """A sentence for a person."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a registered workload is asked: to give way by itself, before anything is done to it."""

    decision: str
    """Id of the decision."""
    rule: str
    """Its rule."""
    level: Level
    """How grave."""
    resource: str
    """What is to be freed."""
    reason: str
    """A sentence for a person."""
    time: float
    """Wall time at which it was asked, seconds since the epoch."""
    deadline: float
    """Wall time at which the next step follows; it may move earlier or later."""
    grace_seconds: float
    """Time that it has from being asked once it has acknowledged; less if the resource may not last so long."""
    steps: tuple[Step, ...]
    """What follows otherwise."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """Something that the daemon told its log and that is worth keeping: warnings, and what is graver."""

    time: float
    """Wall time, seconds since the epoch."""
    event: str
    """Name of the event, as RESOURCED_EVENT in the journal."""
    priority: int
    """Priority as syslog(3) numbers it: 0 is the gravest, 4 a warning."""
    message: str
    """The sentence."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What the event tells, by field."""


@dataclass(frozen=True, slots=True)
class RuleState:
    """Where one rule stands for one instance, for those who ask before anything is decided."""

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
    since: float
    """Wall time at which the phase began."""
    held_seconds: float
    """How long the condition has held; 0 if it doesn't."""
    evidence: tuple[Evidence, ...]
    """The comparisons as they stand."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to "should something be pruned?". It is true in a boolean context if something should."""

    prune: bool
    """Whether at least one rule of level soft or hard is firing."""
    time: float
    """Wall time of the sample judged."""
    sequence: int
    """Number of the sample judged."""
    reasons: tuple[str, ...]
    """One line for each rule that fires; or why nothing can be told."""
    rules: tuple[RuleState, ...]
    """Every rule that is judged."""
    decisions: tuple[Decision, ...]
    """The decisions behind the rules that fire now, newest first."""
    missing: tuple[str, ...]
    """Metrics that rules need and that are missing or stale now, with the reason. They never count for pruning."""

    def __bool__(self) -> bool:
        return self.prune


def decision_id(time: float, rule: str, instance: str) -> str:
    """Return an id that sorts by time and is the same when the same history is judged again.

    Args:
        time: Wall time, seconds since the epoch, not before it.
        rule: Name of the rule.
        instance: Which of several.
    """
    about = zlib.crc32(b"\0".join((rule.encode(), instance.encode())))
    return f"{round(time * 1000) & 0xFFFFFFFFFFFF:012x}{about:08x}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"
