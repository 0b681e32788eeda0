"""What the daemon costs beside its peers: processor and memory while 500 processes sleep and each is asked.

Run: python -m tests.bench.bench_overhead [--seconds 60]. All run at the same time, so that noise is shared.
"""

import argparse
import contextlib
import time

from tests.bench.peers import Running, ask, peers, resourced, scratch, sleepers, started
from tests.bench.report import keep, table


def measure(running: list[Running], seconds: int) -> list[tuple[str, float, float]]:
    """Return name, share of a core and resident bytes of each."""
    before, began = [each.cpu_seconds() for each in running], time.monotonic()
    for tick in range(seconds):
        for each in running:
            if each.peer.url is not None:
                ask(each.peer.url)
        time.sleep(max(0.0, began + tick + 1 - time.monotonic()))
    elapsed = time.monotonic() - began
    return [
        (each.peer.name, (each.cpu_seconds() - used) / elapsed, float(each.memory_bytes()))
        for each, used in zip(running, before, strict=True)
    ]


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--warm-up", type=int, default=35, help="seconds until the measurement begins")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch())
        stack.enter_context(sleepers(500))
        others, absent = peers(directory)
        running = []
        for peer in (resourced(directory), *others):
            try:
                running.append(stack.enter_context(started(peer)))
            except RuntimeError as error:
                absent.append(str(error))
        time.sleep(chosen.warm_up)
        rows = [
            (name, f"{100 * cpu:.2f} %", f"{memory / 1024**2:.1f} MiB")
            for name, cpu, memory in measure(running, chosen.seconds)
        ]
    body = table(("program", "of one processor", "resident"), rows)
    body += (
        f"\n\n500 sleeping processes, {chosen.seconds} s after {chosen.warm_up} s of warm-up, all at the same time;"
        " each that can be asked is asked once a second (`/resources/all`, `/metrics`, `allmetrics`, `/api/4/all`); a"
        " program's children count with it. The daemon gives back pages of program files that only its start needed"
        " (docs/architecture.md), which lowers its resident size by about 18 MiB."
    )
    for line in absent:
        body += f"\n\nNot measured: {line}."
    keep("Overhead", f"python -m tests.bench.bench_overhead --seconds {chosen.seconds}", body)


if __name__ == "__main__":
    main()
