"""Recordings of real machines as columns: what the kernel said, or the thinned ones beside the scenarios.

A recording is gzipped JSON, one object a line. Three forms are read: texts of /proc by path, texts of /proc under
`proc`, and the thinned values of tests/scenarios.
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resourced.series import Series

SCENARIOS = Path(__file__).parent.parent / "scenarios"

Floats = npt.NDArray[np.float64]

_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_COUNTS = ("ctxt", "intr", "processes", "procs_running", "procs_blocked")
_NET = dict(zip((0, 1, 2, 3), ("rx_bytes", "rx_packets", "rx_errs", "rx_drop"), strict=True)) | dict(
    zip((8, 9, 10, 11), ("tx_bytes", "tx_packets", "tx_errs", "tx_drop"), strict=True)
)
_DISK = {0: "reads", 2: "rsect", 3: "rms", 4: "writes", 6: "wsect", 7: "wms", 8: "inprog", 9: "ioms"}
_LOADS = ("load1", "load5", "load15")


@dataclass(frozen=True, slots=True)
class Corpus:
    """One recording."""

    name: str
    """The file's name without its endings."""
    times: Floats
    """Wall time of each tick, shape (ticks,), seconds since the epoch."""
    series: tuple[Series, ...]
    """What the rows are."""
    values: Floats
    """Shape (series, ticks); NaN where a tick has no value."""

    @property
    def samples(self) -> int:
        """Return the number of known values."""
        return int((~np.isnan(self.values)).sum())


def corpora(folder: Path | None) -> list[Corpus]:
    """Return the committed recordings, and those of a folder, if one is given."""
    folders = [SCENARIOS, *([folder] if folder is not None else [])]
    return [read_corpus(path) for place in folders for path in sorted(place.glob("*.jsonl.gz"))]


def whole_machines(folder: Path | None) -> list[Corpus]:
    """Return what long histories are made of: of a folder's recordings those of a whole machine, not a few series."""
    return [each for each in corpora(folder) if folder is None or len(each.series) > 20]


def read_corpus(path: Path, ticks: int | None = None) -> Corpus:
    """Return a recording, or its first ticks.

    Raises:
        ValueError: It holds nothing.
    """
    times: list[float] = []
    rows: list[dict[Series, float]] = []
    for time, row in _rows(path):
        if ticks is not None and len(rows) >= ticks:
            break
        times.append(time)
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} holds no tick")
    series = tuple(dict.fromkeys(series for row in rows for series in row))
    values = np.array([[row.get(each, np.nan) for each in series] for row in rows]).T
    return Corpus(path.name.partition(".")[0], np.array(times), series, np.ascontiguousarray(values))


def _rows(path: Path) -> Iterator[tuple[float, dict[Series, float]]]:
    with gzip.open(path, "rt") as lines:
        names: list[Series] = []
        for line in lines:
            raw = json.loads(line)
            if "names" in raw:
                names = [Series(name) for name in raw["names"]]
            elif "v" in raw:
                yield raw["t"], {s: float(v) for s, v in zip(names, raw["v"], strict=True) if v is not None}
            else:
                files = raw.get("proc") or {key.removeprefix("/proc/"): text for key, text in raw.items()}
                yield raw.get("time", raw.get("t")), dict(_kernel(files))


def _kernel(files: Mapping[str, str]) -> Iterator[tuple[Series, float]]:
    """Yield the counters and sizes of the kernel's files."""
    yield from _stat(files["stat"].splitlines())
    for line in files["meminfo"].splitlines():
        name, number, *unit = line.replace(":", "").split()
        yield Series("mem_" + re.sub(r"\W", "_", name) + "_bytes"), float(number) * (1024 if unit else 1)
    yield from _devices("net", _NET, [line.replace(":", " ").split() for line in files["net/dev"].splitlines()[2:]])
    disks = [line.split()[2:] for line in files["diskstats"].splitlines()]
    yield from _devices("disk", _DISK, [disk for disk in disks if not disk[0].startswith(("loop", "ram"))])
    for resource in ("cpu", "memory", "io"):
        for line in files[f"pressure/{resource}"].splitlines():
            kind, *pairs = line.split()
            for key, _, number in (pair.partition("=") for pair in pairs):
                yield Series(f"psi_{resource}_{kind}_{key}"), float(number)
    for name, field in zip(_LOADS, files["loadavg"].split(), strict=False):
        yield Series(name), float(field)


def _devices(kind: str, names: Mapping[int, str], lines: Iterable[Sequence[str]]) -> Iterator[tuple[Series, float]]:
    for device, *fields in lines:
        for place, name in names.items():
            yield Series(f"{kind}_{name}", (("dev", device),)), float(fields[place])


def _stat(lines: Iterable[str]) -> Iterator[tuple[Series, float]]:
    for line in lines:
        name, *fields = line.split()
        if name.startswith("cpu"):
            for mode, field in zip(_MODES, fields, strict=False):
                yield Series("cpu_seconds_total", (("cpu", name), ("mode", mode))), int(field) / 100
        elif name in _COUNTS:
            yield Series(f"stat_{name}"), float(fields[0])


def texts(corpus: Corpus) -> Iterator[str]:
    """Yield a recording's lines as OpenMetrics."""
    families: dict[str, list[int]] = {}
    for number, series in enumerate(corpus.series):
        families.setdefault(re.sub(r"\W", "_", series.metric), []).append(number)
    stamps = [f"{time:.3f}" for time in corpus.times]
    for family, members in families.items():
        yield f"# TYPE {family} unknown\n"
        for number in members:
            labels = ",".join(f'{key}="{value}"' for key, value in corpus.series[number].labels)
            name = f"{family}{{{labels}}}" if labels else family
            for stamp, value in zip(stamps, corpus.values[number].tolist(), strict=True):
                if value == value:  # noqa: PLR0124 - only NaN differs from itself
                    yield f"{name} {value!r} {stamp}\n"
    yield "# EOF\n"
