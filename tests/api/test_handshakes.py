"""TLS handshakes: callers who connect and say nothing, on both event loops."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvloop

from resourced.api import ApiSettings, Limits
from resourced.api.handshakes import Handshakes
from resourced.api.tls import Certificate
from tests.api.serving import Served, served
from tests.test_renewal import make_certificate, pytest_openssl
from tests.workloads.test_pressure import without_descriptors

pytestmark = pytest_openssl

Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"), "here")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Loop:
    found: Loop = request.param
    return found


@dataclass
class Secure:
    """A server with TLS, and a client that trusts it."""

    on: Served
    handshakes: Handshakes
    context: ssl.SSLContext

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"https://127.0.0.1:{self.on.port}", verify=self.context)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect and say nothing; return when the server has taken note."""
        before = set(self.handshakes._under_way)
        found = await asyncio.open_connection("127.0.0.1", self.on.port)
        while not set(self.handshakes._under_way) - before:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        return found

    async def until_nobody_is_at_it(self) -> None:
        while self.handshakes._under_way:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def secure(directory: Path, pair: tuple[Path, Path], limits: Limits | None = None) -> AsyncIterator[Secure]:
    settings = ApiSettings(limits=limits or Limits())
    async with asyncio.timeout(40), served(directory, None, settings, Certificate(*pair)) as on:
        [handshakes] = on.server._servers[1][0].servers
        yield Secure(on, handshakes, ssl.create_default_context(cafile=str(pair[0])))


async def cut_off(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return await reader.read() == b""
    return True


def run(loop: Loop, main: Callable[[], object]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())  # type: ignore[arg-type]  # all are coroutines


def test_who_says_nothing_makes_room_for_who_does(tmp_path: Path, pair: tuple[Path, Path], loop: Loop) -> None:
    async def main() -> None:
        async with secure(tmp_path, pair, Limits(connections=4, header_seconds=30.0)) as it:
            silent = [await it.connect() for _ in range(12)]
            assert [await cut_off(reader) for reader, _ in silent[:8]] == [True] * 8
            assert len(it.handshakes._under_way) == 4
            async with it.client() as client:
                assert (await client.get("/version")).status_code == 200
            assert await cut_off(silent[8][0])
            assert not any(reader.at_eof() for reader, _ in silent[9:])
            refused = [fields for event, fields in it.on.service.audited if event == "api_refused"]
            assert len(refused) == 9
            assert (refused[0]["status"], refused[0]["caller"]) == (503, "tcp 127.0.0.1")
            assert "more than 4 TLS handshakes" in refused[0]["reason"]
            for _, writer in silent:
                writer.transport.abort()

    run(loop, main)


def test_a_handshake_has_as_long_as_a_head(tmp_path: Path, pair: tuple[Path, Path], loop: Loop) -> None:
    async def main() -> None:
        async with secure(tmp_path, pair, Limits(header_seconds=0.05)) as it:
            reader, writer = await it.connect()
            assert await cut_off(reader)
            await it.until_nobody_is_at_it()
            writer.transport.abort()

    run(loop, main)


def test_what_is_no_tls_ends_and_others_are_let_in(tmp_path: Path, pair: tuple[Path, Path], loop: Loop) -> None:
    async def main() -> None:
        async with secure(tmp_path, pair) as it:
            for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b""):
                reader, writer = await it.connect()
                writer.write(said)
                writer.write_eof()
                await cut_off(reader)
                writer.transport.abort()
            await it.until_nobody_is_at_it()
            async with it.client() as client:
                assert (await client.get("/version")).status_code == 200

    run(loop, main)


def test_who_is_still_at_it_does_not_hold_up_the_end(tmp_path: Path, pair: tuple[Path, Path], loop: Loop) -> None:
    async def main() -> None:
        async with secure(tmp_path, pair) as it:
            reader, writer = await it.connect()
        assert await cut_off(reader)
        writer.transport.abort()

    run(loop, main)


def test_who_comes_while_no_descriptor_is_free_is_let_in_a_second_later(
    tmp_path: Path, pair: tuple[Path, Path], loop: Loop
) -> None:
    async def main() -> None:
        async with secure(tmp_path, pair) as it:
            sock = socket.socket()
            with without_descriptors():
                sock.connect(("127.0.0.1", it.on.port))
                while it.handshakes._timer is None:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0)
            reader, writer = await asyncio.open_connection(sock=sock, ssl=it.context, server_hostname="127.0.0.1")
            writer.write(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.transport.abort()

    run(loop, main)
