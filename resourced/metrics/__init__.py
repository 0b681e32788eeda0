"""The catalogue: every metric once, with name, unit, kind, labels, help and where it is read.

Names follow OpenTelemetry's semantic conventions 1.44 where they have one; ours begin with `resourced.`. The store's
series, rule validation, OpenMetrics exposition, /catalog and the documentation are derived from this table. A metric is
added by one field of a snapshot and one entry here.

`path` leads from a Snapshot to the value: `memory.available_bytes`; a `*` walks a dictionary whose keys become the
first label (`network.interfaces.*.receive_bytes`).
"""

from resourced.metrics.catalogue import ALIASES, CATALOGUE, Alias
from resourced.metrics.model import Field, Kind, Metric
from resourced.metrics.selector import Selector, is_pattern, nearest, parse_selector, series_name

__all__ = [
    "ALIASES",
    "CATALOGUE",
    "Alias",
    "Field",
    "Kind",
    "Metric",
    "Selector",
    "is_pattern",
    "nearest",
    "parse_selector",
    "series_name",
]
