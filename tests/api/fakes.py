"""A small daemon for the API to serve: states made of plain values, a history in lists."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from types import NoneType, UnionType
from typing import Any, BinaryIO, Union, get_args, get_origin, get_type_hints

from resourced.api.views import TopItem
from resourced.decision import (
    Candidate,
    Decision,
    Evidence,
    Level,
    Mode,
    Outcome,
    Phase,
    Request,
    RuleState,
    Scope,
    Step,
    Verdict,
)
from resourced.errors import ActionRefused, QueryError
from resourced.policy import Outlook
from resourced.series import Series
from resourced.snapshot import SECTIONS, Health, Snapshot
from resourced.snapshot.cgroups import Cgroup, Cgroups
from resourced.snapshot.cpu import Core, Cpu
from resourced.snapshot.disk import Device, Disk
from resourced.snapshot.filesystems import Filesystem, Filesystems
from resourced.snapshot.memory import Memory
from resourced.snapshot.network import Interface, Network
from resourced.snapshot.processes import Process, Processes
from resourced.workloads import Applicant, Cover, Lease, LeaseChange, State, Tell, Wish

TIME = 1_750_000_000.0


def filled(kind: type, **given: Any) -> Any:
    """Return a dataclass whose fields are given, or plausible for their type."""
    hints = get_type_hints(kind)
    return kind(**{f.name: given[f.name] if f.name in given else _plausible(hints[f.name]) for f in fields(kind)})


def _plausible(hint: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _plausible(next(kind for kind in get_args(hint) if kind is not NoneType))
    if origin is dict:
        return {}
    if origin is tuple:
        return ()
    plain: dict[Any, Any] = {int: 12345678, float: 1234.5678, str: "text", bool: True}
    return plain[hint] if hint in plain else filled(hint)


def process(pid: int, **given: Any) -> Process:
    """Return a process; higher pids use more processor and less memory."""
    usual = {
        "uid": 1000,
        "state": "S",
        "name": f"job-{pid}",
        "cpu_utilization": pid / 1000,
        "memory_bytes": 10**9 - pid,
    }
    made: Process = filled(Process, **{"pid": pid, "cgroup": f"/user.slice/{pid}.scope", **usual, **given})
    return made


def make_snapshot(sequence: int = 1, processes: int = 60) -> Snapshot:
    """Return a whole snapshot, of the size of a small server's."""
    modes: dict[str, float | None] = dict.fromkeys(("user", "system", "idle", "iowait"), 0.25)
    core = filled(Core, modes=modes)
    items = tuple(process(pid) for pid in range(100, 100 + processes))
    nodes = {f"/system.slice/{n}.service": filled(Cgroup, path=f"/system.slice/{n}.service") for n in range(40)}
    return Snapshot(
        sequence=sequence,
        time=TIME + sequence,
        monotonic_seconds=100.0 + sequence,
        interval_seconds=1.0,
        boot_id="5f3c6d6e-0000-4000-8000-000000000000",
        cpu=filled(
            Cpu,
            utilization=0.5,
            modes=modes,
            mode_seconds=dict.fromkeys(("user", "nice", "system", "idle"), 1.5),
            cores={str(n): core for n in range(4)},
        ),
        memory=filled(Memory, utilization=0.5, swap_utilization=None),
        network=Network(
            interfaces={name: filled(Interface, utilization=0.1) for name in ("eth0", "lo")},
            sockets=None,
            receive_bytes_per_second=1.0,
            transmit_bytes_per_second=2.0,
        ),
        disk=Disk(devices={"sda": filled(Device, utilization=0.1)}),
        filesystems=Filesystems(mounts={"/": filled(Filesystem, utilization=0.1, inodes_utilization=0.1)}),
        cgroups=Cgroups(nodes=nodes, truncated=False),
        processes=Processes(items=items, states={"S": processes}, threads=99, kernel_threads=7, unreadable=0),
        collectors={
            name: Health(status="ok", time=TIME, age_seconds=0.0, duration_seconds=0.01)
            if name not in ("gpus", "sensors", "pressure")
            else Health(status="absent", reason="the host has none")
            for name in SECTIONS
        },
    )


def make_decision(number: int = 1, **given: Any) -> Decision:
    """Return a decision."""
    evidence = Evidence("system.memory.usage", "above", 0.9, "1", 0.95, True, 12.0, 10.0, 12, 12, 1.0)  # noqa: FBT003 - as stored
    usual = {
        "id": f"{number:020x}",
        "time": TIME + number,
        "evidence": (evidence,),
        "level": Level.HARD,
        "mode": Mode.ADVISE,
        "machine": {"system.memory.usage": 0.95, "hw.gpu.utilization": None},
        "target": Candidate(Scope.PROCESS, "42:1", "hog", pid=42, terms={"memory": 1.0}),
        "steps": (Step.NOTIFY, Step.TERMINATE),
        "rule": "memory-low",
    }
    made: Decision = filled(Decision, **usual | given)
    return made


def make_verdict(sequence: int = 1, phase: Phase = Phase.INACTIVE) -> Verdict:
    """Return a verdict of one rule; it says to prune while that rule is firing."""
    rule = RuleState("memory-low", "", Level.HARD, Mode.ADVISE, phase, TIME, 0.0, ())
    firing = phase is Phase.FIRING
    decisions = (make_decision(),) if firing else ()
    return Verdict(firing, TIME + sequence, sequence, ("memory-low fires",) if firing else (), (rule,), decisions, ())


@dataclass(frozen=True, slots=True)
class FakeState:
    snapshot: Snapshot
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class FakeTable:
    times: tuple[float, ...]
    series: dict[Series, tuple[float, ...]]
    step: float | None = None
    resolution: float | None = 60.0

    def to_csv(self) -> str:
        return "time,used\n1,2\n"

    def to_arrow(self) -> bytes:
        raise QueryError("format", "arrow needs the package pyarrow, which is not installed; use csv")


@dataclass(frozen=True, slots=True)
class FakeTop:
    of: str
    by: str
    unit: str = "By"
    moments: int = 7
    entries: tuple[TopItem, ...] = (TopItem("a.service", "/a:1", 3.0, 2.0, 1.0, TIME, TIME + 9, 5),)


class FakeHistory:
    """What was recorded, in lists."""

    def __init__(self) -> None:
        self.recorded: list[Decision] = [make_decision(1), make_decision(2)]
        self.done = {make_decision(1).id: [Outcome(make_decision(1).id, TIME + 1, Step.NOTIFY, "done", "hog")]}
        self.logged: list[Any] = []
        self.asked: dict[str, Any] = {}

    def query(self, metrics: Sequence[str], **asked: Any) -> FakeTable:
        self.asked = {"metrics": tuple(metrics), **asked}
        return FakeTable(
            (TIME, TIME + 1), {Series("system.memory.usage", (("state", "used"),)): (1.0, float("nan"))}, 1.0
        )

    def at(self, time: float) -> Mapping[str, Any]:
        self.asked = {"at": time}
        if time < TIME:
            raise QueryError("at", "nothing was recorded around this time")
        sections = dict.fromkeys(SECTIONS)
        return {"sequence": None, "time": time, "monotonic_seconds": None, **sections, "collectors": {}}

    def top(self, of: str, *, by: str, start: float, end: float, order: str = "peak", limit: int = 10) -> FakeTop:
        self.asked = {"of": of, "by": by, "start": start, "end": end, "order": order, "limit": limit}
        return FakeTop(of, by)

    def recording(self, since: float, until: float) -> BinaryIO:
        self.asked = {"since": since, "until": until}
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        file.write(bytes(200_000))
        return file

    def decisions(
        self,
        since: float | None = None,
        until: float | None = None,
        rule: str | None = None,
        unit: str | None = None,
        user: str | None = None,
        limit: int = 100,
    ) -> list[Decision]:
        found = [d for d in self.recorded if d.time >= (since or 0) and (rule is None or d.rule == rule)]
        return found[::-1][:limit]

    def decision(self, id: str) -> Decision | None:  # noqa: A002 - as the protocol has it
        return next((d for d in self.recorded if d.id == id), None)

    def outcomes(self, decision_id: str) -> list[Outcome]:
        return self.done.get(decision_id, [])

    def outcomes_since(self, since: float, limit: int = 100) -> list[Outcome]:
        found = [each for done in self.done.values() for each in done if each.time >= since]
        return sorted(found, key=lambda each: each.time, reverse=True)[:limit]

    def events(self, since: float | None = None, until: float | None = None, limit: int = 100) -> list[Any]:
        return [e for e in self.logged if e.time >= (since or 0)][:limit]


def make_lease(**given: Any) -> Lease:
    """Return a registered workload of a user, of which something is asked."""
    request = filled(Request, level=Level.SOFT, steps=(Step.TERMINATE, Step.KILL))
    usual = {
        "id": make_decision(1).id,
        "name": "training",
        "uid": 65534,
        "scope": Cover.PROCESS,
        "tell": Tell.STREAM,
        "state": State.TOLD,
        "request": request,
        "heard": TIME,
    }
    made: Lease = filled(Lease, **usual | given)
    return made


class FakeWorkloads:
    """Registered workloads in a dict."""

    def __init__(self) -> None:
        self.held: dict[str, Lease] = {each.id: each for each in (make_lease(), make_lease(id="w-2", uid=1000))}
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.looked = asyncio.Event()

    def leases(self) -> Mapping[str, Lease]:
        self.looked.set()
        return self.held

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error

    def register(self, wish: Wish, applicant: Applicant) -> Lease:
        self._note("register", wish, applicant)
        return make_lease(name=wish.name or "training", uid=applicant.uid)

    def heartbeat(self, lease_id: str) -> None:
        self._note("heartbeat", lease_id)

    def acknowledge(self, lease_id: str, decision: str | None) -> None:
        self._note("acknowledge", lease_id, decision)

    def release(self, lease_id: str, who: str) -> None:
        self._note("release", lease_id, who)


class FakeService:
    """A daemon that samples when it is told to."""

    def __init__(self, state: FakeState | None = None) -> None:
        self.state: FakeState | None = state or FakeState(make_snapshot(), make_verdict())
        self.history = FakeHistory()
        self.workloads = FakeWorkloads()
        self.version = "1.2.3"
        self.samples = 0
        self.levels: list[str] = []
        self.judged: list[tuple[str, str, str]] = []
        self.audited: list[tuple[str, dict[str, Any]]] = []
        self.reload_error: Exception | None = None
        self.is_ready = True
        self._callbacks: list[Callable[[Any], None]] = []
        self._followers: list[Callable[[Any], None]] = []
        self._sampling: asyncio.Task[FakeState] | None = None

    def publish(self, phase: Phase = Phase.INACTIVE, **changed: Any) -> FakeState:
        """Make and announce the next state."""
        sequence = (self.state.snapshot.sequence if self.state else 0) + 1
        before = self.state.snapshot if self.state else make_snapshot()
        snapshot = replace(before, sequence=sequence, time=TIME + sequence, **changed)
        self.state = FakeState(snapshot, make_verdict(sequence, phase))
        for callback in list(self._callbacks):
            callback(self.state)
        return self.state

    def record(self, item: Any) -> None:
        """Record and announce a decision or an event; what happens to workloads is announced alone."""
        if not isinstance(item, LeaseChange):
            (self.history.recorded if isinstance(item, Decision) else self.history.logged).append(item)
        for callback in list(self._followers):
            callback(item)

    async def _sample(self) -> FakeState:
        await asyncio.sleep(0.01)
        self.samples += 1
        return self.publish()

    def now(self) -> float:
        return TIME + 1000

    async def fresh(self) -> FakeState:
        if self._sampling is None or self._sampling.done():
            self._sampling = asyncio.create_task(self._sample())
        return await asyncio.shield(self._sampling)

    async def status(self) -> Mapping[str, Any]:
        return {"pid": 1, "uptime_seconds": 1.0}

    def ready(self) -> tuple[bool, str]:
        return self.is_ready, "samples are fresh" if self.is_ready else "the newest sample is 9 s old"

    def outlook(
        self, pid: int | None = None, unit: str | None = None, workload: str | None = None
    ) -> Mapping[str, Any] | None:
        return asdict(filled(Outlook)) if pid == 42 else None

    async def command_lines(self, pids: Sequence[int]) -> Mapping[int, str | None]:
        return {pid: f"run --secret={pid}" for pid in pids}

    def set_log_level(self, level: str) -> None:
        if level not in ("debug", "info"):
            raise ValueError(f"there is no level {level!r}; choose debug or info")
        self.levels.append(level)

    async def reload(self) -> None:
        if self.reload_error:
            raise self.reload_error

    def configuration(self) -> Mapping[str, Any]:
        setting = {"written": "8414", "origin": "default"}
        return {"files": [], "settings": {"api.port": setting}, "text": "[api]\nport = 8414  # default\n"}

    async def approve(self, decision_id: str, who: str) -> None:
        if decision_id == make_decision(2).id:
            raise ActionRefused("the decision has expired")
        self.judged.append(("approve", decision_id, who))

    async def veto(self, decision_id: str, who: str) -> None:
        self.judged.append(("veto", decision_id, who))

    async def thaw(self, decision_id: str, who: str) -> None:
        self.judged.append(("thaw", decision_id, who))

    def actions(self) -> Mapping[str, Any]:
        course = {
            "decision": make_decision(1).id, "rule": "memory-low", "instance": "", "target": "hog.service",
            "status": "running", "taken": ["notify"], "steps": ["notify", "terminate"], "approved_by": None,
        }  # fmt: skip
        return {"courses": [course], "changes": [], "rivals": [{"name": "earlyoom", "about": ""}]}

    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def follow(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        self._followers.append(callback)
        return lambda: self._followers.remove(callback)

    def audit(self, event: str, fields: Mapping[str, Any]) -> None:
        self.audited.append((event, dict(fields)))
