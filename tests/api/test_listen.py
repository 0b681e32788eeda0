import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest

from resourced.api import ApiSettings, Limits, ListenSettings, make_sockets
from resourced.api.listen import activated_sockets
from resourced.api.protocol import LimitedProtocol
from resourced.errors import ConfigError
from tests.api.serving import served


def close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_the_unix_socket_is_for_owner_and_group_only(tmp_path: Path) -> None:
    sockets = make_sockets(ListenSettings(socket=tmp_path / "s", port=None), {})
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660
    close(sockets)


def test_a_stale_socket_is_replaced_and_a_live_one_names_its_holder(tmp_path: Path) -> None:
    settings = ListenSettings(socket=tmp_path / "s", port=None)
    first = make_sockets(settings, {})
    with pytest.raises(ConfigError, match=f"process {os.getpid()} already listens"):
        make_sockets(settings, {})
    close(first)
    close(make_sockets(settings, {}))


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(ConfigError, match="is not a socket"):
        make_sockets(ListenSettings(socket=tmp_path / "s", port=None), {})
    assert (tmp_path / "s").read_text() == "mine"


def test_a_taken_port_and_a_missing_directory_are_explained(tmp_path: Path) -> None:
    first = make_sockets(ListenSettings(port=0), {})
    with pytest.raises(ConfigError, match=r"set api\.port"):
        make_sockets(ListenSettings(port=first[0].getsockname()[1]), {})
    close(first)
    with pytest.raises(ConfigError, match="can't listen"):
        make_sockets(ListenSettings(socket=tmp_path / "none" / "s", port=None), {})
    with pytest.raises(ConfigError, match="no-such-group"):
        make_sockets(ListenSettings(socket=tmp_path / "g", socket_group="no-such-group", port=None), {})


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_nothing_wider_than_loopback_without_token_and_tls(address: str) -> None:
    with pytest.raises(ConfigError, match="token file and a TLS certificate"):
        make_sockets(ListenSettings(address=address, port=0, has_tokens=True), {})
    with pytest.raises(ConfigError, match="token file and a TLS certificate"):
        make_sockets(ListenSettings(address=address, port=0, tls_certificate=Path("c.pem")), {})
    with pytest.raises(ConfigError, match="not an IP address"):
        make_sockets(ListenSettings(address="localhost", port=0), {})


def test_sockets_for_another_process_are_not_taken() -> None:
    assert activated_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "2"}) == []


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *parts: bytes) -> bytes:
    for part in parts:
        writer.write(part)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


GET = b"GET /version HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([b"\x16\x03\x01 this is no HTTP\r\n\r\n"], b"400"),
        ([GET + b"X: " + b"a" * 20000 + b"\r\n\r\n"], b"431"),
        ([GET, *[b"X: " + b"a" * 1000 + b"\r\n"] * 17], b"431"),
        ([GET + b"Connection: close\r\n\r\n"], b"200"),
        ([b"GET /version HTTP/1.1\r\nConnection: close\r\n\r\n"], b"421"),
        ([b"GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n"], b"200"),
        ([GET + b"Host: evil\r\nConnection: close\r\n\r\n"], b"421"),
        ([GET + b"Content-Length: -1\r\n\r\n"], b"400"),
    ],
)
async def test_broken_requests_are_answered_and_end(tmp_path: Path, parts: list[bytes], status: bytes) -> None:
    async with served(tmp_path) as s:
        answer = await talk(*await asyncio.open_connection("127.0.0.1", s.port), *parts)
        assert answer.startswith(b"HTTP/1.1 " + status)
        async with s.tcp() as client:
            assert (await client.get("/version")).status_code == 200


async def test_a_slow_head_is_cut_off(tmp_path: Path) -> None:
    async with served(tmp_path, settings=ApiSettings(limits=Limits(header_seconds=0.05))) as s:
        silent = await talk(*await asyncio.open_connection("127.0.0.1", s.port))
        slow = await talk(*await asyncio.open_connection("127.0.0.1", s.port), GET)
    assert silent == b""
    assert slow.startswith(b"HTTP/1.1 408")


async def test_idle_connections_make_room(tmp_path: Path) -> None:
    async with served(tmp_path, settings=ApiSettings(limits=Limits(connections=4))) as s:
        idle = [await asyncio.open_unix_connection(str(s.path)) for _ in range(20)]
        async with s.unix() as client:
            assert (await client.get("/version")).status_code == 200
        for _, writer in idle:
            writer.transport.abort()


async def test_who_asked_least_lately_makes_room(tmp_path: Path) -> None:
    async with served(tmp_path, settings=ApiSettings(limits=Limits(connections=3))) as s:
        first, second, third = [await asyncio.open_connection("127.0.0.1", s.port) for _ in range(3)]
        for reader, writer in (third, first):
            writer.write(GET + b"\r\n")
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        fourth = await asyncio.open_connection("127.0.0.1", s.port)
        with contextlib.suppress(ConnectionResetError):
            assert await second[0].read() == b""
        for reader, writer in (fourth, third, first):
            writer.write(GET + b"\r\n")
            assert b"HTTP/1.1 200" in await reader.readuntil(b"200 OK\r\n")
        for _, writer in (first, second, third, fourth):
            writer.transport.abort()


async def test_who_has_just_connected_is_answered_before_the_end(tmp_path: Path) -> None:
    async with asyncio.timeout(20), served(tmp_path) as it:
        reader, writer = await asyncio.open_unix_connection(it.path)
        silent, silent_writer = await asyncio.open_unix_connection(it.path)
        state = it.server._servers[0][0].server_state
        while len(state.connections) < 2:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        it.server.stop()
        while not all(isinstance(each, LimitedProtocol) and each.ending for each in state.connections):  # noqa: ASYNC110
            await asyncio.sleep(0)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        assert await silent.read() == b""
        for each in (writer, silent_writer):
            each.close()
