"""How long the daemon takes to answer from a month of history, what sampling notices of it, and how large it grows.

Run: python -m tests.bench.bench_history_queries [--days 31] [--rounds 21] [--recordings FOLDER]. The daemon is started
on a store of 300 series at one second with minutes and hours behind them, and asked over HTTP while it samples.
"""

import argparse
import contextlib
import http.client
import json
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from resourced.series import Series
from tests.bench.bench_history_size import FOLDER, recordings_folder
from tests.bench.corpus import whole_machines
from tests.bench.endless import Endless
from tests.bench.lags import Lags, spread
from tests.bench.peers import Running, resourced, scratch, started
from tests.bench.prefilled import fill, layout
from tests.bench.report import keep, table

_DAY = 86400.0
_MIB = 1024**2
_WARM_UP = 45.0  # past the first flush and the daemon's second settling


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked again and again, each time for other series."""

    name: str
    days: float
    series: int
    more: tuple[tuple[str, object], ...]
    milliseconds: float | None
    """Most that the median may be; None where nothing is promised."""

    def path(self, series: Sequence[Series], end: float) -> str:
        """Return what is asked for."""
        metrics = [("metric", str(each)) for each in series]
        return "/history?" + urlencode([*metrics, ("start", end - self.days * _DAY), ("end", end), *self.more])


POINTS = (("points", 1000),)
QUESTIONS = (
    Question("a day of one series, 1,000 points", 1, 1, POINTS, 20),
    Question("a week of one series, 1,000 points", 7, 1, POINTS, 50),
    Question("a day of 20 series, 1,000 points", 1, 20, POINTS, 200),
    Question("a day of one series, 1,000 points, greatest", 1, 1, (*POINTS, ("aggregate", "max")), 20),
    Question("a week of one series from every tick (step 100 s)", 6.9, 1, (("step", 100),), None),
    Question("an hour of one series, every tick", 1 / 24, 1, (), None),
    Question("30 days of one series, 1,000 points", 30, 1, POINTS, None),
    Question("30 days of 20 series, 1,000 points", 30, 20, POINTS, None),
)


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[float, int]:
    """Return milliseconds until the whole answer was there, and the number of its values that are known.

    Raises:
        RuntimeError: The answer is an error.
    """
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    took = 1000 * (time.perf_counter() - began)
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path}: {body.decode()}")
    return took, sum(value is not None for series in json.loads(body)["series"] for value in series["values"])


def measure(
    daemon: Running, question: Question, series: Sequence[Series], end: float, rounds: int
) -> tuple[list[float], float, int]:
    """Return milliseconds of each round, the processor's of all, sampling included, and values of the last answer."""
    port = int(urlsplit(str(daemon.peer.url)).port or 0)
    used = daemon.cpu_seconds()
    dice, found, values = random.Random(4), [], 0
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for _ in range(rounds):
            took, values = ask(connection, question.path(dice.sample(series, question.series), end))
            found.append(took)
    return found, 1000 * (daemon.cpu_seconds() - used) / rounds, values


def told(memory: Sequence[tuple[str, int]]) -> str:
    """Return resident sizes as words."""
    return ", ".join(f"{when} {size / _MIB:.1f} MiB" for when, size in memory)


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--rounds", type=int, default=21)
    recordings_folder(parser)
    chosen = parser.parse_args()
    series, now = layout(300), time.time()
    memory = []
    with scratch() as directory, contextlib.ExitStack() as stack:
        fill(directory / "state", chosen.days, now, Endless(whole_machines(chosen.recordings), len(series)), series)
        on_disk = (directory / "state" / "history.db").stat().st_size
        daemon = resourced(directory)
        running: Running = stack.enter_context(started(daemon))
        port, end = int(urlsplit(str(daemon.url)).port or 0), now // 3600 * 3600
        lags = Lags(port)
        time.sleep(_WARM_UP)
        memory.append(("before", running.memory_bytes()))
        with lags.watching() as idle:
            time.sleep(chosen.rounds)
        with lags.watching() as busy:
            rows = [_row(each, *measure(running, each, series, end, chosen.rounds)) for each in QUESTIONS]
        memory.append(("after the questions", running.memory_bytes()))
        time.sleep(_WARM_UP)
        memory.append((f"{_WARM_UP:.0f} s later", running.memory_bytes()))
    body = table(("question", "values", "median", "90th percentile", "longest", "processor, each", "wanted"), rows)
    body += (
        f"\n\n{len(series)} series at one second, {chosen.days} days: {on_disk / _MIB:.0f} MiB on disk. Each question"
        f" {chosen.rounds} times in a row over one connection, each time for other series; the processor's time is the"
        f" whole daemon's, imports at the first question and sampling included. Lateness of samples, median and"
        f" greatest: {spread(idle)} without questions, {spread(busy)} with; at most 20 ms more wanted. Resident"
        f" memory of the daemon: {told(memory)}; at most 60 MB wanted."
    )
    command = f"python -m tests.bench.bench_history_queries --days {chosen.days} --rounds {chosen.rounds}"
    keep("History: questions", command + (f" {FOLDER} FOLDER" if chosen.recordings else ""), body)


def _row(question: Question, took: list[float], used: float, values: int) -> tuple[str, ...]:
    tail = statistics.quantiles(took, n=10)[-1] if len(took) > 1 else took[0]
    times = [f"{each:.1f} ms" for each in (statistics.median(took), tail, max(took), used)]
    wanted = "" if question.milliseconds is None else f"{question.milliseconds:.0f} ms"
    return question.name, f"{values:,}", *times, wanted


if __name__ == "__main__":
    main()
