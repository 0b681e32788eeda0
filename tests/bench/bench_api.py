"""How many answers a second: /resources/all alone and with 50 readers of events, beside bare Starlette and the peers.

Run: python -m tests.bench.bench_api. Needs wrk; one thread, eight connections, medians of alternating rounds.
"""

import argparse
import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.lags import Lags
from tests.bench.listeners import Listeners
from tests.bench.peers import Peer, Running, ask, free_port, peers, resourced, scratch, started
from tests.bench.report import keep, table

LISTENERS = 50

_BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
body = b"x" * int(sys.argv[2])
async def answer(request):
    return Response(body, media_type="application/json")
app = Starlette(routes=[Route("/", answer)])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), http="httptools", loop="uvloop", log_level="error",
            access_log=False)
"""


def bare(directory: Path, size: int) -> Peer:
    """Return a Starlette application that answers so many bytes."""
    path = directory / "bare.py"
    path.write_text(_BARE)
    port = free_port()
    return Peer("bare Starlette", [sys.executable, str(path), str(port), str(size)], f"http://127.0.0.1:{port}/")


def wrk(url: str, seconds: int, *headers: str) -> tuple[float, float]:
    """Return requests a second and the 99th percentile of the latency in milliseconds."""
    options = [word for header in headers for word in ("-H", header)]
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "--latency", *options, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate, tail = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if rate is None or tail is None:
        raise RuntimeError(f"wrk said:\n{said}")
    return float(rate[1]), float(tail[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[tail[2]]


@dataclass(slots=True)
class Measured:
    """What was found about one program, or one way of asking it."""

    rates: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Microseconds a request, whatever else the program did meanwhile included."""
    lags: dict[int, float] = field(default_factory=dict)
    """Milliseconds by sample."""
    size: int = 0

    def ask(self, running: Running, url: str, seconds: int, *headers: str) -> None:
        """Ask for a round."""
        used = running.cpu_seconds()
        rate, tail = wrk(url, seconds, *headers)
        self.rates.append(rate)
        self.tails.append(tail)
        self.processor.append(1e6 * (running.cpu_seconds() - used) / (rate * seconds))

    def row(self, name: str) -> tuple[str, ...]:
        """Return the row of the table."""
        lag = f"{statistics.median(self.lags.values()):.1f}, {max(self.lags.values()):.1f} ms" if self.lags else ""
        if not self.rates:
            return name, "", "", "", lag, ""
        rate, tail, each = (statistics.median(values) for values in (self.rates, self.tails, self.processor))
        return name, f"{rate:,.0f}", f"{tail:.2f} ms", f"{each:,.0f} us", lag, f"{self.size:,} B"


IDLE = "resourced, not asked"
OURS, HEARD, KEPT = "resourced", f"resourced, {LISTENERS} readers of /events", "resourced, 304"
KEPT_HEARD = f"{KEPT}, {LISTENERS} readers"
_ANY = "If-None-Match: *"
"""With it every answer is a 304, also after a new sample."""


def ask_ours(running: Running, url: str, seconds: int, seen: dict[str, Measured]) -> int:
    """Ask the daemon alone and with readers; return how many events those received."""
    port = int(urlsplit(url).port or 0)
    lags, listeners = Lags(port), Listeners(port, LISTENERS)

    def measure(name: str, *headers: str) -> None:
        found = seen.setdefault(name, Measured())
        with lags.watching() as late:
            found.ask(running, url, seconds, *headers)
        found.lags |= late
        found.size = 0 if headers else ask(url)

    with lags.watching() as late:
        time.sleep(seconds)
    seen.setdefault(IDLE, Measured()).lags.update(late)
    measure(OURS)
    measure(KEPT, _ANY)
    with listeners.attached():
        measure(HEARD)
        measure(KEPT_HEARD, _ANY)
    return sum(each.events for each in listeners.all)


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        print("skipped: wrk is not installed (Debian: wrk)")
        return
    seen: dict[str, Measured] = {}
    events = 0
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        ours = resourced(directory)
        running = stack.enter_context(started(ours))
        url = str(ours.url)
        time.sleep(3)
        others, absent = peers(directory)
        asked = [bare(directory, ask(url)), *(peer for peer in others if peer.url)]
        beside = []
        for peer in asked:
            try:
                beside.append(stack.enter_context(started(peer)))
            except RuntimeError as error:
                absent.append(str(error))
        for _ in range(chosen.rounds):
            events += ask_ours(running, url, chosen.seconds, seen)
            for each in beside:
                found = seen.setdefault(each.peer.name, Measured())
                found.ask(each, str(each.peer.url), chosen.seconds)
                found.size = ask(str(each.peer.url))
    keep(
        "API",
        f"python -m tests.bench.bench_api --seconds {chosen.seconds} --rounds {chosen.rounds}",
        told(seen, chosen, events, absent),
    )


def told(seen: dict[str, Measured], chosen: argparse.Namespace, events: int, absent: list[str]) -> str:
    """Return the section's text."""
    rows = [found.row(name) for name, found in seen.items()]
    ratio = statistics.median(
        one / other for one, other in zip(seen[OURS].rates, seen["bare Starlette"].rates, strict=True)
    )
    body = table(("program", "requests/s", "99th percentile", "processor, each", "samples late", "answer"), rows)
    body += (
        f"\n\n`wrk -t1 -c8`, medians of {chosen.rounds} alternating rounds of {chosen.seconds} s; all programs run on"
        f" the same machine. Against the bare Starlette answer: {ratio:.2f}. Processor: used by the program and its"
        " children in the round, by requests. Samples late: median and greatest of all while the rounds lasted,"
        f" read from /healthz five times a second. The {LISTENERS} readers follow events of all kinds, samples too;"
        f" each received every sample ({events:,} events in all), or the run would have failed. The rows 304 ask with"
        " `If-None-Match: *`, so that every answer is one. Wanted with readers: at least 12,000 requests/s, 99th"
        " percentile at most 3 ms, samples at most 20 ms late."
    )
    for line in absent:
        body += f"\n\nNot measured: {line}."
    return body


if __name__ == "__main__":
    main()
