"""A daemon's worth of writing, to be killed: python -m tests.history.killed DIRECTORY SEED.

Appends ticks ten times a second of its own time, as fast as it can, and prints what it was promised: "tick N" after a
flush that held N ticks, "decision ID" once it is on disk. Values are numbered over all runs.
"""

import sys
from pathlib import Path

from tests.history.fakes import AVAILABLE, Kit, decision

FLUSH_EVERY = 20


def main(directory: str, first: str) -> None:
    """Write until killed."""
    kit = Kit(Path(directory))
    number = int(first)
    kit.clock.now += number
    while True:
        number += 1
        kit.add([float(number), 10.0 * number, None, 1.0])
        if number % 97 == 0:
            kit.history.record(decision(number))
        if number % FLUSH_EVERY == 0 or number % 97 == 0:
            if not kit.history.flush():
                print("not written", flush=True)
                return
            print(f"tick {number}", flush=True)
            kit.history.maintain()


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
