"""How series are named, and how people point at some of them."""

import fnmatch
import re
from dataclasses import dataclass
from difflib import get_close_matches

from resourced.errors import QueryError
from resourced.metrics.catalogue import ALIASES, CATALOGUE


@dataclass(frozen=True, slots=True)
class Selector:
    """Some series: a metric name and patterns for labels, either of which may hold * and ?."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()

    def matches(self, name: str, labels: tuple[tuple[str, str], ...]) -> bool:
        """Return whether the series is selected. A label that the series doesn't have matches only "*"."""
        if self.name != name and not fnmatch.fnmatchcase(name, self.name):
            return False
        have = dict(labels)
        return all(fnmatch.fnmatchcase(have.get(key, ""), pattern) for key, pattern in self.labels)

    @property
    def exact(self) -> bool:
        """Whether it names one series: a metric of the catalogue and the value of each of its labels."""
        metric = CATALOGUE.get(self.name)
        return (
            metric is not None
            and sorted(metric.label_names) == [key for key, _ in self.labels]
            and all(value and not is_pattern(value) for _, value in self.labels)
        )

    def __str__(self) -> str:
        return series_name(self.name, self.labels)


def is_pattern(text: str) -> bool:
    """Return whether a text means more than itself."""
    return any(sign in text for sign in "*?[")


def series_name(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    """Return how a series is written: `system.network.io{network.interface.name="eth0"}`."""
    if not labels:
        return name
    return name + "{" + ",".join(f'{key}="{_escape(value)}"' for key, value in labels) + "}"


_SELECTOR = re.compile(r"\s*([A-Za-z_*?][\w.*?]*)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_LABEL = re.compile(r'\s*([\w.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",{}\s]+))\s*(,|$)')


def parse_selector(text: str) -> Selector:
    r"""Return the selector that a text such as `memory.available` or `hw.gpu.utilization{hw.id="GPU-*"}` means.

    Short names are replaced by the canonical ones; quotes around a label's value may be left out.

    Raises:
        QueryError: The text is malformed, or no metric has such a name; the message names the nearest.
    """
    found = _SELECTOR.fullmatch(text)
    if found is None:
        raise QueryError("metric", f'{text!r} is not a series; write a name, or name{{label="pattern"}}')
    name, labels = found[1], _parse_labels(found[2] or "", text)
    alias = ALIASES.get(name)
    if alias is not None:
        name = alias.name
        labels = dict(alias.labels) | labels
    if not any(c in name for c in "*?") and name not in CATALOGUE:
        raise QueryError("metric", f"there is no metric {name!r}{nearest(name)}")
    if any(c in name for c in "*?") and not any(fnmatch.fnmatchcase(known, name) for known in CATALOGUE):
        raise QueryError("metric", f"no metric's name matches {name!r}; /catalog lists them all")
    metric = CATALOGUE.get(name)
    for key in labels if metric else ():
        if metric and key not in metric.label_names:
            allowed = ", ".join(metric.label_names) or "none"
            raise QueryError("metric", f"{name} has no label {key!r}; its labels: {allowed}")
    return Selector(name, tuple(sorted(labels.items())))


def nearest(name: str) -> str:
    """Return "; did you mean …?" for a name that doesn't exist, or where to look if nothing is near."""
    close = get_close_matches(name, [*CATALOGUE, *ALIASES], n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else "; /catalog and `resourcectl catalog` list them all"


def _parse_labels(text: str, whole: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text):
        found = _LABEL.match(text, position)
        if found is None:
            raise QueryError("metric", f'{whole!r}: labels are written label="pattern", separated by commas')
        labels[found[1]] = re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
        position = found.end()
    return labels


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
