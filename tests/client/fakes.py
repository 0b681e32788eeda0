"""A daemon that gives canned answers over a real socket."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from resourced.decision import Candidate, Decision, Evidence, Level, Mode, Outcome, Phase, Scope, Step, Verdict
from resourced.policy import Outlook
from resourced.policy.outlook import Margin, RuleOutlook

EVIDENCE = Evidence(
    metric="memory.available",
    comparison="below",
    threshold=1e9,
    unit="By",
    value=5e8,
    holds=True,
    held_seconds=30.0,
    period_seconds=20.0,
    samples=30,
    agreeing=30,
    share_required=0.9,
)  # fmt: skip
VICTIM = Candidate(Scope.UNIT, "/a:1", "hog.service", unit="hog.service", usage=4e9, expected_gain=4e9, score=0.9)
KEPT = Candidate(Scope.UNIT, "/b:2", "sshd.service", usage=1e6, protected="never pruned")
DECISION = Decision(
    "0" * 20, 1.7e9, 5.0, 7, "memory-low", "", Level.HARD, Mode.ENFORCE, 30.0, (EVIDENCE,), {"cpu": 0.5},
    (VICTIM, KEPT), VICTIM, (Step.NOTIFY, Step.KILL), 4e9, "By",
)  # fmt: skip
OUTCOME = Outcome(DECISION.id, 1.7e9, Step.KILL, "done", "hog.service", 0.1, 4e9, 3.9e9, "gone after 100 ms")
VERDICT = Verdict(
    prune=True, time=1.7e9, sequence=7, reasons=("memory-low fires",), rules=(), decisions=(DECISION,), missing=()
)
MARGINS = (
    Margin("memory.available", "below", 1e9, "By", 3e9, 2e9, 340.4),
    Margin("swap.free", "below", 0.1, "1", None, None, None),
)
OUTLOOK = Outlook(
    prune=False, next=True, seconds_left=340.4, protected=None, found=True,
    rules=(
        RuleOutlook("memory-low", "", Level.SOFT, Mode.ENFORCE, Phase.INACTIVE, 1, 12, VICTIM, MARGINS),
        RuleOutlook("gpu-hot", "GPU-1", Level.HARD, Mode.OBSERVE, Phase.INACTIVE, None, 0, None, MARGINS[:1]),
    ),
)  # fmt: skip
HEALTH = {"status": "ok", "reason": None, "time": 1.7e9}
STAMP = {"sequence": 7, "time": 1.7e9, "monotonic_seconds": 5.0, "collector": HEALTH}


def process(pid: int, name: str, memory: int, uid: int = 0) -> dict[str, Any]:
    return {
        "pid": pid, "start_time_ticks": 1, "ppid": 1, "session": 1, "name": name, "uid": uid, "state": "R",
        "cgroup": "/a", "threads": 1, "nice": 0, "cpu_seconds": 1.0, "cpu_utilization": 0.25, "memory_bytes": memory,
        "memory_growth_bytes_per_second": None, "virtual_bytes": 1, "swap_bytes": None, "major_faults": 0,
        "io_read_bytes": None, "io_write_bytes": None, "io_read_bytes_per_second": 10.0,
        "io_write_bytes_per_second": None, "oom_score": 1, "oom_score_adj": 0,
    }  # fmt: skip


PROCESSES = {
    "items": [process(10, "small", 1024), process(11, "large\x1b[2J", 2048), process(12, "mine", 512, 4242424)],
    "states": {"R": 3}, "threads": 3, "kernel_threads": 0, "unreadable": 0,
}  # fmt: skip
GPU = {"index": 0, "name": "Card", "utilization": 0.5, "memory_used_bytes": 1 << 30, "memory_total_bytes": 1 << 31,
       "processes": [{"pid": 10, "memory_bytes": 5, "utilization": None}]}  # fmt: skip
ALL = {
    **{key: STAMP[key] for key in ("sequence", "time", "monotonic_seconds")},
    "interval_seconds": 1.0, "boot_id": None, "processes": PROCESSES,
    "collectors": {"processes": HEALTH, "gpus": {"status": "stale", "reason": "overran"}},
}  # fmt: skip
HISTORY = {
    "start": 0.0, "end": 30.0, "step_seconds": 10.0, "resolution_seconds": None, "aggregate": "mean",
    "times": [0.0, 10.0, 20.0],
    "series": [{"series": "system.memory.usage", "metric": "m", "labels": {}, "unit": "By",
                "values": [1024.0, None, 4096.0]}],
}  # fmt: skip
TOP = {
    "start": 0.0, "end": 30.0, "of": "unit", "by": "memory", "unit": "By", "moments": 3,
    "entries": [{"name": "hog.service", "key": "/a:1", "peak": 4096.0, "mean": 2048.0, "last": 1024.0, "start": 0.0,
                 "end": 20.0, "moments": 3}],
}  # fmt: skip
TIER = {"resolution_seconds": 0.0, "bytes": 500, "samples": 2000, "blocks": 1, "start": 1.7e9, "end": 1.7e9 + 3600}
STORE = {
    "path": "/var/lib/resourced/history.db", "problem": None, "disk_bytes": 4096, "free_bytes": 0,
    "maximum_bytes": 1 << 28, "memory_bytes": 10, "oldest": 1.7e9, "newest": 1.7e9 + 3600, "series": 200,
    "bytes_per_sample": 0.25, "bytes_per_day": 4e6, "tops_bytes": 7, "decisions": 1, "lost_ticks": 2,
    "tiers": [TIER, {**TIER, "resolution_seconds": 60.0, "samples": 0, "start": None, "end": None}],
}  # fmt: skip
WORKLOAD = {
    "id": "w-1", "name": "train", "pid": 10, "uid": 0, "unit": "train.scope", "priority": -5, "grace_seconds": 90.0,
    "state": "told", "request": {"rule": "memory-low", "reason": "Memory is low.", "deadline": 4e9},
}  # fmt: skip
CHANGE = {
    "decision": DECISION.id, "target": "hog.service", "step": "freeze", "time": 1.7e9, "expires": 4e9,
    "cgroup": "/hog.service", "pid": None, "file": "cgroup.freeze", "original": "0", "written": "1",
}  # fmt: skip
ACTIONS = {
    "courses": [{"decision": DECISION.id, "rule": "memory-low", "instance": "", "target": "hog.service",
                 "status": "running", "taken": ["notify"], "steps": ["notify", "freeze"], "approved_by": None}],
    "changes": [CHANGE, {**CHANGE, "target": "worker", "pid": 77, "cgroup": None},
                {**CHANGE, "step": "throttle", "file": "memory.high", "target": "slow.service"}],
    "rivals": [{"name": "systemd-oomd", "about": "ManagedOOM units: user@.service"}, {"name": "earlyoom", "about": ""}],
}  # fmt: skip
RIVALS = ["systemd-oomd (ManagedOOM units: user@.service)", "earlyoom"]
CONFIG = {
    "files": ["/etc/resourced/resourced.toml"],
    "settings": {
        "api.port": {"written": "9000", "origin": "/etc/resourced/resourced.toml:2"},
        "history.enabled": {"written": "true", "origin": "default"},
        "policy.mode": {"written": '"observe"', "origin": "profile default:3"},
    },
    "text": "[api]\nport = 9000  # /etc/resourced/resourced.toml:2\n",
}  # fmt: skip
RECORDING = b"SQLite format 3\0" + bytes(100_000)
STREAM = b': hello\n\nid: 1\nevent: decision\ndata: {"rule": "r",\ndata: "time": 1}\n\nevent: sample\ndata: text\n\n'


def answers() -> dict[str, tuple[int, Any]]:
    """Return status and body by method and path; an iterator has a body for each question."""
    decision = json.loads(json.dumps(asdict(DECISION)))
    return {
        "GET /resources/processes": (200, {**STAMP, "processes": PROCESSES}),
        "GET /resources/gpu": (200, {**STAMP, "gpus": {"driver_version": "1", "devices": {"GPU-1": GPU}}}),
        "GET /resources/cgroups": (200, {**STAMP, "cgroups": {"nodes": {"/": {}, "/a.slice": {"memory_bytes": 7}}}}),
        "GET /resources/all": (200, ALL),
        "GET /prune": (200, asdict(VERDICT)),
        "GET /prune?": (200, asdict(OUTLOOK)),
        "GET /history": (200, HISTORY),
        "GET /history/top": (200, TOP),
        "GET /history/export": (200, RECORDING),
        "GET /decisions": (200, {"decisions": [decision]}),
        f"GET /decisions/{DECISION.id}": (200, {"decision": decision, "outcomes": [asdict(OUTCOME)]}),
        "GET /healthz": (200, {"status": "ok", "history": STORE, "rivals": RIVALS}),
        "GET /catalog": (200, {"metrics": [{"name": "a.b", "unit": "By", "kind": "gauge", "help": "Text."}]}),
        "GET /events": (200, STREAM),
        "GET /workloads": (
            200,
            {
                "workloads": [
                    WORKLOAD,
                    {**WORKLOAD, "id": "w-2", "name": "idle", "request": None, "state": "registered", "unit": None},
                ]
            },
        ),
        "GET /actions": (200, ACTIONS),
        "GET /config": (200, CONFIG),
        "POST /log-level": (200, {"done": True}),
        "POST /reload": (403, {"title": "Forbidden", "detail": "changes need an admin", "status": 403}),
        f"POST /decisions/{DECISION.id}/approve": (200, {"done": True}),
        f"POST /decisions/{DECISION.id}/veto": (200, {"done": True}),
        f"POST /decisions/{DECISION.id}/thaw": (200, {"done": True}),
    }


class FakeDaemon:
    """What was asked, and what will be answered."""

    def __init__(self) -> None:
        self.answers = answers()
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.address = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                daemon.asked.append((self.command, self.path, headers, body))
                missing = (404, {"title": "Not found"})
                path, asked, query = self.path.partition("?")
                about = asked if path == "/prune" and query.startswith(("pid", "unit", "workload")) else ""
                status, content = daemon.answers.get(f"{self.command} {path}{about}", missing)
                if isinstance(content, Iterator):
                    content = next(content)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = answer  # noqa: N815 - names of the standard library

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Let a server answer until the block ends, and close it."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running(path: Path | None = None) -> Iterator[FakeDaemon]:
    """Run a fake daemon on a Unix socket, or on a free port of the loopback."""
    daemon = FakeDaemon()
    server: Any = _UnixServer(str(path), daemon.handler()) if path else HTTPServer(("127.0.0.1", 0), daemon.handler())
    daemon.address = str(path) if path else f"http://127.0.0.1:{server.server_port}"
    try:
        with serving(server):
            yield daemon
    finally:
        if path:
            path.unlink()
