"""The examples in the API's description: real answers to real requests, about a machine that was made up.

`python -m tests.api.examples` writes them anew; a test compares them, and holds them against the schemas.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import httpx

import resourced.api
from resourced.api import ApiSettings, Limits, create_app
from resourced.api.access import AccessSettings, Peer, read_tokens
from resourced.api.events import record_event
from resourced.collectors.base import Roots
from resourced.decision import (
    Candidate,
    Decision,
    Evidence,
    Level,
    LoggedEvent,
    Mode,
    Outcome,
    Phase,
    Request,
    RuleState,
    Scope,
    Step,
    Verdict,
)
from resourced.errors import ActionRefused, TooMany
from resourced.policy import Outlook
from resourced.series import Series
from resourced.snapshot import SECTIONS, Health, Snapshot
from resourced.snapshot.cgroups import Cgroup, Cgroups
from resourced.snapshot.gpus import Gpu, GpuProcess, Gpus
from resourced.snapshot.processes import Process, Processes, UserUsage
from resourced.workloads import Applicant, Cover, Lease, State, Tell, Wish
from tests.api.fakes import TIME, FakeHistory, FakeService, FakeState, FakeTable, FakeTop, FakeWorkloads
from tests.api.serving import served
from tests.collectors.test_hosts import HOSTS, collect, snapshot_of

EXAMPLES = Path(resourced.api.__file__).parent / "examples.json"
UNIT = "training.service"
TOKEN, READING = "admin-token-of-the-examples", "read-token-of-the-examples"
GPU = "GPU-5f3c6d6e-0000-4000-8000-000000000000"
CGROUP = f"/system.slice/{UNIT}"

_NUMBERS = {
    "_bytes_per_second": 1048576,
    "_bytes": 2147483648,
    "utilization": 0.25,
    "_share": 0.05,
    "_seconds": 12.5,
    "_celsius": 54.0,
    "_watts": 180.0,
    "_joules": 86400.0,
    "_hertz": 1410000000,
}
_NAMES: dict[str, Any] = {
    "pid": 4242, "ppid": 1, "uid": 1000, "state": "R", "nice": 0, "unit": UNIT, "cgroup": CGROUP, "path": CGROUP,
    "driver_version": "550.54", "pci_address": "00000000:01:00.0", "index": 0, "gpu": GPU, "instance": "",
    "truncated": False, "frozen": False, "reason": None, "protected": None, "note": None, "detail": None,
    "throttle_reasons": (), "mig": (), "mig_enabled": False, "boot_id": None, "cpu_limit": None, "device": "sda",
    "command": "python3", "type": "compute", "decision": None,
}  # fmt: skip


def likely(kind: Any, field: str = "", **given: Any) -> Any:
    """Return a value of a type that looks as on a real machine, by the name of its field."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        made = {f.name: given[f.name] if f.name in given else likely(hints[f.name], f.name) for f in fields(kind)}
        return kind(**made)
    return _NAMES[field] if field in _NAMES else _likely_plain(kind, field)


def _likely_plain(kind: Any, name: str) -> Any:
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return likely(next(each for each in arguments if each is not NoneType), name)
    if get_origin(kind) is tuple:
        return (likely(arguments[0], name),)
    if get_origin(kind) is dict:
        return {_KEYS.get(name, "1000"): likely(arguments[1], name)}
    if kind in (int, float):
        return kind(next((number for end, number in _NUMBERS.items() if name.endswith(end)), 4))
    return {str: "name", bool: True}[kind]


_KEYS = {
    "modes": "user", "mode_seconds": "user", "cores": "0", "interfaces": "eth0", "devices": "sda", "mounts": "/",
    "states": "R", "nodes": CGROUP, "memory_events": "oom_kill", "machine": "system.memory.utilization",
    "terms": "memory",
}  # fmt: skip

_EVIDENCE = Evidence(
    "system.memory.linux.available", "below", 0.1, "1", 0.06, True, 12.0, 10.0, 12, 12, 1.0,  # noqa: FBT003 - as stored
    words="memory.available 6 % below 10 % for 12 s",
)  # fmt: skip
_TARGET = Candidate(
    Scope.UNIT, f"{CGROUP}:4242", UNIT, cgroup=CGROUP, unit=UNIT, usage=2147483648, expected_gain=2147483648,
    score=0.9, terms={"memory": 0.9},
)  # fmt: skip
DECISION = Decision(
    id="0c8f5d2ab1e94f60a7d3", time=TIME, monotonic_seconds=86400.0, sequence=1, rule="memory-low", instance="",
    level=Level.HARD, mode=Mode.ADVISE, held_seconds=12.0, evidence=(_EVIDENCE,),
    machine={"system.memory.utilization": 0.94}, candidates=(_TARGET,), target=_TARGET,
    steps=(Step.NOTIFY, Step.TERMINATE), expected_gain=2147483648, gain_unit="By", reason=None,
)  # fmt: skip
OUTCOME = Outcome(DECISION.id, TIME + 1, Step.NOTIFY, "done", UNIT, 0.002)
REQUEST = Request(
    decision=DECISION.id, rule="memory-low", level=Level.HARD, resource="memory", reason="Memory is low.", time=TIME,
    deadline=TIME + 60, grace_seconds=60.0, steps=(Step.TERMINATE,),
)  # fmt: skip
LEASE = Lease(
    id="w-5f3c6d6e0a1b2c3d", name="training", pid=4242, start_time_ticks=12345, uid=1000, cgroup=CGROUP, unit=UNIT,
    scope=Cover.UNIT, priority=-5.0, tell=Tell.STREAM, signal=None, file=None, grace_seconds=60.0, restartable=True,
    heartbeat_seconds=None, registered=TIME - 600, heard=TIME - 1, state=State.TOLD, request=REQUEST,
)  # fmt: skip
RULE = RuleState("memory-low", "", Level.HARD, Mode.ADVISE, Phase.FIRING, TIME, 12.0, (_EVIDENCE,))


_GPU = likely(
    Gpu, name="NVIDIA RTX 4000", state="awake", memory_total_bytes=21474836480, memory_used_bytes=15032385536,
    memory_free_bytes=6442450944, memory_utilization=0.7, memory_orphaned_bytes=0, utilization=0.93,
    ecc_corrected=0, ecc_uncorrected=0, clock_memory_hertz=8001000000.0, power_limit_watts=280.0, performance_state=2,
    processes=(GpuProcess(4242, "compute", 15032385536, 0.93, None, alive=True),),
)  # fmt: skip
_PROCESS = likely(
    Process, name="python3", cpu_utilization=3.6, memory_bytes=9663676416, session=4242, start_time_ticks=12345,
    oom_score=712, oom_score_adj=0, virtual_bytes=34359738368, threads=24, swap_bytes=0,
)  # fmt: skip
_CGROUP = likely(
    Cgroup,
    cpu_utilization=3.6,
    memory_bytes=9663676416,
    memory_max_bytes=None,
    memory_low_bytes=0,
    memory_min_bytes=0,
    swap_bytes=0,
    cpu_weight=100,
    cpu_throttled_share=None,
    inode=4321,
)


def snapshot() -> Snapshot:
    """Return a sample of the recorded laptop, with a process, a control group and a GPU."""
    host = HOSTS / "laptop"
    before, after = (
        collect(Roots(host / when / "proc", host / "sys"), at) for when, at in (("before", 0), ("after", 10))
    )
    health = Health(status="ok", time=TIME, age_seconds=0.0, duration_seconds=0.002)
    return replace(
        snapshot_of(before, after),
        sequence=1,
        time=TIME,
        monotonic_seconds=86400.0,
        gpus=Gpus("550.54", {GPU: _GPU}),
        cgroups=Cgroups(nodes={CGROUP: _CGROUP}, truncated=False),
        processes=Processes(
            items=(_PROCESS,), states={"R": 1, "S": 180}, threads=612, kernel_threads=140, unreadable=0,
            tasks_free=30000, users={"1000": UserUsage(processes=61, cpu_utilization=3.9, memory_bytes=12884901888)},
        ),
        collectors=dict.fromkeys(SECTIONS, health),
    )  # fmt: skip


class _History(FakeHistory):
    """What was recorded on that machine."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = [DECISION]
        self.done = {DECISION.id: [OUTCOME]}
        message = "cpu does not deliver: it took longer than 0.5 s"
        about = {"collector": "cpu", "reason": "it took longer than 0.5 s"}
        self.logged = [LoggedEvent(TIME, "collector_stale", 4, message, about)]

    def query(self, metrics: Any, **asked: Any) -> FakeTable:
        return FakeTable((TIME - 60, TIME), {Series("system.memory.linux.available", ()): (2.1e9, 2.0e9)}, 60.0)

    def at(self, time: float) -> Mapping[str, Any]:
        return asdict(snapshot())

    def top(self, of: str, *, by: str, start: float, end: float, order: str = "peak", limit: int = 10) -> FakeTop:
        found = super().top(of, by=by, start=start, end=end, order=order, limit=limit)
        return replace(found, entries=tuple(replace(each, name=UNIT, key=f"{CGROUP}:4242") for each in found.entries))


STATUS: Mapping[str, Any] = {
    "version": "1.0.0", "pid": 812, "uptime_seconds": 86400.0, "cpu_seconds": 640.2, "memory_bytes": 48234496,
    "threads": 16, "descriptors": 240, "log_level": "info", "log_lines_dropped": 0,
    "listeners": ["/run/resourced/resourced.sock", "http://127.0.0.1:8414"],
    "configuration": "/etc/resourced/resourced.toml",
    "policy": {"profile": "default", "mode": "advise", "rules": ["memory-low"]},
    "sampling": {
        "sequence": 1, "interval_seconds": 1.0, "age_seconds": 0.2, "lag_seconds": 0.0003, "duration_seconds": 0.015,
    },
    "history": {"path": "/var/lib/resourced/history.db", "disk_bytes": 33554432, "problem": None},
}  # fmt: skip


class _Workloads(FakeWorkloads):
    """Who is registered on that machine."""

    def __init__(self) -> None:
        super().__init__()
        self.held = {LEASE.id: LEASE}

    def register(self, wish: Wish, applicant: Applicant) -> Lease:
        super().register(wish, applicant)
        return replace(LEASE, state=State.REGISTERED, request=None)


class Machine(FakeService):
    """The daemon on that machine."""

    def __init__(self) -> None:
        verdict = Verdict(True, TIME, 1, ("memory-low fires",), (RULE,), (DECISION,), ())  # noqa: FBT003 - as served
        super().__init__(FakeState(snapshot(), verdict))
        self.history = _History()
        self.workloads = _Workloads()
        self.version = "1.0.0"

    async def status(self) -> Mapping[str, Any]:
        return STATUS

    def outlook(self, pid: int | None = None, unit: str | None = None, workload: str | None = None) -> Any:
        return asdict(likely(Outlook, found=True, prune=False, next=True, seconds_left=340.0)) if pid == 4242 else None


_QUERIES = {"/history": "?metric=memory.available&start=1h&points=2"}
_BODIES = {
    "/log-level": {"level": "debug"},
    "/workloads": {"name": "training", "scope": "unit", "grace_seconds": 60, "priority": -5},
}


def settings(streams: int = 64) -> ApiSettings:
    """Return how it answers: it knows two tokens, and is impatient."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"ops admin {TOKEN}\nscrape read {READING}\n")
        file.flush()
        access = AccessSettings(tokens=read_tokens(Path(file.name)))
    return ApiSettings(access=access, limits=Limits(streams=streams, header_seconds=0.5))


async def examples() -> dict[str, Any]:
    """Return an answer of each route that answers JSON, by method and path, and a problem of each status."""
    app, found = create_app(Machine(), settings()), dict[str, Any](TEXTS)

    async def over_unix(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {"peer": Peer(4242, 0, 0)}}, receive, send)

    transport = httpx.ASGITransport(over_unix)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for each in app._endpoints:
            if each.path in ("/events", "/openapi.json", "/docs", "/metrics", "/history/export"):
                continue  # not JSON, or themselves
            known = LEASE.id if each.path.startswith("/workloads") else DECISION.id
            path = each.path.replace("{id}", known) + _QUERIES.get(each.path, "")
            body = _BODIES.get(each.path) if each.method == "POST" else None
            answer = await client.request(each.method, path, json=body)
            answer.raise_for_status()
            found[f"{each.method} {each.path}"] = _shortened(answer.json())
        found["GET /metrics"] = await _metrics(client)
    return {"answers": found, "problems": await _problems()}


def _shortened(value: Any) -> Any:
    """Return an answer without all but the first of a long list."""
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    return [_shortened(inner) for inner in value[:2]] if isinstance(value, list) else value


TEXTS = {"GET /events": record_event(DECISION).text.decode()}
"""Of answers that are no JSON: one event, and below one family of metrics."""


async def _metrics(client: httpx.AsyncClient) -> str:
    lines = (await client.get("/metrics")).text.splitlines(keepends=True)
    heads = [number for number, line in enumerate(lines) if line.startswith("# TYPE")]
    return "".join([*lines[: heads[1]], lines[-1]])


async def _problems() -> dict[str, Any]:
    """Return a problem of each status, as it is answered over a socket."""
    service = Machine()
    service.approve = _refused  # type: ignore[method-assign]  # it is too late
    with tempfile.TemporaryDirectory() as directory:
        async with served(Path(directory), service, settings(streams=0)) as it:
            answers = [await _asked(it.port, *request) for request in _FAILING]
            service.status = _broken  # type: ignore[method-assign]  # a fault of ours
            answers.append(await _asked(it.port, b"GET /healthz" + _HOST + b"\r\n"))
            service.workloads.error = TooMany("100 workloads of user 1000 are registered, which is the limit", own=True)
            async with it.unix() as client:
                answers.append((await client.post("/workloads", json={})).json())
    return {str(answer["status"]): answer for answer in answers}


async def _refused(decision_id: str, who: str) -> None:
    raise ActionRefused("the decision has expired")


async def _broken() -> Mapping[str, Any]:
    raise RuntimeError("a fault")


_HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
_OPS = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
_FAILING: list[tuple[bytes, ...]] = [
    (b"no HTTP\r\n\r\n",),
    (b"POST /reload" + _HOST + b"\r\n",),
    (b"POST /reload" + _HOST + b"Authorization: Bearer " + READING.encode() + b"\r\n\r\n",),
    (b"GET /decisions/0" + _HOST + b"\r\n",),
    (b"GET /version" + _HOST,),
    (b"POST /decisions/" + DECISION.id.encode() + b"/approve" + _HOST + _OPS + b"\r\n",),
    (b"POST /log-level" + _HOST + _OPS + b"Content-Length: 20000\r\n\r\n" + b" " * 20000,),
    (b"GET /version HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",),
    (b"GET /resources/processes?limit=0" + _HOST + b"\r\n",),
    (b"GET /version" + _HOST + b"X: " + b"a" * 20000 + b"\r\n\r\n",),
    (b"GET /events" + _HOST + b"\r\n",),
]


async def _asked(port: int, *parts: bytes) -> dict[str, Any]:
    """Return the problem with which a request is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = re.search(rb"content-length: (\d+)", head)
    if length is None:
        raise RuntimeError(f"no length: {head!r}")
    found: dict[str, Any] = json.loads(await reader.readexactly(int(length[1])))
    writer.transport.abort()
    return found


if __name__ == "__main__":
    EXAMPLES.write_text(json.dumps(asyncio.run(examples()), separators=(",", ":"), sort_keys=True) + "\n")
