"""Callers who want to keep others out: slow heads, idle connections, oversized everything."""

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import Daemon, running

SLOW, IDLE = 500, 2000

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@contextlib.contextmanager
def many_descriptors() -> Iterator[None]:
    """Raise this process's limit of descriptors as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connected(daemon: Daemon, stack: contextlib.ExitStack) -> socket.socket:
    connection = stack.enter_context(socket.socket())
    connection.settimeout(20)
    connection.connect(("127.0.0.1", daemon.port))
    return connection


def crowd(daemon: Daemon, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Open idle connections and slow ones; return the slow ones."""
    for _ in range(IDLE):
        connected(daemon, stack)
    slow = []
    for _ in range(SLOW):
        connection = connected(daemon, stack)
        connection.sendall(b"GET /resources/all HTTP/1.1\r\nHost: localhost\r\nX: ")
        slow.append(connection)
    return slow


def drip(slow: list[socket.socket]) -> None:
    """Send one more byte of each slow head."""
    for connection in slow:
        with contextlib.suppress(OSError):  # it was refused already
            connection.send(b"a")


def test_honest_callers_are_answered_and_samples_go_on_coming(tmp_path: Path) -> None:
    with many_descriptors(), contextlib.ExitStack() as stack:
        daemon = stack.enter_context(running(tmp_path))
        slow = crowd(daemon, stack)
        first = newest = daemon.get("/resources/all")["sequence"]
        lags = []
        for _ in range(25):
            drip(slow)
            newest = daemon.get("/resources/all?wait=10")["sequence"]
            lags.append(daemon.get("/healthz")["sampling"]["lag_seconds"])
            with daemon.tcp() as client:
                assert client.get("/resources/cpu").status_code == 200
        assert newest >= first + 25
        print(f"largest delay of a sample: {max(lags) * 1000:.1f} ms")
        assert daemon.lines("api_fault") == []


@pytest.mark.parametrize(
    ("send", "status"),
    [
        ({"url": "/resources/all?x=" + "a" * 60_000}, 431),
        ({"url": "/resources/all", "headers": {"x": "a" * 100_000}}, 431),
        ({"url": "/resources/all", "headers": {f"x{n}": "a" * 100 for n in range(1000)}}, 431),
        ({"url": "/resources/all?" + "&".join(f"x{n}=1" for n in range(100))}, 422),
        ({"url": "/log-level", "method": "POST", "content": b"a" * 1_000_000}, 413),
    ],
)
def test_whatever_is_too_large_is_refused(tmp_path: Path, send: dict[str, Any], status: int) -> None:
    with running(tmp_path) as daemon, daemon.unix() as client:
        try:
            answer = client.request(**{"method": "GET", **send})
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            pass  # refused while it was still being sent
        else:
            assert answer.status_code == status
        assert daemon.get("/resources/cpu")["sequence"]
