"""Bytes a sample, beside Prometheus and float32 with zstd, on the same recordings; every value is read back.

Run: python -m tests.bench.bench_history_size [--recordings FOLDER]. The folder, or RESOURCED_BENCH_RECORDINGS, holds
more recordings than the small ones beside the scenarios: texts of /proc a second apart (see corpus).
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resourced.history import Recording
from resourced.history.rollup import roll
from tests.bench.corpus import Corpus, corpora, texts
from tests.bench.report import keep, table
from tests.history.fakes import Kit

ENVIRONMENT = "RESOURCED_BENCH_RECORDINGS"
FOLDER = "--recordings"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of one recording in one form each; None where the program is missing."""

    packed: int
    """Blocks of single ticks: values, times and the directory of what is where."""
    tiers: int
    """The same and the cells of minutes and hours."""
    file: int
    """The file of a closed store."""
    exported: int
    """The file of `resourcectl history export`."""
    chunks: int | None
    """Prometheus' chunks."""
    tsdb: int | None
    """Its whole block, with the index."""
    floats: int | None
    """float32 with zstd -19, series after series; loses digits, but for the times."""
    doubles: int | None
    """float64 with zstd -19."""


def recordings_folder(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a folder of recordings."""
    default = os.environ.get(ENVIRONMENT)
    parser.add_argument(FOLDER, type=Path, default=Path(default) if default else None, help="more recordings")


def stored(corpus: Corpus, directory: Path) -> tuple[int, int, int, int]:
    """Store a recording as the daemon does and read it back; return the bytes of blocks, with tiers, of both files.

    Raises:
        AssertionError: A value came back with other bits.
    """
    kit = Kit(directory / "store")
    for time, row in zip(corpus.times.tolist(), corpus.values.T.tolist(), strict=True):
        kit.add([None if value != value else value for value in row], time=time, layout=corpus.series)  # noqa: PLR0124
        if kit.sequence % 10 == 0:
            kit.history.flush()
        if kit.sequence % 300 == 0:
            kit.history.maintain()
    exported = directory / "exported.db"
    kit.history.export(exported, corpus.times[0], corpus.times[-1])
    with Recording(exported) as recording:
        compare(corpus, recording)
    keeper = kit.history._keeper
    keeper._pack_at_once = True  # also the hour that is not over
    kit.history.maintain()
    compare(corpus, kit.history)
    (packed,) = (tier.bytes for tier in kit.history.stats().tiers if tier.resolution_seconds == 0)
    assert keeper._store is not None
    while roll(keeper._store, kit.clock.now, force=True):
        pass
    tiers = sum(tier.bytes for tier in kit.history.stats().tiers)
    kit.history.close()
    return packed, tiers, (directory / "store" / "history.db").stat().st_size, exported.stat().st_size


def compare(corpus: Corpus, history: object) -> None:
    """Check that every tick is there once, with the same bits."""
    at = 0
    for tick in history.ticks(0.0, 4e9):  # type: ignore[attr-defined]  # a History or a Recording
        assert tick.time == corpus.times[at]
        found = dict(zip(tick.layout, tick.values, strict=True))
        column = np.array([np.nan if found.get(s) is None else found[s] for s in corpus.series])
        assert column.tobytes() == corpus.values[:, at].tobytes(), f"tick {at} of {corpus.name} differs"
        at += 1
    assert at == len(corpus.times), f"{len(corpus.times)} ticks were stored, {at} came back"


def prometheus(corpus: Corpus, directory: Path) -> tuple[int | None, int | None]:
    """Return the bytes of Prometheus' chunks, and of all its files, or None twice if promtool is not installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return None, None
    source, target = directory / "samples.txt", directory / "tsdb"
    with source.open("w") as file:
        file.writelines(texts(corpus))
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(source), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    chunks = sum(path.stat().st_size for path in target.glob("*/chunks/*"))
    return chunks, sum(path.stat().st_size for path in target.glob("**/*") if path.is_file())


def zstd(data: bytes) -> int | None:
    """Return the bytes that zstd makes of some, or None if it is not installed."""
    program = shutil.which("zstd")
    if program is None:
        return None
    return len(subprocess.run([program, "-19", "-c"], input=data, check=True, capture_output=True).stdout)


def measure(corpus: Corpus) -> Sizes:
    """Return what a recording takes in each form."""
    with tempfile.TemporaryDirectory(prefix="resourced-bench-") as name:
        place = Path(name)
        chunks, tsdb = prometheus(corpus, place)
        times = corpus.times.astype("<f8").tobytes()
        floats, doubles = (zstd(times + corpus.values.astype(kind).tobytes()) for kind in ("<f4", "<f8"))
        return Sizes(*stored(corpus, place), chunks, tsdb, floats, doubles)


def rows(found: list[tuple[Corpus, Sizes]]) -> Iterator[tuple[str, ...]]:
    """Yield a row of bytes a sample for each recording."""
    for corpus, sizes in found:
        cells = [getattr(sizes, name) for name in Sizes.__slots__]
        shown = ["not installed" if size is None else f"{size / corpus.samples:.3f}" for size in cells]
        yield (f"{corpus.name}, {len(corpus.series)} series, {len(corpus.times)} ticks", f"{corpus.samples:,}", *shown)


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    recordings_folder(parser)
    chosen = parser.parse_args()
    found = [(corpus, measure(corpus)) for corpus in corpora(chosen.recordings)]
    head = ("recording", "samples", "packed", "with tiers", "file", "exported")
    body = table(
        (*head, "Prometheus' chunks", "Prometheus' block", "float32, zstd", "float64, zstd"), list(rows(found))
    )
    corpus, sizes = max(found, key=lambda pair: pair[0].samples)
    body += (
        f"\n\nBytes a sample; times count with the values. Packed: {sizes.packed / corpus.samples:.3f} on the largest"
        f" ({corpus.name}), at most 0.25 wanted. Every value of every recording came back with the same bits, from"
        " the store and from the exported file. The recordings of 15 series are the thinned ones beside the scenarios:"
        " a few kilobytes. The file holds, beside the blocks, the last hour once more, unpacked and to be overwritten"
        " (about 1 MB at 150 series, however long the history is); what it is a sample in the long run is measured"
        " under History: days. float32 keeps seven digits: it is not lossless. `promtool tsdb create-blocks-from"
        " openmetrics`; `zstd -19`."
    )
    command = "python -m tests.bench.bench_history_size" + (f" {FOLDER} FOLDER" if chosen.recordings else "")
    keep("History: bytes a sample", command, body)


if __name__ == "__main__":
    main()
