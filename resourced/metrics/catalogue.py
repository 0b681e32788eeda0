"""The one list of metrics, put together from its tables, and the short names that people may write."""

from dataclasses import dataclass

from resourced.metrics.gpu import GPU
from resourced.metrics.host import HOST
from resourced.metrics.model import Metric
from resourced.metrics.storage import STORAGE


@dataclass(frozen=True, slots=True)
class Alias:
    """What a short name stands for: a metric, and labels that it fixes."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


def _aliases(metrics: tuple[Metric, ...]) -> dict[str, Alias]:
    found: dict[str, Alias] = {}
    for metric in metrics:
        several = len(metric.alias) > 1
        for position, alias in enumerate(metric.alias):
            found[alias] = Alias(metric.name, metric.fields[position].labels if several else ())
    return found


_ALL = HOST + STORAGE + GPU

CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric, keyed by canonical name, in the order of the tables."""

ALIASES: dict[str, Alias] = _aliases(_ALL)
"""Short names."""
