"""A daemon's worth of writing, to be killed: python -m tests.history.killed DIRECTORY FIRST [FLUSH_EVERY COUNTER].

Appends ticks a second of its own time apart, as fast as it can, and prints what it was promised: "tick N" after a flush
that held N ticks and the decisions up to then. Values are numbered over all runs. COUNTER is a file of eight bytes that
tells the number of the last tick that was appended, whatever happens; with it, appending takes as long as flushing, and
the ticks are 20 s apart so that hours and days are over quickly.
"""

import mmap
import sys
import time
from pathlib import Path

from tests.history.fakes import AVAILABLE, Kit, decision

FLUSH_EVERY = 20


def main(directory: str, first: str, flush_every: str = str(FLUSH_EVERY), counter: str | None = None) -> None:
    """Write until killed."""
    every = int(flush_every)
    appended = counted(Path(counter)) if counter is not None else mmap.mmap(-1, 8)
    passed, pause = (20.0, 0.0005) if counter is not None else (1.0, 0.0)
    kit = Kit(Path(directory))
    number = int(first)
    kit.clock.now += number * passed
    while True:
        number += 1
        kit.add([float(number), 10.0 * number, None, 1.0], passed=passed)
        appended[:8] = number.to_bytes(8, "little")
        time.sleep(pause)
        if number % 97 == 0:
            kit.history.record(decision(number))
        if number % every == 0 or number % 97 == 0:
            if not kit.history.flush():
                print("not written", flush=True)
                return
            print(f"tick {number}", flush=True)
            kit.history.maintain()


def counted(path: Path) -> mmap.mmap:
    """Return a file's first eight bytes as memory that outlives the process."""
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 8)


def found(directory: Path) -> tuple[list[float], list[str], list[str]]:
    """Return the values, the ids of decisions, and the events reported by a history that was killed."""
    kit = Kit(directory)
    values = list(kit.values(AVAILABLE).values())
    decisions = [each.id for each in kit.history.decisions(limit=10_000)]
    store = kit.history._keeper._store
    assert store is not None
    (sound,) = store.connection.execute("PRAGMA integrity_check").fetchone()
    kit.crash()
    return values, decisions[::-1], [*kit.events, *([] if sound == "ok" else [sound])]


if __name__ == "__main__":
    main(*sys.argv[1:])
