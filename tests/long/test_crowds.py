"""Callers who want to keep others out: slow heads, idle connections, oversized everything."""

import contextlib
import resource
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import PATIENCE_SECONDS, Daemon, running, settings

SLOW, IDLE, MOST = 500, 2000, 1024
SPARE = 10
"""Descriptors that may be open besides: callers of the tests, files of the store."""
DRIP_SECONDS = 0.2
HEAD = b"GET /resources/all HTTP/1.1\r\nHost: localhost\r\nX: "

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


def connected(daemon: Daemon, stack: contextlib.ExitStack, data: bytes = b"") -> socket.socket:
    connection = stack.enter_context(socket.socket())
    connection.settimeout(PATIENCE_SECONDS)
    connection.connect(("127.0.0.1", daemon.port))
    connection.sendall(data)
    return connection


def drip(connections: set[socket.socket]) -> None:
    """Send one more byte of each head."""
    for connection in connections:
        with contextlib.suppress(OSError):  # it was cut off already
            connection.send(b"a")


def cut_off(slow: set[socket.socket]) -> dict[socket.socket, bytes]:
    """Go on sending heads until every caller was cut off; return what each was told last."""
    told: dict[socket.socket, bytes] = dict.fromkeys(slow, b"")
    left = set(slow)
    for _ in range(int(PATIENCE_SECONDS / DRIP_SECONDS)):
        drip(left)
        ended = []
        readable, _, _ = select.select(left, [], [], DRIP_SECONDS)
        for connection in readable:
            try:
                data = connection.recv(65536)
            except ConnectionError:
                data = b""
            told[connection] += data
            if not data:
                ended.append(connection)
        left.difference_update(ended)
        if not left:
            return told
    raise AssertionError(f"{len(left)} of {len(slow)} were still listened to")


def descriptors(daemon: Daemon) -> int:
    found: int = daemon.get("/healthz")["descriptors"]
    return found


def crowded(directory: Path, **api: object) -> str:
    """Return a configuration with these settings of the API, and without descriptors of processes."""
    lines = "".join(f"{name} = {value!r}\n" for name, value in api.items())
    return settings(directory, "[collectors.processes]\ndescriptors = 0\n").replace("[api]\n", f"[api]\n{lines}")


def test_honest_callers_are_answered_and_samples_go_on_coming(tmp_path: Path) -> None:
    text = crowded(tmp_path, max_connections=MOST)
    with many_descriptors(), running(tmp_path, text=text) as daemon:
        before = descriptors(daemon)
        with contextlib.ExitStack() as stack:
            for _ in range(IDLE):
                connected(daemon, stack)
            slow = {connected(daemon, stack, HEAD) for _ in range(SLOW)}
            newest = daemon.get("/resources/all")["sequence"]
            for _ in range(25):
                drip(slow)
                before_that, newest = newest, daemon.get(f"/resources/all?wait=30&after={newest}")["sequence"]
                assert newest > before_that
                with daemon.tcp() as client:
                    assert client.get("/resources/cpu").status_code == 200
                assert descriptors(daemon) <= before + MOST + SPARE
        for _ in range(100):  # the daemon hears of closed connections one by one
            if descriptors(daemon) <= before + SPARE:
                break
        assert descriptors(daemon) <= before + SPARE
        assert daemon.lines("api_fault") == []
        assert 0 < len(daemon.lines("api_refused")) <= 60
    assert daemon.lines("api_refused_more")


def test_every_slow_caller_is_cut_off_however_he_goes_on(tmp_path: Path) -> None:
    text = crowded(tmp_path, header_timeout="2s")
    with many_descriptors(), contextlib.ExitStack() as stack, running(tmp_path, text=text) as daemon:
        before = descriptors(daemon)
        told = cut_off({connected(daemon, stack, HEAD) for _ in range(SLOW)})
        assert [text for text in told.values() if text and not text.startswith(b"HTTP/1.1 408")] == []
        assert any(told.values())
        assert descriptors(daemon) <= before + SPARE


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
