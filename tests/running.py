"""Runs the real daemon as a process of its own, on sockets and in directories of a test."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

PATIENCE_SECONDS = 30.0
"""How long anything is awaited before a test fails; nothing takes nearly as long."""


class Daemon:
    """A running daemon and what it says: notifications to the service manager, lines of the log, answers over HTTP."""

    def __init__(self, directory: Path, text: str, environ: dict[str, str], options: tuple[str, ...]) -> None:
        self.directory = directory
        self.config = directory / "resourced.toml"
        self.socket = directory / "run/resourced.sock"
        self.config.write_text(text)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(directory / "notify"))
        self._notify.settimeout(PATIENCE_SECONDS)
        self._told: list[str] = []
        self._log = (directory / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "resourced", "run", "-c", str(self.config), *options],
            stderr=self._log,
            env={**os.environ, "NOTIFY_SOCKET": str(directory / "notify"), **environ},
        )

    def await_told(self, wanted: str) -> str:
        """Return the notification that begins so, as soon as it comes."""
        while True:
            for line in self._told:
                if line.startswith(wanted):
                    self._told.remove(line)
                    return line
            watched = [self._notify.fileno(), _pidfd(self.process.pid)]
            readable, _, _ = select.select(watched, [], [], PATIENCE_SECONDS)
            if watched[0] in readable:
                self._told += self._notify.recv(65536).decode().splitlines()
                continue
            raise AssertionError(f"no {wanted!r}; the daemon said:\n{self.text()}")

    def text(self) -> str:
        """Return the lines of the log that are written by now, whole ones."""
        written = (self.directory / "log").read_text()
        return written[: written.rfind("\n") + 1]

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the lines of the log, those of one event if given."""
        lines = [json.loads(line) for line in self.text().splitlines()]
        return [line for line in lines if event in (None, line["event"])]

    @property
    def port(self) -> int:
        """The TCP port."""
        [ready] = self.lines("daemon_ready")
        return int(ready["listeners"].rpartition(":")[2])

    def unix(self) -> httpx.Client:
        """Return a client over the Unix socket."""
        transport = httpx.HTTPTransport(uds=str(self.socket))
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=PATIENCE_SECONDS)

    def tcp(self) -> httpx.Client:
        """Return a client over TCP."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE_SECONDS)

    def get(self, path: str) -> Any:
        """Return the JSON of an answer over the Unix socket."""
        with self.unix() as client:
            answer = client.get(path)
            answer.raise_for_status()
            return answer.json()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """End the daemon, whatever it does, and let go of everything."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.end()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._notify.close()
        self._log.close()
        (self.directory / "notify").unlink()


def _pidfd(pid: int) -> int:
    """Return a descriptor that becomes readable when the process ends; it is kept, for a test has few."""
    if pid not in _PIDFDS:
        _PIDFDS[pid] = os.pidfd_open(pid)
    return _PIDFDS[pid]


_PIDFDS: dict[int, int] = {}


def settings(directory: Path, more: str = "") -> str:
    """Return a configuration that keeps everything in the directory."""
    return f"""
[daemon]
runtime_directory = "{directory}/run"
[history]
directory = "{directory}/state"
flush_interval = "1s"
[api]
port = 0
[sampling]
interval = "200ms"
{more}
"""


@contextlib.contextmanager
def running(
    directory: Path,
    *,
    text: str | None = None,
    environ: dict[str, str] | None = None,
    options: tuple[str, ...] = (),
    ready: bool = True,
) -> Iterator[Daemon]:
    """Run a daemon; by default until it says that it is ready."""
    directory.mkdir(exist_ok=True)
    daemon = Daemon(directory, settings(directory) if text is None else text, environ or {}, options)
    try:
        if ready:
            daemon.await_told("READY=1")
        yield daemon
    finally:
        daemon.close()
