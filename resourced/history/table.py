"""The answer to a question: columns over common times, and the forms in which it leaves."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resourced.errors import QueryError
from resourced.metrics import CATALOGUE
from resourced.series import Series


@dataclass(frozen=True, slots=True)
class Table:
    """Values over time. A gap is None."""

    times: Sequence[float]
    """Start of each cell, or the time of each tick; ascending, seconds since the epoch."""
    series: Mapping[Series, Sequence[float | None]]
    """One column for each series, as long as `times`."""
    step: float | None
    """Seconds of a cell; None where single ticks are given."""
    aggregate: str
    """How the values of one cell became one."""
    resolution: float | None = None
    """Seconds of the coarsest cells that the answer was made of; None if only single ticks were."""

    def to_json(self) -> str:
        """Return columns as JSON."""
        columns = [
            {
                "series": str(series),
                "metric": series.metric,
                "labels": dict(series.labels),
                "unit": _unit(series),
                "values": list(values),
            }
            for series, values in self.series.items()
        ]
        return json.dumps(
            {
                "step_seconds": self.step,
                "resolution_seconds": self.resolution,
                "aggregate": self.aggregate,
                "times": list(self.times),
                "series": columns,
            }
        )

    def to_csv(self) -> str:
        """Return rows with a header, empty where there is no value."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["time", *map(str, self.series)])
        writer.writerows(zip(self.times, *self.series.values(), strict=True))
        return text.getvalue()

    def to_arrow(self) -> bytes:
        """Return an Arrow IPC stream; units are in the fields' metadata.

        Raises:
            QueryError: pyarrow is not installed.
        """
        try:
            import pyarrow as pa  # noqa: PLC0415 - optional, and 40 MB
        except ImportError:
            raise QueryError("format", "arrow needs the package pyarrow, which is not installed; use csv") from None
        fields = [pa.field("time", pa.float64(), metadata={"unit": "s"})]
        fields += [pa.field(str(series), pa.float64(), metadata={"unit": _unit(series)}) for series in self.series]
        columns = [pa.array(column, pa.float64()) for column in (self.times, *self.series.values())]
        batch = pa.record_batch(columns, schema=pa.schema(fields))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())


def _unit(series: Series) -> str:
    metric = CATALOGUE.get(series.metric)
    return metric.unit if metric else "1"


def known(values: Any) -> list[float | None]:
    """Return a column of floats with None for NaN."""
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - only NaN differs from itself
