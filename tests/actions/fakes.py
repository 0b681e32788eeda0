"""A world for the machine of courses: its policy says what a test wants, its actions and ledger are real or counted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from resourced.actions import Action, Claims, Ledger, Machine, Order, Settings, Target, all_actions
from resourced.collectors.base import Roots
from resourced.decision import Candidate, Decision, Level, Mode, Outcome, Request, Scope, Step
from resourced.policy import Look, Myself, Need, Rule
from tests.policy.fakes import rules
from tests.test_monitor import ManualClock

MIB = 1024**2
TEXT = "import signal, sys\n"
STUBBORN = TEXT + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\nsignal.pause()\n"
MEEK = TEXT + "print('ready', flush=True)\nsignal.pause()\n"


@contextmanager
def program(text: str = MEEK, python: Path | str = sys.executable) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the test; it has said that it is ready."""
    process = subprocess.Popen([python, "-c", text], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        process.stdout.close()


def start_of(pid: int) -> int:
    """Return the start time of a process in clock ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def state_of(pid: int) -> str:
    """Return the letter of a process's state."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def await_stopped(pid: int, *, stopped: bool = True) -> bool:
    """Return whether a process stands still, or runs, as soon as it does: the kernel stops it when it next looks."""
    ends = time.monotonic() + 10
    while (state_of(pid) == "T") is not stopped:
        if time.monotonic() > ends:
            return False
        time.sleep(0.001)
    return True


def process_candidate(pid: int, **more: Any) -> Candidate:
    """Return a living process as a candidate."""
    start = start_of(pid)
    return Candidate(
        Scope.PROCESS,
        f"{pid}:{start}",
        f"job-{pid}",
        pid,
        start,
        uid=os.getuid(),
        usage=100.0 * MIB,
        expected_gain=100.0 * MIB,
        **more,
    )


def someone(name: str, **more: Any) -> Candidate:
    """Return a process that need not be there as a candidate."""
    return Candidate(Scope.PROCESS, f"{name}:1", name, usage=50.0 * MIB, expected_gain=50.0 * MIB, **more)


def cgroup_of(root: Path, name: str, **files: str) -> Candidate:
    """Make a directory that looks like the cgroup of a unit, and return it as a candidate."""
    directory = root / name
    directory.mkdir()
    usual = {"cgroup.procs": "", "cgroup.events": "populated 1\nfrozen 0", "cgroup.freeze": "0"}
    for file, text in {**usual, **{key.replace("__", "."): value for key, value in files.items()}}.items():
        (directory / file).write_text(f"{text}\n")
    inode = directory.stat().st_ino
    return Candidate(Scope.UNIT, f"/{name}:{inode}", name, cgroup=f"/{name}", unit=name, usage=200.0 * MIB)


def rule(name: str = "low", steps: Sequence[Any] = ("notify", "throttle", "terminate", "kill"), **more: Any) -> Rule:
    """Return a rule of mode enforce about memory, whose steps have 5 s of grace unless they say otherwise."""
    table = {"name": name, "level": "soft", "metric": "memory.available", "below": "10%", "scope": "process"}
    rungs = [{"step": each, "grace": 5} if isinstance(each, str) else each for each in steps]
    [compiled] = rules({**table, "steps": rungs, **more})
    return compiled


def decision(of: Rule, target: Candidate, *others: Candidate, number: int = 1, mode: Mode | None = None) -> Decision:
    """Return a decision of a rule on a target, with others that would be next."""
    return Decision(
        f"{number:020x}",
        1000.0 + number,
        100.0 + number,
        number,
        of.name,
        "",
        of.level,
        mode or of.mode,
        1.0,
        (),
        {},
        candidates=(target, *others),
        target=target,
        steps=tuple(rung.step for rung in of.rungs),
        expected_gain=target.expected_gain,
    )


@dataclass
class Counted:
    """An action that only counts, or fails as it is told."""

    step: Step
    done: list[tuple[float, Step, str]]
    clock: ManualClock
    errors: dict[str, Exception] = field(default_factory=dict)
    pressed: int = 0

    def take(self, order: Order) -> str:
        error = self.errors.get(order.target.name) or self.errors.get(self.step.value)
        if error is not None:
            raise error
        self.done.append((self.clock.now, self.step, order.target.name))
        return f"{self.step.value} of {order.target.name}"

    def press(self, order: Order) -> None:
        self.pressed += 1


class FakeTarget(Target):
    """A target without a process."""

    dead: set[str]

    @property
    def alive(self) -> bool:
        return self.key not in self.dead

    def check(self) -> None:
        pass


@dataclass(frozen=True)
class Holder:
    """A registered workload."""

    id: str
    grace_seconds: float = 30.0
    pid: int = 77
    start_time_ticks: int = 1

    @property
    def name(self) -> str:
        return f"workload {self.id}"


class FakeWorkloads:
    """Registered workloads, in dicts: who lives in which target, what is asked of them and what they say."""

    def __init__(self) -> None:
        self.within: dict[str, list[Holder]] = {}
        self.asked: dict[tuple[str, str], Request] = {}
        self.said: set[tuple[str, str]] = set()
        self.told: list[str] = []
        self.withdrawn: list[tuple[str, str]] = []
        self.approached: list[tuple[str, str]] = []

    def put(self, key: str, *holders: Holder) -> None:
        """Register workloads in a target."""
        self.within[key] = [*self.within.get(key, []), *holders]

    def leave(self, lease_id: str) -> None:
        """Release a workload."""
        self.within = {key: [each for each in of if each.id != lease_id] for key, of in self.within.items()}
        self.asked = {key: each for key, each in self.asked.items() if key[0] != lease_id}

    def acknowledge(self, lease_id: str) -> None:
        """Let a workload say that it gives way, for all that is asked of it."""
        self.said |= {key for key in self.asked if key[0] == lease_id}

    def registered(self, lease_id: str) -> bool:
        """Return whether a workload is registered."""
        return any(each.id == lease_id for of in self.within.values() for each in of)

    def approach(self, candidate: Candidate, look: Look, resource: str) -> Sequence[Holder]:
        self.approached.append((candidate.key, resource))
        return list(self.within.get(candidate.key, []))

    def ask(self, lease_id: str, request: Request) -> None:
        self.asked[lease_id, request.decision] = request
        self.told.append(lease_id)

    def move(self, lease_id: str, decision: str, deadline: float) -> None:
        key = lease_id, decision
        if key in self.asked:
            self.asked[key] = replace(self.asked[key], deadline=deadline)

    def has_acknowledged(self, lease_id: str, decision: str) -> bool | None:
        return (lease_id, decision) in self.said if self.registered(lease_id) else None

    def withdraw(self, lease_id: str, decision: str, reason: str) -> None:
        if self.asked.pop((lease_id, decision), None) is not None:
            self.withdrawn.append((lease_id, reason))


class FakeWorld:
    """The world as a test wants it."""

    def __init__(self, *of: Rule, directory: Path | None = None, real: bool = False) -> None:
        self.clock = ManualClock()
        self.wanted = tuple(of)
        self.needs: dict[str, Need] = {}
        self.default_need = Need.FIRING
        self.protected: dict[str, str] = {}
        self.missing: set[str] = set()
        self.dead: set[str] = set()
        self.left: float | None = 1000.0 * MIB
        self.outcomes: list[Outcome] = []
        self.reports: list[tuple[str, Mapping[str, Any]]] = []
        self.done: list[tuple[float, Step, str]] = []
        self.roots = Roots(cgroup=directory or Path("/nowhere"))
        self.ledger = Ledger(directory / "actions.json" if directory else None, "boot", self.roots, self._trouble)
        self.counted = {step: Counted(step, self.done, self.clock) for step in Step}
        self.actions: Mapping[Step, Action] = all_actions(self.clock) if real else dict(self.counted)
        self.fake = not real
        self.looks = 0
        self.claims = Claims()
        self.workloads = FakeWorkloads()
        self.seconds_left: float | None = None
        self.restless = False
        """Whether conditions hold again, though no rule fires yet."""

    def rules(self) -> tuple[Rule, ...]:
        return self.wanted

    def need(self, decided: Decision) -> Need:
        if all(each.name != decided.rule for each in self.wanted):
            return Need.OVER
        return self.needs.get(decided.rule, self.default_need)

    def calm(self, decided: Decision) -> bool:
        return self.need(decided) is Need.OVER and not self.restless

    def available(self) -> tuple[int, float] | None:
        return None if self.left is None else (round(self.clock.now), self.left)

    def look(self, decided: Decision, candidate: Candidate, *, fresh: bool) -> Look:
        self.looks += fresh
        mode = next((each.mode for each in self.wanted if each.name == decided.rule), Mode.OFF)
        members: tuple[tuple[int, int], ...] = ()
        if candidate.pid is not None and candidate.start_time_ticks is not None:
            members = ((candidate.pid, candidate.start_time_ticks),)
        found = candidate.key not in self.missing
        protected = self.protected.get(candidate.key)
        return Look(self.need(decided), mode, found, protected, members, candidate.usage, self.left, self.seconds_left)

    def open(self, candidate: Candidate, look: Look) -> Target:
        if self.fake:
            target = FakeTarget(candidate.key, candidate.name, roots=self.roots, myself=Myself(os.getpid()))
            target.dead = self.dead  # shared, so that a test may let it die
            return target
        return Target.open(candidate, look.members, roots=Roots(cgroup=self.roots.cgroup), myself=Myself(os.getpid()))

    def interrupted(self) -> bool:
        return False

    def report(self, event: str, fields: Mapping[str, Any]) -> None:
        self.reports.append((event, fields))

    def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def _trouble(self, reason: str) -> None:
        self.reports.append(("ledger", {"reason": reason}))

    def taken(self) -> list[str]:
        """Return the steps that were taken."""
        return [step.value for _, step, _ in self.done]

    def events(self) -> list[str]:
        """Return the names of what was reported."""
        return [name for name, _ in self.reports]

    def results(self) -> list[tuple[str, str]]:
        """Return step and result of each outcome."""
        return [(each.step.value, each.result) for each in self.outcomes]


def real_world(*of: Rule, directory: Path) -> FakeWorld:
    """Return a world whose actions do what they say."""
    return FakeWorld(*of, directory=directory, real=True)


def machine_of(world: FakeWorld, **settings: Any) -> Machine:
    """Return a machine with 2 s to settle, unless told otherwise."""
    return Machine(world, replace(Settings(), **settings))


def go_on(machine: Machine, world: FakeWorld, seconds: float, step: float = 0.5) -> None:
    """Let time pass, as the executor would."""
    ends = world.clock.now + seconds
    while world.clock.now < ends:
        world.clock.now += step
        machine.advance()


__all__ = ["Level", "Mode", "Need", "Step"]
