"""Memory storms in a virtual machine: who ends the runaway, who else dies, and how long a bystander stands still.

`python -m tests.system.bench_storm` runs each scenario with each daemon, without and with swap, appends each result to
a file as it comes (--resume goes on there), and with --keep writes the table into docs/benchmarks.md and the runs into
docs/storms.jsonl.
"""

import argparse
import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.system.image import base_image
from tests.system.machine import CommandError, Machine
from tests.system.package import build
from tests.system.storm import daemons, programs
from tests.system.storm.daemons import KEEPERS
from tests.system.storm.table import NOISY_SECONDS, counts, tabulate
from tests.system.storm.trial import INNOCENT_MB, SCENARIOS, STORM_SECONDS, Setting, run

MEMORY_MB = 2048
FILE_MB = 1024
SWAPS_MB = (0, 1024)
COMMAND = "python -m tests.system.bench_storm"
RUNS = report.DOCUMENT.with_name("storms.jsonl")
"""Where --keep leaves the runs that the table is made of, so that it can be gone on with."""


class Ground:
    """The machine that storms go over: booted when needed, and again when one has left it broken."""

    def __init__(self, directory: Path, package: Path) -> None:
        self._directory = directory
        self._package = package
        self._machine: Machine | None = None
        self._prepared = False

    def machine(self) -> Machine:
        """Return it, ready."""
        if self._machine is None:
            self._machine = Machine(base_image("storm", daemons.PACKAGES), self._directory, MEMORY_MB)
            print(f"booted in {self._machine.boot():.0f} s", flush=True)
            if not self._prepared:
                programs.install(self._machine, self._directory, programs.STORM)
                daemons.install(self._machine, self._package)
                self._machine.run(f"dd if=/dev/zero of=/var/tmp/storm-file bs=1M count={FILE_MB} status=none; sync")
                self._prepared = True
        return self._machine

    def fell(self) -> None:
        """Pull the plug: the machine no longer does what it is told."""
        if self._machine is not None:
            self._machine.kill()
            self._machine = None


def once(ground: Ground, setting: Setting) -> dict[str, Any]:
    """Run one storm; a machine that it broke counts as a result."""
    [keeper] = [each for each in KEEPERS if each.name == setting.daemon]
    machine = ground.machine()
    try:
        return run(machine, setting, keeper)
    except (CommandError, subprocess.TimeoutExpired, ValueError) as error:
        ground.fell()
        broken = {"scenario": setting.scenario, "swap_mb": setting.swap_mb, "daemon": setting.daemon}
        return {**broken, "broken": str(error)[:2000]}


def pending(arguments: argparse.Namespace, done: Sequence[dict[str, Any]]) -> Iterator[Setting]:
    """Yield what is still to be run: all settings once, then all twice, and so on; noisy runs are made again."""
    counted = [(each["scenario"], each["swap_mb"], each["daemon"]) for each in done if counts(each)]
    for number in range(1, arguments.runs + 1):
        for swap in arguments.swap:
            for scenario in arguments.scenarios:
                for daemon in arguments.daemons:
                    if counted.count((scenario, swap, daemon)) < number:
                        yield Setting(scenario, swap, daemon)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the results of an earlier run."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def words(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    """Run what is asked for and write the table."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--runs", type=int, default=5, help="of each setting")
    parser.add_argument("--scenarios", type=words, default=list(SCENARIOS), help="some of slow,fast,thrash")
    parser.add_argument("--daemons", type=words, default=[keeper.name for keeper in KEEPERS])
    parser.add_argument("--swap", type=lambda text: [int(each) for each in text.split(",")], default=list(SWAPS_MB))
    parser.add_argument("--resume", type=Path, default=Path("build/storm.jsonl"), help="results so far, a line each")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="begin no further storm after that time")
    parser.add_argument("--keep", action="store_true", help="write the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    arguments.resume.parent.mkdir(parents=True, exist_ok=True)
    results, ends = read(arguments.resume), time.monotonic() + arguments.minutes * 60
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        ground: Ground | None = None
        for setting in pending(arguments, results):
            if time.monotonic() > ends:
                break
            if ground is None:
                ground = Ground(Path(scratch), build(Path(scratch)))
                stack.callback(ground.fell)
            began = time.monotonic()
            results.append(once(ground, setting))
            with arguments.resume.open("a") as file:
                file.write(json.dumps(results[-1]) + "\n")
            print(f"{time.monotonic() - began:.0f} s: {json.dumps(results[-1])}", flush=True)
    body = f"{tabulate([each for each in results if counts(each)])}\n\n{_missing(results)}"
    if arguments.keep:
        RUNS.write_text("".join(f"{json.dumps({**each, 'told': []})}\n" for each in results))
        report.keep("Memory storms", COMMAND, f"{_about()} The runs themselves: [{RUNS.name}]({RUNS.name}).\n\n{body}")
    else:
        print(body)


def _missing(results: Sequence[dict[str, Any]]) -> str:
    """Return what no run tells of, and how many were not counted."""
    told = {(each["scenario"], each["swap_mb"], each["daemon"]) for each in results if counts(each)}
    wanted = [(scenario, swap, keeper.name) for scenario in SCENARIOS for swap in SWAPS_MB for keeper in KEEPERS]
    never = [
        f"{daemon} in {scenario} with {swap} MiB of swap"
        for scenario, swap, daemon in wanted
        if (scenario, swap, daemon) not in told
    ]
    noisy = [each for each in results if not counts(each)]
    whose = {keeper.name: [each for each in noisy if each["daemon"] == keeper.name] for keeper in KEEPERS}
    killed = {name: sum(each["oom_kills"] for each in runs) for name, runs in whose.items()}
    parts = [f"{len(runs)} with {name}, {killed[name]} kernel OOM kills" for name, runs in whose.items() if runs]
    return (
        f"Not run yet: {'; '.join(never) or 'nothing'}. Not counted, because the bystander was more than"
        f" {NOISY_SECONDS * 1000:.0f} ms late before the storm already: {'; '.join(parts) or 'none'}."
    )


def _about() -> str:
    keepers = "; ".join(f"{keeper.name}: {keeper.about}" for keeper in KEEPERS)
    return (
        f"A virtual machine of {MEMORY_MB} MiB with 2 emulated processors (about ten times slower: compare rows). An"
        f" innocent program holds {INNOCENT_MB} MiB, a bystander touches 8 MiB every 10 ms. The runaway grows by 20 MiB"
        " a second from 600 MiB left (slow), as fast as memory can be touched (fast), or takes all but 150 MiB and goes"
        f" through its own memory and a file of {FILE_MB} MiB round and round (thrash), for {STORM_SECONDS['slow']} s"
        f" at most ({STORM_SECONDS['thrash']} s in thrash)."
        " Medians of the runs, the worst in brackets; sums of those who were killed. A stall is a beat of the bystander"
        " that came more than 50 ms late; how late one came in the 8 s before the storm tells what is noise."
        f" {keepers}."
    )


if __name__ == "__main__":
    main()
