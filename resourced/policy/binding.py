"""Rules tied to a layout: every metric becomes a column, every condition of every instance a numbered leaf.

Made once for each set of rules and each layout; what is left for a tick is arithmetic on lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from resourced.metrics import CATALOGUE, Metric, is_pattern
from resourced.policy import derived
from resourced.policy.expression import PLAUSIBLE, Call, Expression, Reading, readings
from resourced.policy.rule import Leaf, Rule, evaluate
from resourced.series import Series

CEILINGS: dict[str, str] = {
    "system.memory.linux.available": "system.memory.limit",
    "system.memory.usage": "system.memory.limit",
    "system.paging.usage": "resourced.swap.limit",
    "hw.gpu.memory.usage": "hw.gpu.memory.limit",
    "resourced.gpu.memory.free": "hw.gpu.memory.limit",
    "system.filesystem.usage": "system.filesystem.limit",
}
"""A value above that of the second metric is impossible and does not count."""

ABSENT = 0
"""The slot whose value is always unknown: a series that this machine doesn't have."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How one column is read, and between what its value must lie to be possible."""

    column: int
    low: float
    high: float
    ceiling: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One function applied to slots; `window` is -1 for those that remember nothing."""

    function: str
    first: int
    second: int
    window: int
    update: derived.Update | None


@dataclass(frozen=True, slots=True)
class BoundLeaf:
    """One comparison of one instance."""

    leaf: Leaf
    slot: int
    instance: int
    key: str


@dataclass(frozen=True, slots=True)
class Instance:
    """One rule for one GPU, mount or interface, or for the machine."""

    rule: Rule
    name: str
    label: str | None
    key: str
    first: int
    """Number of its first leaf; the others follow."""
    always: bool
    """Whether it may hold though no comparison does, because of a `not`."""


class Binding:
    """All rules for one layout.

    Args:
        rules: The rules.
        layout: What the values of a tick are.
    """

    def __init__(self, rules: Sequence[Rule], layout: tuple[Series, ...]) -> None:
        self.rules = rules
        self.layout = layout
        self.readers: list[Reader] = []
        self.operations: list[Operation] = []
        self.windows: list[str] = []
        self.leaves: list[BoundLeaf] = []
        self.instances: list[Instance] = []
        self._columns = {(series.metric, series.labels): column for column, series in enumerate(layout)}
        self._slots: dict[str, int] = {}
        self._pending: list[tuple[str, Call, str | None, str]] = []
        for rule in rules:
            for name in self._instances_of(rule):
                self._read_all(rule, name)
        for rule in rules:
            for name in self._instances_of(rule):
                self._bind(rule, name)
        self.scan = [(each.slot, each.leaf.above, each.leaf.threshold, each.instance) for each in self.leaves]
        self.reads = [(each.column, each.low, each.high, each.ceiling) for each in self.readers]
        self.steps = [(o.function, o.first, o.second, o.window, o.update) for o in self.operations]
        self.always = frozenset(number for number, each in enumerate(self.instances) if each.always)

    def leaves_of(self, number: int) -> list[BoundLeaf]:
        """Return the comparisons of an instance, in the order of its rule."""
        instance = self.instances[number]
        return self.leaves[instance.first : instance.first + len(instance.rule.leaves)]

    def _instances_of(self, rule: Rule) -> list[str | None]:
        if rule.instance_label is None:
            return [None]
        found: dict[str, None] = {}
        for leaf in rule.leaves:
            for reading in readings(leaf.expression):
                if reading.metric.label != rule.instance_label:
                    continue
                pattern = dict(reading.selector.labels).get(rule.instance_label, "*")
                if not is_pattern(pattern):
                    continue
                for series in self.layout:
                    value = dict(series.labels).get(rule.instance_label)
                    if series.metric == reading.metric.name and value is not None and fnmatchcase(value, pattern):
                        found[value] = None
        return list(found)

    def _read_all(self, rule: Rule, instance: str | None) -> None:
        """Give each reading its slot first, so that the slots of functions come after all readings."""
        for leaf in rule.leaves:
            for reading in readings(leaf.expression):
                self._reading(reading, instance)

    def _bind(self, rule: Rule, instance: str | None) -> None:
        name = "" if instance is None else instance
        key = f"{rule.name}|{name}"
        number, first = len(self.instances), len(self.leaves)
        for leaf in rule.leaves:
            slot = self._slot(leaf.expression, instance)
            side = "above" if leaf.above else "below"
            about = f"{key}|{leaf.expression} {side} {leaf.threshold!r} {leaf.period_seconds!r} {leaf.share!r}"
            self.leaves.append(BoundLeaf(leaf, slot, number, f"{about} {len(self.leaves) - first}"))
        always = evaluate(rule.tree, [False] * len(rule.leaves)) is True
        self.instances.append(Instance(rule, name, rule.instance_label, key, first, always))

    def _slot(self, expression: Expression, instance: str | None) -> int:
        if isinstance(expression, Reading):
            return self._reading(expression, instance)
        key = f"{expression}|{instance or ''}"
        if key not in self._slots:
            parts = [self._slot(part, instance) for part in expression.parts]
            remembers = expression.function not in ("share", "plus", "minus")
            update = derived.make(expression.function, expression.window, expression.limit) if remembers else None
            window = len(self.windows) if remembers else -1
            if remembers:
                self.windows.append(key)
            self.operations.append(Operation(expression.function, parts[0], parts[-1], window, update))
            self._slots[key] = len(self.readers) + len(self.operations)
        return self._slots[key]

    def _reading(self, reading: Reading, instance: str | None) -> int:
        labels = dict(reading.selector.labels)
        label = reading.metric.label
        if label is not None and instance is not None and is_pattern(labels.get(label, "*")):
            labels[label] = instance
        column = self._columns.get((reading.metric.name, tuple(sorted(labels.items()))))
        if column is None:
            return ABSENT
        key = f"#{column}"
        if key not in self._slots:
            low, high = (-PLAUSIBLE if reading.metric.signed else 0.0), reading.metric.maximum or PLAUSIBLE
            self.readers.append(Reader(column, low, high, self._ceiling(reading.metric, labels)))
            self._slots[key] = len(self.readers)
        return self._slots[key]

    def _ceiling(self, metric: Metric, labels: dict[str, str]) -> int:
        name = CEILINGS.get(metric.name)
        if name is None:
            return -1
        wanted = {key: value for key, value in labels.items() if key == CATALOGUE[name].label}
        return self._columns.get((name, tuple(sorted(wanted.items()))), -1)
