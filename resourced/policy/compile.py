"""From configuration to rules: the only part of the policy that reads what people wrote."""

import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resourced.config_rules import ConditionConfig, Quantity, RuleConfig, SelectorConfig, StepConfig
from resourced.decision import Level, Mode, Scope, Step
from resourced.errors import ConfigError
from resourced.metrics import CATALOGUE, Metric, is_pattern
from resourced.policy.binding import CEILINGS
from resourced.policy.expression import Call, Expression, Reading, parse, quantity, readings
from resourced.policy.profiles import read_profile
from resourced.policy.rule import GAIN_UNITS, Gain, Join, Leaf, Node, Rule, Rung, Selector, Shield, Tree

TOTALS: dict[str, str] = {
    "memory.available": "memory.total",
    "memory.used": "memory.total",
    "memory.free": "memory.total",
    "memory.anonymous": "memory.total",
    "memory.shmem": "memory.total",
    "swap.free": "swap.total",
    "swap.used": "swap.total",
    "gpu.memory_used": "gpu.memory_total",
    "gpu.memory_free": "gpu.memory_total",
    "gpu.memory_orphaned": "gpu.memory_total",
    "filesystem.available": "filesystem.total",
    "filesystem.free": "filesystem.total",
    "filesystem.used": "filesystem.total",
    "filesystem.inodes_free": "filesystem.inodes_total",
    "user.memory": "memory.total",
    "user.cpu": "system.cpu.logical.count",
}
"""What 100 % of an amount is: a condition may say `metric = "memory.available", below = "10%"`."""

_LADDERS: dict[Level, tuple[Rung, ...]] = {
    Level.WARN: (Rung(Step.NOTIFY, 0.0),),
    Level.SOFT: (
        Rung(Step.NOTIFY, 10.0),
        Rung(Step.RECLAIM, 5.0),
        Rung(Step.THROTTLE, 15.0),
        Rung(Step.TERMINATE, 10.0),
    ),
    Level.HARD: (Rung(Step.TERMINATE, 3.0), Rung(Step.KILL, 5.0)),
}


_OF_CGROUPS = (Scope.UNIT, Scope.SLICE, Scope.WORKLOAD)
_LATE_SECONDS = 2.0
"""By how much a ladder may take longer than its graces: each step asks for a fresh sample and takes a moment itself."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for rules that don't say, and how steps are taken."""

    warmup_seconds: float = 0.0
    """How long the machine must have been watched before a rule may fire."""
    cooldown_seconds: float = 15.0
    """How long after a decision no further one is taken."""
    grace_seconds: float = 10.0
    """How long the effect of a step is awaited."""
    settle_seconds: float = 2.0
    """How long the machine is left alone after a step that frees something, however short its grace is."""
    asking_seconds: float = 300.0
    """How long registered workloads are awaited at most before the first step."""


def default_rules() -> tuple[Rule, ...]:
    """Return the rules of the shipped default profile, which only observe."""
    return compile_rules([RuleConfig.model_validate(rule) for rule in read_profile("default")["rule"]])


def compile_rules(
    rules: Sequence[RuleConfig],
    *,
    mode: Mode = Mode.OBSERVE,
    shield: Shield | None = None,
    defaults: Defaults | None = None,
) -> tuple[Rule, ...]:
    """Return the rules that are not off, gravest first.

    Args:
        rules: As read from the configuration.
        mode: Mode of the policy as a whole: the farthest that any rule may go.
        shield: What the owner of the machine protects from every rule.
        defaults: For rules that don't say.

    Raises:
        ConfigError: Some rules make no sense; the text lists every fault, one a line.
    """
    compiled: list[Rule] = []
    faults: list[str] = []
    seen: set[str] = set()
    for config in rules:
        if config.name in seen:
            faults.append(f"rule {config.name!r} is there twice; names are unique")
        seen.add(config.name)
        try:
            rule = _rule(config, config.mode.resolve(mode), shield or Shield(), defaults or Defaults())
        except ConfigError as error:
            faults.extend(str(error).splitlines())
        else:
            if rule.mode is not Mode.OFF:
                compiled.append(rule)
    if faults:
        raise ConfigError("\n".join(faults))
    gravity = [Level.HARD, Level.SOFT, Level.WARN]
    return tuple(sorted(compiled, key=lambda rule: gravity.index(rule.level)))


def shield_of(protect: SelectorConfig | None = None, priorities: Mapping[str, float] | None = None) -> Shield:
    """Return the shield that configuration means.

    Args:
        protect: What is never pruned.
        priorities: Priority by unit pattern, as `batch-*.service`; higher is more important, 0 is usual.
    """
    levels = tuple((Selector(units=(pattern,)), level) for pattern, level in (priorities or {}).items())
    return Shield(_selector(protect) or Selector(), levels)


def required_metrics(rules: Sequence[Rule]) -> tuple[Metric, ...]:
    """Return every metric that rules read, in the order of the catalogue, with those that vouch for them."""
    names = {reading.metric.name for rule in rules for leaf in rule.leaves for reading in readings(leaf.expression)}
    names |= {bound for name, bound in CEILINGS.items() if name in names}
    return tuple(metric for metric in CATALOGUE.values() if metric.name in names)


def _rule(config: RuleConfig, mode: Mode, shield: Shield, defaults: Defaults) -> Rule:
    where = f"rule {config.name!r}"
    leaves: list[Leaf] = []
    tree = _tree(config.condition, leaves, where)
    resource = config.resource.value if config.resource else _resource(leaves)
    rungs = tuple(_rung(each, defaults) for each in config.steps or ()) or _LADDERS[config.level]
    return Rule(
        name=config.name,
        description=config.description,
        level=config.level,
        mode=mode,
        tree=tree,
        leaves=tuple(leaves),
        instance_label=_instance_label(leaves, where),
        gpu=_gpu(config, leaves, resource, where),
        user=_user(config, leaves, where),
        clear_seconds=config.clear_for,
        cooldown_seconds=config.cooldown if "cooldown" in config.model_fields_set else defaults.cooldown_seconds,
        warmup_seconds=config.warmup if "warmup" in config.model_fields_set else defaults.warmup_seconds,
        resource=resource,
        gain=_gain(config.min_gain, GAIN_UNITS[resource], where),
        scope=config.scope,
        rank=tuple((strategy.value, weight) for strategy, weight in config.rank.items()),
        rungs=rungs,
        ladder_seconds=_ladder_seconds(rungs, config.scope, resource, defaults.settle_seconds),
        asking_seconds=defaults.asking_seconds,
        only=_selector(config.only),
        spare=_selector(config.except_),
        shield=shield,
    )


def _rung(config: StepConfig, defaults: Defaults) -> Rung:
    return Rung(config.step, config.grace if "grace" in config.model_fields_set else defaults.grace_seconds)


def _ladder_seconds(rungs: Sequence[Rung], scope: Scope, resource: str, settle_seconds: float) -> float:
    """Return how long a target is dealt with, and the machine then left alone, if nothing helps before."""
    spans = [
        each.grace_seconds if each.step is Step.NOTIFY else max(each.grace_seconds, settle_seconds)
        for each in rungs
        if means_something(each.step, scope, resource)
    ]
    return sum(spans) + max(settle_seconds, _LATE_SECONDS)


def means_something(step: Step, scope: Scope, resource: str) -> bool:
    """Return whether a step can be taken at all: what can't be is passed over at once, and takes no time."""
    if step is Step.RECLAIM:
        return scope in _OF_CGROUPS and resource == "memory"
    if step is Step.THROTTLE:
        return scope in _OF_CGROUPS and resource in ("memory", "swap", "cpu", "io")
    return True


def _tree(config: ConditionConfig, leaves: list[Leaf], where: str) -> Tree:
    if config.metric is not None:
        leaves.append(_leaf(config, where))
        return len(leaves) - 1
    if config.not_ is not None:
        return Node(Join.NOT, (_tree(config.not_, leaves, where),))
    join, parts = (Join.ALL, config.all) if config.all is not None else (Join.ANY, config.any or ())
    return Node(join, tuple(_tree(part, leaves, where) for part in parts))


def _leaf(config: ConditionConfig, where: str) -> Leaf:
    written = config.above if config.above is not None else config.below
    if config.metric is None or written is None:
        raise ConfigError(f"{where}: a comparison needs a metric and either above or below")
    try:
        expression = _relative(parse(config.metric), config)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    about = f"{where}, {expression}"
    threshold = quantity(written, expression.unit, about)
    clear = threshold if config.clear is None else quantity(config.clear, expression.unit, f"{about}, clear")
    above = config.above is not None
    if clear > threshold if above else clear < threshold:
        side = "at or below" if above else "at or above"
        raise ConfigError(f"{about}: clear ({config.clear}) must lie {side} the threshold ({written})")
    return Leaf(expression, above, threshold, clear, config.for_, config.share)


def _relative(expression: Expression, config: ConditionConfig) -> Expression:
    """A percentage of an amount means a share of its total."""
    written = config.above if config.above is not None else config.below
    if not isinstance(written, str) or not written.strip().endswith("%") or expression.unit == "1":
        return expression
    if isinstance(expression, Reading):
        name, brace, labels = expression.text.partition("{")
        if name in TOTALS:
            own = "" if name.startswith("user.") else f"{brace}{labels}"
            return parse(f"share({expression.text}, {TOTALS[name]}{own})")
    known = ", ".join(TOTALS)
    raise ConfigError(f"{written} of {expression} ({expression.unit}) means nothing; there is a total for {known}")


def _instance_label(leaves: Sequence[Leaf], where: str) -> str | None:
    """The one label that is left open by the rule's metrics."""
    opened: dict[str, str] = {}
    for leaf in leaves:
        for reading in readings(leaf.expression):
            label = reading.metric.label
            pattern = dict(reading.selector.labels).get(label or "", "*")
            if label is not None and is_pattern(pattern):
                opened[label] = str(reading)
            loose = [n for n in reading.metric.label_names if n != label and n not in dict(reading.selector.labels)]
            if loose:
                names = " or ".join(alias for alias in reading.metric.alias) or f"{reading}{{{loose[0]}=…}}"
                raise ConfigError(f"{where}: {reading} has several values by {loose[0]}; say which: {names}")
    if len(opened) > 1:
        raise ConfigError(
            f"{where}: {' and '.join(opened.values())} come in different instances ({' and '.join(opened)}); "
            "fix the label of all but one"
        )
    return next(iter(opened), None)


def _gpu(config: RuleConfig, leaves: Sequence[Leaf], resource: str, where: str) -> str | None:
    matters = config.level is not Level.WARN and (config.scope is Scope.GPU_PROCESS or resource == "gpu_memory")
    fault = "name different GPUs, and it can't be told on which somebody must give way; write a rule for each"
    return _named(leaves, ("gpus", "hw.id"), where, fault if matters else None)


def _user(config: RuleConfig, leaves: Sequence[Leaf], where: str) -> str | None:
    matters = config.level is not Level.WARN and not (config.only and config.only.users)
    fault = "name different users; say by only = { users = [...] } who must give way, or write a rule for each"
    return _named(leaves, ("processes", "user.id"), where, fault if matters else None)


def _named(leaves: Sequence[Leaf], kind: tuple[str, str], where: str, fault: str | None) -> str | None:
    """Return which one of its kind a rule is about.

    Args:
        leaves: The comparisons of the rule.
        kind: The section of those that are meant, and the label that tells them apart, which sensors and GPUs share.
        where: Beginning of the error's sentence.
        fault: The rest of it; None if readings may name different ones.

    Returns:
        What all readings name; "*" if one leaves it open, None if none names any, or they name different ones.
    """
    found = {
        dict(reading.selector.labels).get(kind[1], "*"): str(reading)
        for leaf in leaves
        for reading in readings(leaf.expression)
        if (reading.metric.section, reading.metric.label) == kind
    }
    if any(is_pattern(value) for value in found):
        return "*"
    if len(found) > 1 and fault is not None:
        raise ConfigError(f"{where}: {' and '.join(found.values())} {fault}")
    return next(iter(found)) if len(found) == 1 else None


_RESOURCES = (
    ("swap", "swap"),
    ("paging", "swap"),
    ("gpu", "gpu_memory"),
    ("cpu", "cpu"),
    ("disk", "io"),
    ("process", "pids"),
)


def _resource(leaves: Sequence[Leaf]) -> str:
    """What the first metric is about; memory where a metric tells of no resource that could be freed."""
    reading = readings(leaves[0].expression)[0]
    name = reading.metric.name
    if "pressure" in name:
        of = dict(reading.selector.labels).get("resource", "")
        return of if of in ("cpu", "io") else "memory"
    return next((resource for part, resource in _RESOURCES if part in name), "memory")


def _gain(written: Quantity, unit: str, where: str) -> Gain:
    about = f"{where}, min_gain"
    if isinstance(written, str) and written.strip().endswith("%"):
        return Gain(quantity(written, "1", about), relative=True)
    amount = quantity(written, unit, about)
    if amount < 0:
        raise ConfigError(f"{about}: {written} is less than nothing")
    return Gain(amount, relative=False)


def _selector(config: SelectorConfig | None) -> Selector | None:
    if config is None:
        return None
    users, commands = tuple(map(_uid, config.users)), tuple(map(_command, config.processes))
    return Selector(config.units, config.slices, users, commands)


def _uid(user: str) -> str:
    """Return the id of a user who is named; a pattern, an id or an unknown name stays as it is."""
    try:
        return str(pwd.getpwnam(user).pw_uid)
    except KeyError:
        return user


def _command(name: str) -> str:
    """Return a command name as the kernel keeps it, which cuts it at 15 bytes; a pattern stays as it is."""
    return name if is_pattern(name) else name.encode()[:_NAME_BYTES].decode(errors="ignore")


_NAME_BYTES = 15


def functions_of(expression: Expression) -> set[str]:
    """Return the names of all functions in an expression."""
    if isinstance(expression, Call):
        return {expression.function}.union(*(functions_of(part) for part in expression.parts))
    return set()
