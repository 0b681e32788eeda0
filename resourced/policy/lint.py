"""What is allowed in a rule but can't be meant: found without running it, for `check-config`."""

from collections.abc import Sequence
from dataclasses import dataclass

from resourced.config_rules import RuleConfig
from resourced.decision import Level, Mode, Scope, Step
from resourced.errors import ConfigError
from resourced.policy.compile import compile_rules, means_something
from resourced.policy.expression import FUNCTIONS, Call, Expression, bounds, readings
from resourced.policy.rule import Join, Leaf, Rule, Tree, Truth, evaluate


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that check-config says."""

    severity: str
    """error or warning."""
    rule: str | None
    """Name of the rule; null if it is about several."""
    text: str
    """A sentence."""


def lint(configs: Sequence[RuleConfig], *, mode: Mode = Mode.OBSERVE) -> list[Finding]:
    """Return everything that is wrong or odd in rules, errors first.

    Args:
        configs: As read from the configuration.
        mode: Mode of the policy as a whole.
    """
    findings: list[Finding] = []
    compiled: list[tuple[RuleConfig, Rule]] = []
    names: set[str] = set()
    for config in configs:
        if config.name in names:
            findings.append(Finding("error", config.name, f"rule {config.name!r} is there twice; names are unique"))
        names.add(config.name)
        try:
            compiled += [(config, rule) for rule in compile_rules([config], mode=mode)]
        except ConfigError as error:
            findings += [Finding("error", config.name, line) for line in str(error).splitlines()]
    for config, rule in compiled:
        odd = [*_oddities(rule), *_idle_steps(config, rule)]
        findings += [Finding("warning", rule.name, f"rule {rule.name!r}: {text}") for text in odd]
    return sorted(findings, key=lambda each: each.severity)


def _oddities(rule: Rule) -> list[str]:
    found = [text for leaf in rule.leaves for text in _of_leaf(leaf)]
    verdict = evaluate(rule.tree, [_constant(leaf) for leaf in rule.leaves])
    if verdict is False:
        found.append("it can never fire: no possible value makes its condition true")
    elif verdict is True:
        found.append("it always fires: every possible value makes its condition true")
    if _contradicts(rule.tree, rule.leaves):
        found.append("it can never fire: it asks for one metric to be above and below at once")
    if rule.prunes and (lonely := _lonely(rule)):
        found.append(lonely)
    steps = [rung.step for rung in rule.rungs]
    if rule.prunes and steps == [Step.NOTIFY]:
        found.append(f"its level is {rule.level}, and it only notifies: it frees nothing by itself")
    if rule.level is Level.WARN and steps != [Step.NOTIFY]:
        found.append("a rule of level warn only speaks; its other steps are never taken")
    if rule.scope is Scope.GPU_PROCESS and rule.resource != "gpu_memory":
        found.append(f"it prunes GPU processes to free {rule.resource}; say resource = 'gpu_memory' if that is meant")
    if rule.level is Level.HARD and rule.mode is Mode.ENFORCE and not any(leaf.period_seconds for leaf in rule.leaves):
        found.append("it kills after a single sample; give some condition a period with `for`")
    return found


def _idle_steps(config: RuleConfig, rule: Rule) -> list[str]:
    """Of the usual ladders nothing is said: they have steps for everything that a rule may be about."""
    about = f"{rule.resource} and scope = {str(rule.scope)!r}"
    return [
        f"its step {each.step} means nothing for {about}: it is passed over, and so is its grace"
        for each in config.steps or ()
        if not means_something(each.step, rule.scope, rule.resource)
    ]


def _lonely(rule: Rule) -> str | None:
    """One kind of signal deceives: https://github.com/systemd/systemd/issues/19142, hakavlad/nohang#25."""
    names = [reading.metric.name for leaf in rule.leaves for reading in readings(leaf.expression)]
    if all("pressure" in name for name in names):
        return "it prunes on pressure alone, which stays high after its cause has gone, and rises with memory free"
    if all("swap" in name or "paging" in name for name in names):
        return "it prunes on swap alone: idle pages fill it for weeks while memory is free"
    return None


def _of_leaf(leaf: Leaf) -> list[str]:
    low, high = bounds(leaf.expression)
    found = []
    constant = _constant(leaf)
    side = "above" if leaf.above else "below"
    if constant is not None:
        always = "always" if constant else "never"
        found.append(
            f"{leaf.expression} is {always} {side} {leaf.threshold:.6g}: it lies between {low:.6g} and {high:.6g}"
        )
    if not low <= leaf.clear <= high:
        found.append(f"{leaf.expression} never passes clear = {leaf.clear:.6g}, so that the rule would not end")
    longest = max(_windows(leaf.expression), default=0.0)
    if leaf.share < 1 and not leaf.period_seconds:
        found.append(f"share of {leaf.expression} means nothing without `for`")
    if longest > 4 * leaf.period_seconds > 0 and leaf.period_seconds > 60:
        found.append(
            f"{leaf.expression} looks back {longest:.0f} s and must then hold {leaf.period_seconds:.0f} s more"
        )
    return found


def _windows(expression: Expression) -> list[float]:
    if not isinstance(expression, Call):
        return []
    own = [expression.window] if FUNCTIONS[expression.function].window else []
    return own + [window for part in expression.parts for window in _windows(part)]


def _constant(leaf: Leaf) -> Truth:
    """Whether a comparison holds for all possible values, or for none; None if it depends."""
    low, high = bounds(leaf.expression)
    if leaf.above:
        return False if leaf.threshold >= high else True if leaf.threshold < low else None
    return False if leaf.threshold <= low else True if leaf.threshold > high else None


def _contradicts(tree: Tree, leaves: Sequence[Leaf]) -> bool:
    if isinstance(tree, int):
        return False
    if tree.join is Join.ALL:
        mine = [leaves[part] for part in tree.parts if isinstance(part, int)]
        return any(
            one.above
            and not other.above
            and str(one.expression) == str(other.expression)
            and one.threshold >= other.threshold
            for one in mine
            for other in mine
        ) or any(_contradicts(part, leaves) for part in tree.parts)
    return tree.join is Join.ANY and all(_contradicts(part, leaves) for part in tree.parts)
