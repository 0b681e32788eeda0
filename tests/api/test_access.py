import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from resourced.api import AccessSettings, ApiSettings, create_app
from resourced.api.access import Caller, Peer, Right, identify, read_peer, read_tokens, require
from resourced.api.problem import Problem
from resourced.errors import ConfigError
from tests.api.fakes import FakeService, make_decision
from tests.api.serving import served

READ, ADMIN = "r" * 20, "a" * 20


@pytest.fixture
def access(tmp_path: Path) -> AccessSettings:
    file = tmp_path / "tokens"
    file.write_text(f"# who\nscrape read {READ}\nops admin {ADMIN}  # us\n\n")
    file.chmod(0o600)
    return AccessSettings(tokens=read_tokens(file))


def over_tcp(service: FakeService, access: AccessSettings) -> httpx.AsyncClient:
    app = create_app(service, ApiSettings(access=access))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8414")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("token", "read", "change"), [(None, 200, 401), ("wrong" * 5, 401, 401), (READ, 200, 403), (ADMIN, 200, 200)]
)
async def test_over_tcp_the_token_decides(access: AccessSettings, token: str | None, read: int, change: int) -> None:
    headers = bearer(token) if token else {}
    async with over_tcp(FakeService(), access) as client:
        assert (await client.get("/resources/cpu", headers=headers)).status_code == read
        assert (await client.post("/reload", headers=headers)).status_code == change


async def test_without_anonymous_reading_even_hot_paths_need_a_token(access: AccessSettings) -> None:
    closed = AccessSettings(tokens=access.tokens, anonymous_read=False)
    async with over_tcp(FakeService(), closed) as client:
        assert (await client.get("/resources/all")).status_code == 401
        assert (await client.get("/resources/all", headers=bearer(READ))).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8414", "", "[::2]:1", "[::1"])
async def test_a_strange_host_is_refused_and_audited(access: AccessSettings, host: str) -> None:
    service = FakeService()
    async with over_tcp(service, access) as client:
        for path in ("/resources/all", "/version", "/nowhere"):
            answer = await client.get(path, headers={"host": host})
            assert answer.status_code == 421
    assert [event for event, _ in service.audited] == ["api_refused"] * 3


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8414", "127.0.0.1:8414", "[::1]:8414"])
async def test_our_own_names_are_taken(access: AccessSettings, host: str) -> None:
    async with over_tcp(FakeService(), access) as client:
        assert (await client.get("/resources/all", headers={"host": host})).status_code == 200


def scope_of(peer: Peer) -> dict[str, Any]:
    return {"headers": [], "state": {"peer": peer}}


def test_root_and_the_daemons_user_may_change_and_strangers_may_not() -> None:
    settings = AccessSettings(own_uid=500)
    rights = {uid: identify(settings, scope_of(Peer(1, uid, uid))).right for uid in (0, 500, 1000)}
    assert rights == {0: Right.ADMIN, 500: Right.ADMIN, 1000: Right.READ}


def test_members_of_the_admin_group_may_change() -> None:
    settings = AccessSettings(own_uid=500, admin_gid=1)
    assert identify(settings, scope_of(Peer(1, 1000, 1000, frozenset({1})))).right is Right.ADMIN
    assert identify(settings, scope_of(Peer(1, 1000, 1))).right is Right.ADMIN
    assert identify(settings, scope_of(Peer(1, 1000, 2, frozenset({3})))).right is Right.READ
    nobody = AccessSettings(own_uid=500, admin_gid=None)
    assert identify(nobody, scope_of(Peer(1, 1000, 1))).right is Right.READ


def test_nothing_is_looked_up_for_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grp.getgrnam", None)
    monkeypatch.setattr("pwd.getpwuid", None)
    one, other = socket.socketpair()
    with one, other:
        peer = replace(read_peer(one), uid=1000)
    assert identify(AccessSettings(own_uid=500, admin_gid=peer.gid), scope_of(peer)).right is Right.ADMIN


def test_a_peer_is_told_by_the_kernel() -> None:
    one, other = socket.socketpair()
    with one, other:
        peer = read_peer(one)
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.getuid(), os.getgid())


def test_refusals_tell_strangers_from_those_who_lack_the_right() -> None:
    with pytest.raises(Problem) as stranger:
        require(Caller("tcp 127.0.0.1", Right.READ), Right.ADMIN)
    with pytest.raises(Problem) as user:
        require(Caller("uid 7 pid 1", Right.READ, 7), Right.ADMIN)
    assert (stranger.value.status, user.value.status) == (401, 403)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("ops admin " + "x" * 20, 0o604, "everybody"),
        ("ops root " + "x" * 20, 0o600, ":1: expected"),
        ("\nops admin short", 0o600, ":2: the token of ops"),
        (f"ops admin {ADMIN}\nops read {READ}", 0o600, ":2: expected"),
    ],
)
def test_a_bad_token_file_is_refused_without_showing_tokens(tmp_path: Path, text: str, mode: int, words: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=words) as error:
        read_tokens(file)
    assert "x" * 20 not in str(error.value)


async def test_command_lines_go_to_the_entitled_only(access: AccessSettings, tmp_path: Path) -> None:
    async with over_tcp(FakeService(), access) as client:
        for headers, count in ((bearer(READ), 0), ({}, 0), (bearer(ADMIN), 2)):
            answer = await client.get("/resources/processes?command_line=1&limit=2", headers=headers)
            assert len(answer.json()["command_lines"]) == count
            assert answer.headers["cache-control"] == "no-store"
    async with served(tmp_path) as s, s.unix() as client:
        answer = await client.get("/resources/processes?command_line=1&limit=1")
        assert answer.json()["command_lines"] == {"159": "run --secret=159"}


async def test_changes_are_made_and_audited(access: AccessSettings) -> None:
    service, one, two = FakeService(), make_decision(1).id, make_decision(2).id
    async with over_tcp(service, access) as client:
        client.headers.update(bearer(ADMIN))
        assert (await client.post("/log-level", json={"level": "debug"})).json() == {"done": True}
        assert (await client.post(f"/decisions/{one}/approve")).status_code == 200
        assert (await client.post(f"/decisions/{two}/approve")).status_code == 409
        assert (await client.post(f"/decisions/{one}/veto")).status_code == 200
        assert (await client.post("/decisions/none/veto")).status_code == 404
    assert service.levels == ["debug"]
    assert service.judged == [("approve", one, "token ops"), ("veto", one, "token ops")]
    assert [fields["change"] for event, fields in service.audited if event == "api_changed"] == [
        "log-level",
        "approve",
        "veto",
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "parameter"),
    [
        ("/log-level", b"", 422, "level"),
        ("/log-level", b"{", 422, "body"),
        ("/log-level", b"[]", 422, "body"),
        ("/log-level", b'{"level": "loud"}', 422, "level"),
        ("/log-level", b" " * 20000, 413, None),
        ("/reload", b'{"a": 1}', 422, "body"),
    ],
)
async def test_wrong_bodies_are_refused(
    access: AccessSettings, path: str, body: bytes, status: int, parameter: str | None
) -> None:
    async with over_tcp(FakeService(), access) as client:
        answer = await client.post(path, content=body, headers=bearer(ADMIN))
    assert (answer.status_code, answer.json().get("parameter")) == (status, parameter)


async def test_a_bad_configuration_is_told_at_reload(access: AccessSettings) -> None:
    service = FakeService()
    service.reload_error = ConfigError("x.toml: no")
    async with over_tcp(service, access) as client:
        answer = await client.post("/reload", headers=bearer(ADMIN))
    assert (answer.status_code, "x.toml: no" in answer.json()["detail"]) == (422, True)
