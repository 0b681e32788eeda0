"""What kills and failing writes cost: 200 SIGKILLs at random moments of heavy writing, and 50 injected write faults.

Run: python -m tests.bench.bench_history_kills [--kills 200] [--faults 50]. Ends with an error if anything was lost that
must not be.
"""

import argparse
import random
import select
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from tests.bench.peers import scratch
from tests.bench.report import keep, table
from tests.history.fakes import Kit, decision
from tests.history.killed import counted, found
from tests.history.test_faults import FaultyConnection, full_disk

_FLUSH_EVERY = 10  # ticks of a second, as the daemon does
_DECIDE_EVERY = 97  # as the writer does
_TICKS_A_FAULT = 300
_KINDS = ("full disk", "full disk with some room", "failing statement")


@dataclass(slots=True)
class Tally:
    """What happened."""

    rounds: int = 0
    corrupt: int = 0
    """Stores that were not sound, or were set aside."""
    decisions: int = 0
    """Decisions taken; for kills those that were flushed."""
    decisions_lost: int = 0
    doubled: int = 0
    """Ticks that were there twice."""
    missing: int = 0
    """Ticks missing before the last one that is there, or that a flush had said to hold."""
    lost: list[int] = field(default_factory=list)
    """Newest ticks that were gone, each round."""

    @property
    def good(self) -> bool:
        """Whether nothing went wrong."""
        wrong = self.corrupt or self.decisions_lost or self.doubled or self.missing
        return not wrong and max(self.lost, default=0) <= _FLUSH_EVERY

    def count(self, values: list[float], last: int, decided: set[str], kept: list[str], events: list[str]) -> None:
        """Count one round.

        Args:
            values: What is in the store: the ticks' numbers.
            last: The last tick that must be there, all before it as well.
            decided: Decisions that must be there.
            kept: Those that are.
            events: What was reported about the store.
        """
        numbers = set(map(int, values))
        self.rounds += 1
        self.corrupt += bool(events)
        self.doubled += len(values) - len(numbers)
        self.missing += len(set(range(1, max(last, *numbers, 0) + 1)) - numbers)
        self.decisions = len(decided)
        self.decisions_lost += len(decided - set(kept))
        self.doubled += len(kept) - len(set(kept))

    def row(self, name: str) -> tuple[str, ...]:
        """Return it as a row."""
        lost = f"{max(self.lost)}, mean {sum(self.lost) / len(self.lost):.1f}" if self.lost else "0"
        counts = (self.rounds, self.corrupt, self.decisions, self.decisions_lost, self.missing, self.doubled)
        return (name, *map(str, counts), lost)


def kills(directory: Path, count: int) -> Tally:
    """Kill a writer again and again, and look at what it left each time."""
    dice, tally, first = random.Random(11), Tally(), 0
    counter = directory / "counter"
    counter.write_bytes(bytes(8))
    store = directory / "killed"
    for _ in range(count):
        flushed = _killed(store, first, counter, dice.uniform(0.0, 0.5))
        values, kept, events = found(store)
        wanted = {decision(number).id for number in range(_DECIDE_EVERY, flushed + 1, _DECIDE_EVERY)}
        tally.count(values, flushed, wanted, kept, events)
        first = int(max(values, default=0.0))
        with counted(counter) as appended:
            tally.lost.append(int.from_bytes(appended[:8], "little") - first)
    return tally


def _killed(store: Path, first: int, counter: Path, seconds: float) -> int:
    """Kill a writer some time after its first flush, and return the last tick that it had flushed."""
    command = [sys.executable, "-m", "tests.history.killed", str(store), str(first), str(_FLUSH_EVERY), str(counter)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert select.select([writer.stdout], [], [], 60)[0], "the writer never flushed"
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        lines = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    return max((int(line.split()[1]) for line in lines), default=first)


def faults(directory: Path, count: int) -> Tally:
    """Let writes fail in the middle of flushes and packing, and look at what is there when they work again."""
    dice, tally = random.Random(13), Tally()
    connect = sqlite3.connect
    decided: list[str] = []
    with mock.patch.object(sqlite3, "connect", lambda *a, **k: connect(*a, **({"factory": FaultyConnection} | k))):
        kit = Kit(directory)
        for number in range(count):
            _with_fault(kit, directory, _KINDS[number % len(_KINDS)], dice, decided)
            kit.clock.up += 60  # until the next attempt
            assert kit.history.flush()
            kit.history.maintain()
            kit.reopen()
            values = list(kit.values().values())
            kept = [each.id for each in kit.history.decisions(limit=10_000)]
            store = kit.history._keeper._store
            assert store is not None
            (sound,) = store.connection.execute("PRAGMA integrity_check").fetchone()
            wrong = [event for event in kit.events if event == "store_set_aside"]
            tally.count(values, kit.sequence, set(decided), kept, [*wrong, *([] if sound == "ok" else [sound])])
            tally.lost.append(kit.sequence - int(max(values)))
        kit.crash()
    return tally


def _with_fault(kit: Kit, directory: Path, kind: str, dice: random.Random, decided: list[str]) -> None:
    if kind == "failing statement":
        FaultyConnection.until_fault = dice.randrange(1, 200)
        _write(kit, decided)
        FaultyConnection.until_fault = -1
        return
    with full_disk(directory, 0 if kind == "full disk" else dice.randrange(1, 200_000)):
        _write(kit, decided)


def _write(kit: Kit, decided: list[str]) -> None:
    for n in range(_TICKS_A_FAULT):
        number = kit.sequence + 1
        kit.add([float(number), number * 7.0 % 1013, number * 13.0 % 1009, None], passed=20.0)
        if n % 100 == 50:
            made = decision(number, time=kit.clock.now)
            kit.history.record(made)
            decided.append(made.id)
        if n % _FLUSH_EVERY == 0:
            kit.history.flush()
            kit.history.maintain()


def main() -> None:
    """Measure, write it down, and fail if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--faults", type=int, default=50)
    chosen = parser.parse_args()
    with scratch() as directory:
        killed = kills(directory, chosen.kills)
        faulted = faults(directory / "faulted", chosen.faults)
    head = (
        "",
        "rounds",
        "corrupt stores",
        "decisions",
        "of them lost",
        "ticks missing",
        "doubled",
        "newest ticks lost",
    )
    body = table(head, [killed.row("SIGKILL"), faulted.row("write faults")])
    body += (
        "\n\nThe writer flushes every ten ticks (the daemon: ten seconds) and at each decision, packs and rolls up"
        " in between, and is killed up to 0.5 s after its first flush, each time on the same store. Missing are"
        " ticks that a flush had confirmed or that lie before one that is there. Write faults are, in turn: no file may"
        " grow (as on a full disk), none beyond some bytes, or one SQLite statement fails; 300 ticks 20 s apart and"
        " three decisions each, then writing works again and the store is opened anew."
    )
    keep(
        "History: kills",
        f"python -m tests.bench.bench_history_kills --kills {chosen.kills} --faults {chosen.faults}",
        body,
    )
    if not (killed.good and faulted.good):
        raise SystemExit("something was lost that must not be")


if __name__ == "__main__":
    main()
