"""The unit's exposure beside the peers' units, and how long the daemon takes from its first instruction to READY=1.

Run: python -m tests.bench.bench_service [--rounds 11]. Units are judged by `systemd-analyze security --offline`;
those of peers are the ones that Debian's packages bring, and are skipped where a package is absent.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.bench_history_size import FOLDER, recordings_folder
from tests.bench.corpus import whole_machines
from tests.bench.endless import Endless
from tests.bench.prefilled import fill, layout
from tests.bench.report import keep, table
from tests.running import running, settings

_UNITS = Path(__file__).parents[2] / "systemd"
_INSTALLED = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
_PEERS = (
    ("systemd-oomd", "systemd-oomd.service", "systemd-oomd"),
    ("Prometheus", "prometheus.service", "prometheus"),
    ("Netdata", "netdata.service", "netdata-core"),
    ("earlyoom", "earlyoom.service", "earlyoom"),
    ("nohang", "nohang.service", "nohang"),
    ("node_exporter", "prometheus-node-exporter.service", "prometheus-node-exporter"),
)


def exposure(unit: Path) -> str:
    """Return what systemd-analyze says of a unit: 0 is confined, 10 is unconfined.

    Raises:
        RuntimeError: It can't judge files.
    """
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for \S+ ([\d.]+ \w+)", done.stdout)
    if found is None:
        raise RuntimeError(f"systemd-analyze said of {unit}: {done.stdout[-300:]}{done.stderr[-300:]}")
    return found[1]


def exposures() -> tuple[list[tuple[str, str]], list[str]]:
    """Return the units with their exposure, ours first, and a sentence for each that is absent."""
    rows = [(name, exposure(_UNITS / name)) for name in ("resourced.service", "resourced-readonly.service")]
    absent = []
    for peer, unit, package in _PEERS:
        found = next((folder / unit for folder in _INSTALLED if (folder / unit).exists()), None)
        if found is None:
            absent.append(f"{peer} is not installed (Debian: {package})")
        else:
            rows.append((f"{peer}'s {unit}", exposure(found)))
    return rows, absent


def start_seconds(directory: Path) -> float:
    """Return the seconds from making the process to its READY=1."""
    began = time.monotonic()
    with running(directory, text=settings(directory)):
        return time.monotonic() - began


def starts(state: Path | None, rounds: int) -> list[float]:
    """Return how long so many starts took, each on a store like `state`; on none if that is None."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="resourced-bench-") as name:
            directory = Path(name) / "daemon"
            directory.mkdir()
            if state is not None:
                shutil.copytree(state, directory / "state")
            found.append(start_seconds(directory))
    return found


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--days", type=int, default=31)
    recordings_folder(parser)
    chosen = parser.parse_args()
    rows, absent = exposures()
    with tempfile.TemporaryDirectory(prefix="resourced-bench-") as name:
        series = layout(300)
        fill(Path(name), chosen.days, time.time(), Endless(whole_machines(chosen.recordings), len(series)), series)
        taken = {"no store": starts(None, chosen.rounds), f"{chosen.days} days": starts(Path(name), chosen.rounds)}
    body = table(("unit", "exposure"), rows)
    body += "\n\n`systemd-analyze security --offline`; at most 1.5 wanted for resourced.service.\n\n"
    times = [
        (what, *(f"{1000 * each:.0f} ms" for each in (statistics.median(found), max(found))))
        for what, found in taken.items()
    ]
    body += table(("start on", "median until READY=1", "longest"), times)
    body += f"\n\nFrom making the process, {chosen.rounds} starts each, the first sample included; at most 1 s wanted."
    for line in absent:
        body += f"\n\nNot judged: {line}."
    command = f"python -m tests.bench.bench_service --rounds {chosen.rounds}"
    keep("Service", command + (f" {FOLDER} FOLDER" if chosen.recordings else ""), body)


if __name__ == "__main__":
    main()
