"""A daemon and a machine for the guard, as a test wants them."""

import os
import threading
from dataclasses import replace
from pathlib import Path

from resourced.actions import Claims, Ledger
from resourced.collectors.base import Roots
from resourced.deed import Deed
from resourced.guard import Guard, GuardSettings
from resourced.policy import Judgement, JudgeState, Myself, Rule, judge
from resourced.snapshot import Health
from tests.actions.fakes import MEEK, start_of
from tests.policy.fakes import GIB, process, rules, snapshot, tick

TOTAL = 8 * GIB
AVAILABLE = "system.memory.linux.available"
CRITICAL = {
    "name": "critical",
    "level": "hard",
    "metric": "memory.available",
    "below": "10%",
    "scope": "process",
    "min_gain": "0.01%",
    "cooldown": "10s",
    "steps": [{"step": "terminate", "grace": 3}, {"step": "kill", "grace": 5}],
}
HUNGRY = "data = bytearray(64 << 20)\n" + MEEK


class Around:
    """The daemon as a test has it."""

    def __init__(self, *compiled: Rule) -> None:
        self.compiled = compiled
        self.base: Judgement | None = None
        self.deeds: list[Deed] = []
        self.hurried = 0
        self.told: list[tuple[str, str]] = []
        self.acted = threading.Event()

    def judgement(self) -> Judgement | None:
        return self.base

    def rules(self) -> tuple[Rule, ...]:
        return self.compiled

    def did(self, deed: Deed) -> None:
        self.deeds.append(deed)
        self.acted.set()

    def hurry(self) -> None:
        self.hurried += 1

    def trouble(self, event: str, reason: str) -> None:
        self.told.append((event, reason))

    def sample(self, at: float, available: int, *pids: int, late: bool = False) -> None:
        """Let the manager take a sample, in which these processes hold 1 MiB each, or which came before they did."""
        state = self.base.state if self.base else JudgeState.empty()
        known = [process(pid, f"job{pid}", start_time_ticks=start_of(pid), cgroup=f"/job{pid}.service") for pid in pids]
        values: dict[str, float | None] = {AVAILABLE: float(available), "system.memory.limit": float(TOTAL)}
        machine = snapshot(at, total=TOTAL, processes=known)
        if late:
            machine = replace(machine, processes=None, collectors={"processes": Health("stale", "not read yet")})
        moment = tick(at, values, machine, myself=Myself(os.getpid()))
        self.base = judge(state, moment, self.compiled)


class Machine:
    """A /proc that shows some processes of the test and as much memory as it wants."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.roots = Roots(proc=root, cgroup=root / "cgroup")
        (root / "cgroup").mkdir()
        self.around = Around(*rules(CRITICAL))
        self.claims = Claims()
        self.ledger = Ledger(None, "boot", self.roots, lambda _: None)
        self.guard = Guard(
            self.around, claims=self.claims, ledger=self.ledger, settings=GuardSettings(), roots=self.roots
        )
        self.now = 100.0
        self.memory(4 * GIB)

    def memory(self, available: int) -> None:
        new = self.root / "new"
        new.write_text(f"MemTotal: {TOTAL // 1024} kB\nMemAvailable: {available // 1024} kB\n")
        # Into the very file that the guard has open, as the kernel does it.
        (self.root / "meminfo").write_text(new.read_text())

    def show(self, pid: int) -> None:
        (self.root / str(pid)).symlink_to(f"/proc/{pid}")

    def begin(self, *pids: int) -> None:
        """Let the manager take a first sample of these processes, with half of the memory left."""
        for pid in pids:
            self.show(pid)
        self.around.sample(0, 4 * GIB, *pids)

    def look(self, seconds: float = 0.1) -> float:
        self.now += seconds
        return self.guard.look(self.now)
