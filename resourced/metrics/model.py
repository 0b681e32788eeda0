"""What a metric is: the types of the catalogue."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What may be done with a metric's values."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Field:
    """One place in the snapshot that feeds a metric.

    Attributes:
        path: Attributes from the snapshot to the value, joined by dots; at most one `*`.
        labels: Labels with a fixed value, sorted by name.
    """

    path: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Canonical name.
        unit: UCUM unit: s, By, 1, Cel, W, J, Hz, bit/s, {packet}, …
        kind: Gauge, or counter that only grows until it is reset.
        help: A sentence.
        source: Kernel file or library call.
        fields: Where its values come from, one a combination of fixed labels.
        label: Name of the label that the `*` of the paths gives; None without `*`.
        maximum: Largest possible value, if there is one; the smallest is 0 unless `signed`.
        signed: Whether values below 0 are possible.
        alias: Short name that people may write instead; a metric with fixed labels has one alias a field.
        exposed: Whether it appears on /metrics (false where a counter says the same).
        stored: Whether the history keeps it densely.
    """

    name: str
    unit: str
    kind: Kind
    help: str
    source: str
    fields: tuple[Field, ...]
    label: str | None = None
    maximum: float | None = None
    signed: bool = False
    alias: tuple[str, ...] = ()
    exposed: bool = True
    stored: bool = True

    @property
    def section(self) -> str:
        """Return the section of the snapshot from which it is read."""
        return self.fields[0].path.partition(".")[0]

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names of its labels, sorted."""
        names = {name for field in self.fields for name, _ in field.labels}
        return tuple(sorted(names | ({self.label} if self.label else set())))


def gauge(name: str, unit: str, path: str | tuple[Field, ...], text: str, source: str, **more: Any) -> Metric:
    """Return a gauge; `path` may be one path or several fields, `more` are further attributes of Metric."""
    return Metric(name, unit, Kind.GAUGE, text, source, (Field(path),) if isinstance(path, str) else path, **more)


def counter(name: str, unit: str, path: str | tuple[Field, ...], text: str, source: str, **more: Any) -> Metric:
    """Return a counter; `path` may be one path or several fields, `more` are further attributes of Metric."""
    return Metric(name, unit, Kind.COUNTER, text, source, (Field(path),) if isinstance(path, str) else path, **more)


def fields(label: str, paths: dict[str, str]) -> tuple[Field, ...]:
    """Return one field for each value of a fixed label, in the order given."""
    return tuple(Field(path, ((label, value),)) for value, path in paths.items())
