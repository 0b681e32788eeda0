"""Broken requests on the raw sockets: whatever comes, the daemon answers or hangs up, and goes on."""

import contextlib
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.running import Daemon, running
from tests.running import settings as configuration

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"PRI", b"get", b"", b"G\0T", b"CONNECT"])
PATHS = st.one_of(
    st.sampled_from([b"/resources/all", b"/history?metric=cpu.utilization", b"*", b"//", b"/%", b"/\xff", b"/../etc"]),
    st.binary(max_size=200),
)
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"", b"FTP/1.1"])
HEADERS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"Host: localhost",
                b"Host: evil.example",
                b"Content-Length: 5",
                b"Content-Length: -1",
                b"Content-Length: 99999999999999999999",
                b"Content-Length: 5\r\nContent-Length: 6",
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding: chunked\r\nContent-Length: 3",
                b"Expect: 100-continue",
                b"Connection: close",
                b"Connection: Upgrade\r\nUpgrade: websocket",
                b"Upgrade: h2c",
                b"If-None-Match: \xff",
                b"Authorization: Bearer \xff\xfe",
                b"Last-Event-ID: \0",
                b"X: " + b"a" * 20_000,
                b" folded",
                b":",
            ]
        ),
        st.binary(max_size=60),
    ),
    max_size=6,
)
BODIES = st.one_of(st.binary(max_size=300), st.sampled_from([b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"{}"]))
ENDS = st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\n\r\n"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return what looks like a request, more or less."""
    end = draw(ENDS)
    head = b" ".join([draw(METHODS), draw(PATHS), draw(VERSIONS)])
    return end.join([head, *draw(HEADERS)]) + end + end + draw(BODIES)


def send(daemon: Daemon, data: bytes, *, unix: bool) -> bytes:
    """Send bytes, close our side, and return all that comes back."""
    family = socket.AF_UNIX if unix else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(20)
        connection.connect(str(daemon.socket) if unix else ("127.0.0.1", daemon.port))
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        return answer


@pytest.mark.parametrize("unix", [True, False], ids=["unix", "tcp"])
def test_broken_requests_break_nothing(tmp_path: Path, *, unix: bool) -> None:
    with running(tmp_path, text=configuration(tmp_path, "[collectors.processes]\ndescriptors = 0\n")) as daemon:
        before = daemon.get("/healthz")

        @settings(
            max_examples=3000,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
        )
        @given(st.lists(st.one_of(requests(), st.binary(max_size=500)), min_size=1, max_size=3))
        def breaks_nothing(parts: list[bytes]) -> None:
            answer = send(daemon, b"".join(parts), unix=unix)
            assert answer == b"" or answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
            status = answer[9:12]
            assert not status.startswith(b"5") or status == b"503", answer[:500]

        breaks_nothing()
        after = daemon.get("/healthz")
        assert after["pid"] == before["pid"]
        assert daemon.lines("api_fault") == []
        assert after["descriptors"] <= before["descriptors"] + 10
        assert daemon.get("/resources/all?wait=5")["sequence"] > 1
