"""A daemon that keeps workloads over a real Unix socket: registers, tells on a stream, forgets."""

import json
import queue
import secrets
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.client.fakes import answers, serving

PATIENCE_SECONDS = 20.0


def document(**changed: Any) -> dict[str, Any]:
    return {
        "id": f"w-{secrets.token_hex(8)}", "name": "train", "pid": 42, "start_time_ticks": 7, "uid": 1000,
        "cgroup": "/a.scope", "unit": "a.scope", "scope": "process", "priority": 0, "tell": "stream", "signal": None,
        "file": None, "grace_seconds": 30.0, "restartable": False, "heartbeat_seconds": None, "registered": 1.7e9,
        "heard": 1.7e9, "state": "registered", "request": None, **changed,
    }  # fmt: skip


def request(decision: str) -> dict[str, Any]:
    now = time.time()
    return {
        "decision": decision, "rule": "memory-low", "level": "soft", "resource": "memory", "reason": "Memory is low.",
        "time": now, "deadline": now + 30, "grace_seconds": 30, "steps": ["terminate", "kill"],
    }  # fmt: skip


class WorkloadDaemon:
    """What is registered, what was said, and who listens.

    It shows no signs of life on its streams, however often it says that it will: `heartbeats`, one a stream.
    """

    def __init__(self) -> None:
        self.registered: dict[str, dict[str, Any]] = {}
        self.said: list[tuple[str, Any]] = []
        self.refusal: tuple[int, str] | None = None
        self.full = False
        self.tells_at_once = False
        self.listened = 0
        self.heartbeats = [15.0]
        self._listeners: list[queue.Queue[bytes | None]] = []
        self._changed = threading.Condition()

    def await_true(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what was said or registered, or of a client, which tells nobody."""
        ends = time.monotonic() + PATIENCE_SECONDS
        with self._changed:
            while not holds():
                assert time.monotonic() < ends, self.said
                self._changed.wait(0.01)

    def await_said(self, what: str, times: int = 1) -> Any:
        """Wait until something was said so many times; return the newest body."""
        self.await_true(lambda: sum(each == what for each, _ in self.said) >= times)
        return [body for each, body in self.said if each == what][-1]

    def await_listener(self) -> None:
        self.await_true(lambda: bool(self._listeners))

    def tell(self, decision: str) -> None:
        self._change("told", {"state": "told", "request": request(decision)})

    def withdraw(self) -> None:
        self._change("withdrawn", {"state": "registered", "request": None})

    def lapse(self) -> None:
        """Forget everybody and say so."""
        self._change("lapsed", {})
        self.registered.clear()

    def forget(self) -> None:
        """Forget everybody, as a daemon that was restarted without its memory."""
        with self._changed:
            self.registered.clear()
        self.end_streams()

    def end_streams(self) -> None:
        with self._changed:
            for listener in self._listeners:
                listener.put(None)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        with self._changed:
            status, found = self._answer(method, path.partition("?")[0].strip("/").split("/"), body)
            self.said.append((" ".join((method, *path.partition("?")[0].strip("/").split("/")[2:])), body))
            self._changed.notify_all()
        return status, found

    def _answer(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        if method == "POST" and parts == ["workloads"]:
            return self._register(body)
        if parts == ["workloads"]:
            return 200, {"workloads": list(self.registered.values())}
        known = self.registered.get(parts[1])
        if known is None:
            return 404, {"title": "Not Found", "detail": "there is no such workload"}
        if method == "DELETE":
            del self.registered[parts[1]]
            self._send("released", known)
        elif parts[2:] == ["acknowledge"]:
            if known["request"] is None:
                return 409, {"title": "Conflict", "detail": "nothing is asked of it"}
            known["state"] = "acknowledged"
            self._send("acknowledged", known)
        elif method == "GET":
            return 200, known
        return 200, {"done": True}

    def _register(self, body: Any) -> tuple[int, Any]:
        if self.refusal is not None:
            return self.refusal[0], {"title": "Refused", "detail": self.refusal[1]}
        made = document(**body)
        self.registered[made["id"]] = made
        return 201, made

    def listen(self) -> "queue.Queue[bytes | None]":
        listener: queue.Queue[bytes | None] = queue.Queue()
        with self._changed:
            self.listened += 1
            self._listeners.append(listener)
            if self.tells_at_once:
                self.tell("d1")
                listener.put(b'event: decision\ndata: {"rule": "memory-low"}\n\n')
            self._changed.notify_all()
        return listener

    def leave(self, listener: "queue.Queue[bytes | None]") -> None:
        with self._changed:
            self._listeners.remove(listener)

    def _change(self, change: str, changed: dict[str, Any]) -> None:
        with self._changed:
            for each in self.registered.values():
                each.update(changed)
                self._send(change, each)

    def _send(self, change: str, about: dict[str, Any]) -> None:
        data = {"change": change, "reason": None, "workload": about}
        for listener in self._listeners:
            listener.put(f"event: workload\ndata: {json.dumps(data)}\n\n".encode())


def _handler(daemon: WorkloadDaemon) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path.startswith("/events") and not daemon.full:
                self._stream()
                return
            if self.path.startswith("/events"):
                status, content = 503, {"title": "Service Unavailable", "detail": "too many streams"}
            elif not self.path.startswith("/workloads"):
                status, content = answers().get(f"{self.command} {self.path.partition('?')[0]}", (404, {}))
            else:
                status, content = daemon.answer(self.command, self.path, json.loads(raw) if raw else None)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - names of the standard library

        def _stream(self) -> None:
            listener = daemon.listen()
            try:
                self.send_response(200)
                every = daemon.heartbeats.pop(0) if len(daemon.heartbeats) > 1 else daemon.heartbeats[0]
                self.send_header("heartbeat-seconds", f"{every:g}")
                self.end_headers()
                self.wfile.write(b"retry: 2000\n\n")
                while (text := listener.get()) is not None:
                    self.wfile.write(text)
            except OSError:
                return
            finally:
                daemon.leave(listener)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def get_request(self) -> tuple[Any, Any]:
        connection, _ = super().get_request()
        return connection, ("", 0)


@contextmanager
def keeping(path: Path, daemon: WorkloadDaemon | None = None) -> Iterator[WorkloadDaemon]:
    """Run a daemon on a Unix socket, a new one unless it is given."""
    daemon = daemon or WorkloadDaemon()
    try:
        with serving(_Server(str(path), _handler(daemon))):
            yield daemon
    finally:
        daemon.end_streams()
        path.unlink()
