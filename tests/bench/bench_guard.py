"""How long it takes from the moment at which memory is short until whoever must end has the signal.

Run as root: python -m tests.bench.bench_guard [--rounds 30] [--earlyoom PATH]. Needs wrk and unshare. All of it lives
in a PID namespace of its own, so nobody else on the machine can be signalled, and memory is only said to be short: a
file lies over /proc/meminfo there.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.bench.corpus import corpora
from tests.bench.endless import Endless
from tests.bench.guarded import Hog, Meminfo, enter, load
from tests.bench.peers import scratch, sleepers
from tests.bench.prefilled import fill, layout
from tests.bench.report import keep, table
from tests.running import Daemon, running

_NAME = "resourced-hog"
_MEBIBYTES = 512
_PLENTY, _CLOSE, _SHORT = 0.5, 0.06, 0.04
_DAYS = 8
_ENOUGH = 20
"""Values of which a 95th percentile says something."""
_TOLD = re.compile(r"([\d.]+) ms$")
_CONFIG = """
[daemon]
runtime_directory = "{directory}/run"
[history]
directory = "{state}"
[api]
port = 0
[log]
repeat_limit = 100000
[policy]
profile = "none"
mode = "{mode}"
kill_limit = 10000
[actions]
settle = "0s"
[guard]
{guard}
[[rule]]
name = "bench"
level = "hard"
metric = "memory.available"
below = "5%"
clear = "5.5%"
clear_for = "0s"
cooldown = "1s"
scope = "process"
rank = ["fastest_growing", "largest"]
min_gain = "0.1%"
steps = [{{ step = "terminate", grace = "3s" }}, {{ step = "kill", grace = "5s" }}]
only = {{ processes = ["{name}"] }}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What else happens meanwhile."""

    name: str
    processes: int
    api: bool = False
    askers: int = 0


LOADS = (
    Load("nothing asked", 500),
    Load("nothing asked", 2000),
    Load("API at full load", 500, api=True),
    Load("three long questions at once", 500, askers=3),
    Load("API at full load and long questions", 500, api=True, askers=1),
    Load("API at full load and long questions", 2000, api=True, askers=1),
)


@dataclass(frozen=True, slots=True)
class Round:
    """One time that memory was short, in milliseconds."""

    whole: float
    """From memory being short until the hog had the signal."""
    acting: float | None
    """Of it, from the look that saw it until the signal was sent; None if it was not the guard, or can't be told."""


def rounds(meminfo: Meminfo, count: int, acted: Callable[[], float | None]) -> list[Round]:
    """Let memory be short again and again; `acted` returns milliseconds from look to signal of the last time."""
    found, dice = [], random.Random(5)
    for _ in range(count):
        hog = Hog(_NAME, _MEBIBYTES)
        meminfo.say(_CLOSE)
        time.sleep(1.5 + dice.random())
        began = meminfo.say(_SHORT)
        ended = hog.ended(20)
        meminfo.say(_PLENTY)
        if ended is None:
            raise RuntimeError("nobody asked the hog to end within 20 s")
        time.sleep(1.3)  # the next sample sees that it is over
        found.append(Round(1000 * (ended - began), acted()))
    return found


def questions(now: float) -> list[str]:
    """Return what is asked of the history: a week of 20 series, and a week of one from every tick."""
    names = [("metric", str(each)) for each in layout(300)]
    whole = {"start": now - 7 * 86400, "end": now - 3600}
    return [
        "/history?" + urlencode([*names[:20], *whole.items(), ("points", 1000)]),
        "/history?" + urlencode([names[20], *whole.items(), ("step", 100)]),
    ]


@contextlib.contextmanager
def daemon(directory: Path, state: Path, mode: str, guard: str = "") -> Iterator[Daemon]:
    """Run the daemon with one rule, which nobody but the hog has to heed."""
    text = _CONFIG.format(directory=directory, state=state, mode=mode, guard=guard, name=_NAME)
    with running(directory, text=text) as made:
        try:
            yield made
        except RuntimeError:
            print(made.text())
            raise


def of_guard(made: Daemon) -> Callable[[], float | None]:
    """Return what tells of the guard's last deed, once, how many milliseconds it took."""
    seen = 0

    def acted() -> float | None:
        nonlocal seen
        lines = made.lines("guard_triggered")
        new, seen = lines[seen:], len(lines)
        found = _TOLD.search(new[-1]["reason"]) if new else None
        return float(found[1]) if found else None

    return acted


def measure(
    meminfo: Meminfo, directory: Path, state: Path, each: Load, count: int, earlyoom: str | None
) -> list[Round]:
    """Return what came of one load; by earlyoom beside a daemon that only observes, if it is named."""
    asked = questions(time.time())
    with contextlib.ExitStack() as stack:
        stack.enter_context(sleepers(each.processes))
        made = stack.enter_context(daemon(directory, state, "observe" if earlyoom else "enforce"))
        stack.enter_context(load(made.port, api=each.api, questions=asked, askers=each.askers))
        time.sleep(5)
        if earlyoom is None:
            return rounds(meminfo, count, of_guard(made))
        command = [earlyoom, "-r", "0", "-m", "5,1", "-s", "100,100", "--prefer", f"^{_NAME}$"]
        killer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(killer.wait)
        stack.callback(killer.kill)
        return rounds(meminfo, count, lambda: None)


def idle_cost(directory: Path, state: Path, seconds: int) -> list[tuple[str, float, float]]:
    """Return period, looks a second and share of a processor of the guard's thread while memory is plenty."""
    found = []
    for period in ("1s", "100ms", "50ms"):
        with daemon(directory, state, "enforce", f'min_interval = "{period}"\nmax_interval = "{period}"') as made:
            time.sleep(5)
            tasks = Path(f"/proc/{made.process.pid}/task")
            [thread] = [each for each in tasks.iterdir() if (each / "comm").read_text() == "guard\n"]
            before, began = _ran(thread), time.monotonic()
            time.sleep(seconds)
            after, passed = _ran(thread), time.monotonic() - began
        found.append((period, (after[1] - before[1]) / passed, (after[0] - before[0]) / 1e9 / passed))
    return found


def _ran(thread: Path) -> tuple[int, int]:
    """Return nanoseconds on a processor, and how often it got one."""
    ran, _, times = (thread / "schedstat").read_text().split()
    return int(ran), int(times)


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    shown = [statistics.median(values), max(values)]
    if len(values) >= _ENOUGH:
        shown.insert(1, statistics.quantiles(values, n=20, method="inclusive")[-1])
    return " / ".join(f"{each:.1f}" for each in shown)


def _row(name: str, each: Load, found: list[Round]) -> tuple[str, ...]:
    ours = [one for one in found if one.acting is not None]
    return (
        name,
        each.name,
        f"{each.processes:,}",
        _spread([one.whole for one in found]),
        _spread([one.whole - (one.acting or 0.0) for one in ours]),
        _spread([one.acting or 0.0 for one in ours]),
        f"{len(found)}" + (f", {len(ours)} by the guard" if ours and len(ours) < len(found) else ""),
    )


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=30, help="for which what it costs is measured")
    parser.add_argument("--earlyoom", default=shutil.which("earlyoom"))
    parser.add_argument("--only", type=int, nargs="*", help="numbers of loads; nothing is written down then")
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        print("skipped: wrk is not installed (Debian: wrk)")
        return
    if not enter("tests.bench.bench_guard"):
        print("skipped: only root can make a world of its own for those who kill, by unshare of util-linux")
        return
    wanted = LOADS if chosen.only is None else [LOADS[number] for number in chosen.only]
    rows: list[tuple[str, ...]] = []
    with scratch() as directory:
        state, series = directory / "state", layout(300)
        fill(state, _DAYS, time.time(), Endless(corpora(None), len(series)), series)
        meminfo = Meminfo(directory)
        for number, each in enumerate(wanted):
            for name, killer in (("resourced", None), ("earlyoom", chosen.earlyoom)):
                if name == "earlyoom" and (not killer or each.askers):
                    continue
                run = directory / f"{name}{number}"
                rows.append(_row(name, each, measure(meminfo, run, state, each, chosen.rounds, killer)))
                print(*rows[-1], os.getloadavg(), flush=True)
        costs = idle_cost(directory / "cost", state, chosen.seconds) if chosen.only is None else []
    if chosen.only is None:
        _write(chosen.rounds, rows, costs, beside=bool(chosen.earlyoom))


def _write(count: int, rows: list[tuple[str, ...]], costs: list[tuple[str, float, float]], *, beside: bool) -> None:
    head = ("program", "meanwhile", "processes", "short to signal", "short to look", "look to signal", "times")
    body = f"Milliseconds: median, 95th percentile where there are {_ENOUGH}, worst.\n\n" + table(head, rows)
    body += (
        "\n\nShort is memory from the moment at which /proc/meminfo says so: 4 % left, after 6 % for a while, with a"
        " rule that asks for 5 %. The signal is there when the one who must end, a process of"
        f" {_MEBIBYTES} MiB, has read the clock; the time until it runs counts with the time until the look. At full"
        " load: `wrk -t1 -c8` on /resources/all and 50 streams of events. Long questions: a week of 20 series, and a"
        f" week of one from every tick, of a store of {_DAYS} days and 300 series, without a pause. The daemon samples"
        " once a second meanwhile; a sample may see it first."
    )
    if beside:
        body += " earlyoom (`-m 5,1 -s 100,100`) acts beside a daemon under the same load that only observes."
    else:
        body += "\n\nNot measured: earlyoom is not installed (Debian: earlyoom; --earlyoom names it)."
    body += "\n\n" + table(
        ("the guard looks every", "waking up, a second", "of one processor"),
        [(period, f"{times:.1f}", f"{100 * share:.2f} %") for period, times, share in costs],
    )
    keep("Guard", f"python -m tests.bench.bench_guard --rounds {count}", body)


if __name__ == "__main__":
    main()
