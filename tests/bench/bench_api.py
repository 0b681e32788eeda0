"""How many answers a second: /resources/all beside a bare Starlette answer of that size, and beside the peers.

Run: python -m tests.bench.bench_api. Needs wrk; one thread, eight connections, medians of alternating rounds.
"""

import argparse
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.bench.peers import Peer, ask, free_port, peers, resourced, scratch, started
from tests.bench.report import keep, table

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


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        print("skipped: wrk is not installed (Debian: wrk)")
        return
    seen: dict[str, list[tuple[float, float]]] = {}
    sizes: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        ours = resourced(directory)
        stack.enter_context(started(ours))
        url = str(ours.url)
        time.sleep(3)
        others, absent = peers(directory)
        asked = [ours, bare(directory, ask(url)), *(peer for peer in others if peer.url)]
        for peer in asked[1:]:
            try:
                stack.enter_context(started(peer))
            except RuntimeError as error:
                absent.append(str(error))
                asked.remove(peer)
        lags = []
        for _ in range(chosen.rounds):
            for peer in asked:
                seen.setdefault(peer.name, []).append(wrk(str(peer.url), chosen.seconds))
                sizes[peer.name] = ask(str(peer.url))
                lags.append(_lag(url) if peer is ours else 0.0)
            with urllib.request.urlopen(url) as answer:
                tag = answer.headers["etag"]
            seen.setdefault("resourced, 304", []).append(wrk(url, 1, f"If-None-Match: {tag}"))
    rows = [
        (
            name,
            f"{statistics.median(rate for rate, _ in rounds):,.0f}",
            f"{statistics.median(tail for _, tail in rounds):.2f} ms",
            f"{sizes.get(name, 0):,} B",
        )
        for name, rounds in seen.items()
    ]
    ratio = statistics.median(
        ours_rate / bare_rate
        for (ours_rate, _), (bare_rate, _) in zip(seen["resourced"], seen["bare Starlette"], strict=True)
    )
    body = table(("program", "requests/s", "99th percentile", "answer"), rows)
    body += (
        f"\n\n`wrk -t1 -c8`, medians of {chosen.rounds} alternating rounds of {chosen.seconds} s; all programs run on"
        f" the same machine. Against the bare Starlette answer: {ratio:.2f}. Largest delay of a sample right after a"
        f" round: {1000 * max(lags):.1f} ms. The row 304 asks with the tag of the last answer, so some are full."
    )
    for line in absent:
        body += f"\n\nNot measured: {line}."
    keep("API", f"python -m tests.bench.bench_api --seconds {chosen.seconds} --rounds {chosen.rounds}", body)


def _lag(url: str) -> float:
    with urllib.request.urlopen(url.replace("/resources/all", "/healthz")) as answer:
        lag: float = json.load(answer)["sampling"]["lag_seconds"]
        return lag


if __name__ == "__main__":
    main()
