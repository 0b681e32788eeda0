"""From a snapshot to series: the catalogue's paths, compiled once, read at every tick.

A layout is a fixed order of series. It changes only when something appears or vanishes (an interface, a GPU), so the
usual tick is one list of numbers in the order of the tick before.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

from resourced.metrics import CATALOGUE, Metric, series_name
from resourced.snapshot import Snapshot

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Identity of one series.

    Attributes:
        metric: Canonical name in the catalogue.
        labels: Label names and values, sorted by name.
    """

    metric: str
    labels: Labels = ()

    def __str__(self) -> str:
        return series_name(self.metric, self.labels)


_PART = re.compile(r"([^.\[\]]+)|\[([^\]]+)\]")


def _steps(path: str) -> list[Callable[[Any], Any]]:
    """Return one getter for each part of `a.b[key].c`."""
    return [attrgetter(name) if name else itemgetter(key) for name, key in _PART.findall(path)]


def _follow(value: Any, steps: Iterable[Callable[[Any], Any]]) -> Any:
    for step in steps:
        if value is None:
            return None
        try:
            value = step(value)
        except KeyError:
            return None
    return value


class _Plan:
    """All fields that share one way to a dictionary (`network.interfaces`), or the plain ones of one section."""

    __slots__ = ("columns", "section", "way")

    def __init__(self, section: str, way: str | None) -> None:
        self.section = section
        self.way = _steps(way) if way else None
        self.columns: list[tuple[Metric, Labels, list[Callable[[Any], Any]]]] = []


def _plans(metrics: Iterable[Metric]) -> list[_Plan]:
    plans: dict[tuple[str, str | None], _Plan] = {}
    for metric in metrics:
        for field in metric.fields:
            way, star, rest = field.path.partition(".*")
            key = (metric.section, way if star else None)
            plan = plans.get(key) or plans.setdefault(key, _Plan(*key))
            plan.columns.append((metric, field.labels, _steps(rest.lstrip(".") if star else field.path)))
    return list(plans.values())


class Extractor:
    """Reads the values of catalogue metrics out of snapshots.

    Args:
        metrics: The metrics wanted; by default all that the history stores.
    """

    def __init__(self, metrics: Iterable[Metric] | None = None) -> None:
        wanted = [m for m in CATALOGUE.values() if m.stored] if metrics is None else list(metrics)
        self._plans = _plans(wanted)
        self._shape: list[Any] = []
        self.layout: tuple[Series, ...] = ()

    def read(self, snapshot: Snapshot) -> list[float | None]:
        """Return one value for each series of `layout`, which this call renews if something appeared or vanished.

        A section that was not read for this very snapshot (stale, absent) gives None for the series that it has.
        """
        shape: list[Any] = []
        rows: list[tuple[_Plan, list[tuple[str | None, Any]]]] = []
        for plan in self._plans:
            usable = snapshot.usable(plan.section)
            if plan.way is None:
                rows.append((plan, [(None, snapshot if usable else None)]))
            else:
                table = _follow(snapshot, plan.way) or {}
                shape.append(tuple(table))
                rows.append((plan, [(key, item if usable else None) for key, item in table.items()]))
        if shape != self._shape:
            self._shape = shape
            self.layout = tuple(
                Series(metric.name, tuple(sorted((*fixed, (metric.label, key))) if metric.label and key else fixed))
                for plan, items in rows
                for key, _ in items
                for metric, fixed, _ in plan.columns
            )
        return [
            None if item is None else _follow(item, steps)
            for plan, items in rows
            for _, item in items
            for _, _, steps in plan.columns
        ]
