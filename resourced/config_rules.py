"""What a `[[rule]]` may hold: the border between TOML and the policy. Meaning is given to it by policy.compile."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from resourced.decision import Level, Mode, Scope, Step
from resourced.quantities import parse_duration, parse_share


class RuleMode(StrEnum):
    """How far a rule may go; inherit takes the mode of the policy."""

    OFF = "off"
    OBSERVE = "observe"
    ADVISE = "advise"
    ENFORCE = "enforce"
    INHERIT = "inherit"

    def resolve(self, inherited: Mode) -> Mode:
        """Return the mode that this means under a policy of mode `inherited`. The policy's off and observe bind all."""
        if self is RuleMode.INHERIT or inherited is Mode.OFF:
            return inherited
        order = list(Mode)
        return min(Mode(self.value), inherited, key=order.index)


class Strategy(StrEnum):
    """How candidates are ranked."""

    LARGEST = "largest"
    FASTEST_GROWING = "fastest_growing"
    OVER_SHARE = "over_share"
    NEWEST = "newest"
    LOWEST_PRIORITY = "lowest_priority"
    MOST_RECLAIM = "most_reclaim"
    GPU_IDLE_MEMORY = "gpu_idle_memory"


class Resource(StrEnum):
    """What a rule wants to have back."""

    MEMORY = "memory"
    SWAP = "swap"
    GPU_MEMORY = "gpu_memory"
    CPU = "cpu"
    IO = "io"
    PIDS = "pids"


def _seconds(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _fraction(value: Any) -> Any:
    return parse_share(value) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]
"""Written as "30s", "5m", or a number of seconds."""

Share = Annotated[float, BeforeValidator(_fraction), Field(gt=0, le=1)]
"""Written as "80%" or 0.8."""

Quantity = float | str
"""Written in the unit of the metric that it is compared with: "10%", "512MiB", "30s", or a number in the base unit."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


class ConditionConfig(_Strict):
    """One comparison (`metric` with `above` or `below`), or several joined by `all`, `any` or `not`."""

    metric: str | None = None
    """A metric of the catalogue, or a function of one: `share(memory.available, memory.total)`."""
    above: Quantity | None = None
    """Holds while the value is greater."""
    below: Quantity | None = None
    """Holds while the value is smaller."""
    for_: Seconds = Field(default=0.0, alias="for")
    """How long it must hold."""
    share: Share = 1.0
    """Share of that time for which it must hold."""
    clear: Quantity | None = None
    """Once the rule fires, the comparison holds until the value passes this."""
    all: tuple["ConditionConfig", ...] | None = None
    """Holds if every one holds."""
    any: tuple["ConditionConfig", ...] | None = None
    """Holds if at least one holds."""
    not_: "ConditionConfig | None" = Field(default=None, alias="not")
    """Holds if the other is known not to hold."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        _check_form(self, self.__class__.__name__.removesuffix("Config").lower())
        return self


class StepConfig(_Strict):
    """One rung of the ladder."""

    step: Step
    """What is done."""
    grace: Seconds = 10.0
    """How long its effect is awaited before the next rung."""


class SelectorConfig(_Strict):
    """Patterns (with * and ?) that name some candidates: any that matches will do."""

    units: tuple[str, ...] = ()
    """systemd units, as `batch-*.service`."""
    slices: tuple[str, ...] = ()
    """Slices, with everything below them, as `user.slice`."""
    users: tuple[str, ...] = ()
    """User ids or names, as `1000` or `anna`."""
    processes: tuple[str, ...] = ()
    """Command names as the kernel keeps them, which cuts them at 15 bytes, as `python*`."""


def _steps(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple({"step": item} if isinstance(item, str) else item for item in value)
    return value


def _weights(value: Any) -> Any:
    """A list of strategies is a table whose weights halve from one to the next."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return {name: 0.5**position for position, name in enumerate(value)}
    return value


_Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RuleConfig(_Strict):
    """One `[[rule]]`: when it fires, who may be pruned, and how."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    """Unique; a drop-in with the same name replaces fields of this rule."""
    description: str = ""
    """Why the rule exists, for people."""
    level: Level = Level.WARN
    """warn only speaks; soft and hard prune."""
    mode: RuleMode = RuleMode.INHERIT
    """How far it may go, at most as far as the policy's own mode."""
    metric: str | None = None
    """A metric of the catalogue, or a function of one."""
    above: Quantity | None = None
    """Holds while the value is greater."""
    below: Quantity | None = None
    """Holds while the value is smaller."""
    for_: Seconds = Field(default=0.0, alias="for")
    """How long it must hold."""
    share: Share = 1.0
    """Share of that time for which it must hold."""
    clear: Quantity | None = None
    """Once the rule fires, it holds until the value passes this."""
    all: tuple[ConditionConfig, ...] | None = None
    """Holds if every one holds."""
    any: tuple[ConditionConfig, ...] | None = None
    """Holds if at least one holds."""
    not_: ConditionConfig | None = Field(default=None, alias="not")
    """Holds if the other is known not to hold."""
    clear_for: Seconds = 10.0
    """How long the condition must be gone before the rule is over."""
    cooldown: Seconds = 15.0
    """How long after a decision no further one is taken: pressure lags behind its cause. A rule that enforces also
    waits until its steps can have been taken."""
    warmup: Seconds = 0.0
    """How long the machine must have been watched before the rule may fire."""
    resource: Resource | None = None
    """What is to be freed; by default that of the first condition's metric."""
    min_gain: Quantity = "1%"
    """What a target must free at least: a share of the resource's total, or an amount."""
    scope: Scope = Scope.UNIT
    """What is pruned: a process, process tree, unit, slice, user, GPU process or workload."""
    rank: Annotated[dict[Strategy, _Weight], BeforeValidator(_weights)] = Field(
        default_factory=lambda: {Strategy.LARGEST: 1.0}, min_length=1
    )
    """Strategies by weight, or a list whose weights halve."""
    steps: Annotated[tuple[StepConfig, ...] | None, BeforeValidator(_steps)] = None
    """Rungs allowed, mildest first; by default those of the level."""
    only: SelectorConfig | None = None
    """If given, nothing else may be pruned, neither by itself nor with a unit, slice or user."""
    except_: SelectorConfig | None = Field(default=None, alias="except")
    """These may not be pruned, nor what holds one of them."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _check_form(self, f"rule {self.name!r}")
        order = list(Step)
        rungs = [order.index(each.step) for each in self.steps or ()]
        if rungs != sorted(set(rungs)):
            ladder = ", ".join(order)
            raise ValueError(f"rule {self.name!r}: steps go from the mildest to the gravest, each once: {ladder}")
        if any(weight <= 0 for weight in self.rank.values()):
            raise ValueError(f"rule {self.name!r}: weights in rank are greater than 0")
        return self

    @property
    def condition(self) -> ConditionConfig:
        """Return the rule's condition as one tree."""
        names = ("metric", "above", "below", "for_", "share", "clear", "all", "any", "not_")
        return ConditionConfig.model_construct(**{name: getattr(self, name) for name in names})


class ProtectConfig(SelectorConfig):
    """What is never pruned, nor what holds it, beside what resourced protects by itself."""


def merge_rules(base: list[dict[str, Any]], more: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return `base` with the tables of `more` merged in: a rule of a known name replaces only the keys that it has.

    A condition in any form replaces the whole condition of the rule before.
    """
    merged = {str(rule.get("name")): dict(rule) for rule in base}
    for rule in more:
        name = str(rule.get("name"))
        old = merged.get(name, {})
        if _FORMS & set(rule):
            old = {key: value for key, value in old.items() if key not in _CONDITION_KEYS}
        merged[name] = {**old, **rule}
    return list(merged.values())


_FORMS = {"metric", "all", "any", "not"}
_CONDITION_KEYS = _FORMS | {"above", "below", "for", "share", "clear"}


def _check_form(it: ConditionConfig | RuleConfig, where: str) -> None:
    every = (("metric", it.metric), ("all", it.all), ("any", it.any), ("not", it.not_))
    forms = [name for name, value in every if value is not None]
    if len(forms) != 1:
        found = " and ".join(forms) or "none of them"
        raise ValueError(f"{where}: needs exactly one of metric, all, any, not; found {found}")
    if forms == ["metric"]:
        if (it.above is None) == (it.below is None):
            raise ValueError(f"{where}: {it.metric} needs either above or below")
    elif not (it.all or it.any or it.not_):
        raise ValueError(f"{where}: {forms[0]} is empty; list at least one condition")
    elif it.model_fields_set & {"above", "below", "for_", "share", "clear"}:
        raise ValueError(f"{where}: above, below, for, share and clear belong beside a metric, not beside {forms[0]}")
