"""The catalogue's metrics in the OpenMetrics text format; names and units follow mechanically from the catalogue."""

import math
import re
from collections.abc import Iterable

from resourced.api.service import StateView
from resourced.decision import Phase
from resourced.metrics import CATALOGUE, Metric
from resourced.metrics.model import Kind
from resourced.series import Extractor, Series

MEDIA_TYPE = b"application/openmetrics-text; version=1.0.0; charset=utf-8"

_UNITS = {
    "s": "seconds",
    "By": "bytes",
    "1": "ratio",
    "Cel": "celsius",
    "W": "watts",
    "J": "joules",
    "Hz": "hertz",
    "bit/s": "bits_per_second",
    "By/s": "bytes_per_second",
    "{revolution}/min": "revolutions_per_minute",
}
_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


def unit_of(metric: Metric) -> str:
    """Return the unit in OpenMetrics' words; empty for plain counts."""
    return _UNITS.get(metric.unit, "")


def family(metric: Metric) -> str:
    """Return the name of the metric family: dots become underscores, the unit stands last."""
    name, unit = _NOT_A_NAME.sub("_", metric.name), unit_of(metric)
    if metric.kind is Kind.GAUGE and name.endswith("_count"):
        return _counted(name.removesuffix("_count"), metric.unit.strip("{}"))
    return f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name


def _counted(name: str, thing: str) -> str:
    """Return the name of a gauge of things; the ending `_count` belongs to histograms."""
    things = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return name if name.endswith(things) else f"{name}_{things}"


def sample_name(metric: Metric) -> str:
    """Return the name of the family's samples: counters end in `_total`."""
    return f"{family(metric)}_total" if metric.kind is Kind.COUNTER else family(metric)


class Exposition:
    """Writes states as OpenMetrics text. What doesn't change from sample to sample is kept."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._extractor = Extractor([metric for metric in CATALOGUE.values() if metric.exposed])
        self._layout: tuple[Series, ...] | None = None
        self._order: list[tuple[str, list[tuple[int, str]]]] = []

    def render(self, state: StateView) -> bytes:
        """Return the whole text for one state; values that are unknown are left out."""
        values = self._extractor.read(state.snapshot)
        if self._extractor.layout is not self._layout:
            self._layout = self._extractor.layout
            self._order = _order(self._layout)
        lines: list[str] = []
        for head, members in self._order:
            shown = [
                f"{prefix} {float(value)!r}\n"
                for position, prefix in members
                if (value := values[position]) is not None and math.isfinite(value)
            ]
            if shown:
                lines.append(head)
                lines += shown
        lines += _own(state, self._version)
        lines.append("# EOF\n")
        return "".join(lines).encode()


def _order(layout: tuple[Series, ...]) -> list[tuple[str, list[tuple[int, str]]]]:
    """Return for each family its head and its samples' places and prefixes; a family's samples must stand together."""
    members: dict[str, list[tuple[int, str]]] = {}
    for position, series in enumerate(layout):
        metric = CATALOGUE[series.metric]
        members.setdefault(series.metric, []).append((position, sample_name(metric) + _labels(series.labels)))
    return [(_head(CATALOGUE[name]), found) for name, found in members.items()]


def _head(metric: Metric) -> str:
    return _meta(family(metric), metric.kind.value, metric.help, unit_of(metric))


def _meta(name: str, kind: str, text: str, unit: str = "") -> str:
    about = text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f"# TYPE {name} {kind}\n" + (f"# UNIT {name} {unit}\n" if unit else "") + f"# HELP {name} {about}\n"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    written = ",".join(f'{_NOT_A_NAME.sub("_", name)}="{_escape(value)}"' for name, value in labels)
    return f"{{{written}}}" if written else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _own(state: StateView, version: str) -> list[str]:
    """Return the lines about resourced itself: its version, its collectors, its verdict."""
    lines = [
        # Not of the type info, which parsers of the older text form refuse: a gauge of 1 is what others expose.
        _meta("resourced_build_info", "gauge", "Version of resourced, as a label."),
        f'resourced_build_info{{version="{version}"}} 1\n',
    ]
    health = state.snapshot.collectors.items()
    lines.append(_meta("resourced_collector_up", "gauge", "Whether a collector's value belongs to this sample."))
    lines += [f"resourced_collector_up{_labels([('collector', name)])} {int(h.usable)}\n" for name, h in health]
    lines.append(
        _meta("resourced_collector_duration_seconds", "gauge", "How long the last complete reading took.", "seconds")
    )
    lines += [
        f"resourced_collector_duration_seconds{_labels([('collector', name)])} {h.duration_seconds!r}\n"
        for name, h in health
        if h.duration_seconds is not None
    ]
    if state.verdict is not None:
        lines.append(_meta("resourced_prune", "gauge", "Whether something should be pruned."))
        lines.append(f"resourced_prune {int(state.verdict.prune)}\n")
        lines.append(_meta("resourced_rule_firing", "gauge", "Whether a rule of the policy is firing."))
        lines += [
            f"resourced_rule_firing{_labels([('rule', rule.rule), ('instance', rule.instance)])} "
            f"{int(rule.phase is Phase.FIRING)}\n"
            for rule in state.verdict.rules
        ]
    return lines
