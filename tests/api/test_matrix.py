"""Who may do what: every kind of caller on every route, with the kernel's own word for who calls."""

import asyncio
import grp
import http.client
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from resourced.api import AccessSettings, ApiServer, ApiSettings, ListenSettings, create_app, make_sockets
from resourced.api.access import Right, read_tokens
from resourced.api.app import App
from resourced.api.endpoint import Endpoint
from tests.api.fakes import FakeService, make_decision

STRANGER, OWN, MINE = 65534, 54321, 1000
"""User ids: of somebody, of the daemon, and of the owner of the processes that are served."""
READ, ADMIN = "r" * 20, "a" * 20

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become somebody else"),
]


def groups() -> tuple[str, str]:
    """Return two groups of the system: one for readers, one for admins."""
    names = [entry.gr_name for entry in grp.getgrall() if entry.gr_gid not in (0, STRANGER)]
    return names[0], names[1]


@dataclass(frozen=True)
class Unix:
    """A caller on the Unix socket."""

    uid: int
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tcp:
    """A caller on TCP."""

    token: str | None = None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


Answers = dict[str, int]


Routes = list[tuple[str, str]]


def ask(connect: Callable[[str], http.client.HTTPConnection], where: str, routes: Routes, token: str | None) -> Answers:
    """Return the status of each route, asked one after the other on connections of their own."""
    found = {}
    for method, path in routes:
        connection = connect(where)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body = b'{"level": "debug"}' if path == "/log-level" else None
        connection.request(method, path, body=body, headers=headers)
        found[f"{method} {path}"] = connection.getresponse().status
        connection.close()
    return found


def as_somebody(caller: Unix, path: Path, routes: Routes) -> Answers | str:
    """Ask in a child that has become the caller; return the answers, or the error that met it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setgroups([grp.getgrnam(name).gr_gid for name in caller.groups])
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(caller.uid, caller.uid, caller.uid)
            try:
                said: object = ask(_UnixConnection, str(path), routes, None)
            except OSError as error:
                said = type(error).__name__
            os.write(writing, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found: Answers | str = json.loads(pipe.read())
    os.waitpid(child, 0)
    return found


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that everybody may enter, unlike pytest's."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def routes_of(app: App) -> list[tuple[str, str, Endpoint]]:
    """Return every route with what it takes; the stream of events with one that ends by itself."""
    known = make_decision(1).id
    query = {"/history": "?metric=memory.used"}
    return [(each.method, each.path.replace("{id}", known) + query.get(each.path, ""), each) for each in app._endpoints]


READERS, ADMINS = groups() if os.geteuid() == 0 else ("", "")
CALLERS = [
    pytest.param(Unix(STRANGER), None, id="stranger"),
    pytest.param(Unix(STRANGER, (READERS,)), Right.READ, id="group member"),
    pytest.param(Unix(OWN, (READERS,)), Right.ADMIN, id="the daemon's own user"),
    pytest.param(Unix(STRANGER, (READERS, ADMINS)), Right.ADMIN, id="admin"),
    pytest.param(Unix(0), Right.ADMIN, id="root"),
    pytest.param(Tcp(), Right.READ, id="tcp without a token"),
    pytest.param(Tcp(READ), Right.READ, id="tcp with a reader's token"),
    pytest.param(Tcp(ADMIN), Right.ADMIN, id="tcp with an admin's token"),
    pytest.param(Tcp("x" * 20), Right.NONE, id="tcp with a wrong token"),
]


@pytest.mark.parametrize(("caller", "right"), CALLERS)
async def test_every_route_is_open_to_those_who_may_and_to_nobody_else(
    directory: Path, caller: Unix | Tcp, right: Right | None
) -> None:
    tokens = directory / "tokens"
    tokens.write_text(f"scrape read {READ}\nops admin {ADMIN}\n")
    tokens.chmod(0o600)
    access = AccessSettings(admin_gid=grp.getgrnam(ADMINS).gr_gid, tokens=read_tokens(tokens), own_uid=OWN)
    app = create_app(FakeService(), ApiSettings(access=access))
    listen = ListenSettings(socket=directory / "s.sock", socket_group=READERS, port=0)
    sockets = make_sockets(listen, {})
    port = sockets[1].getsockname()[1]
    server = ApiServer(app, sockets, listen)
    serving = asyncio.create_task(server.serve())
    await server.started()
    routes = routes_of(app)
    asked = [(method, path) for method, path, _ in routes]
    try:
        if isinstance(caller, Unix):
            found = await asyncio.to_thread(as_somebody, caller, directory / "s.sock", asked)
        else:
            address = f"127.0.0.1:{port}"
            found = await asyncio.to_thread(ask, http.client.HTTPConnection, address, asked, caller.token)
    finally:
        server.stop()
        await serving

    if right is None:
        assert found == "PermissionError"
        return
    assert isinstance(found, dict)
    tcp = isinstance(caller, Tcp)
    refusal = 401 if right is Right.NONE or (isinstance(caller, Tcp) and caller.token is None) else 403
    for method, path, endpoint in routes:
        status = found[f"{method} {path}"]
        if right < endpoint.right:
            assert status == refusal, (method, path, status)
        elif tcp and (endpoint.unix_only or (endpoint.owned and right is not Right.ADMIN)):
            assert status == 403, (method, path, status)
        else:
            assert status in (200, 201, 204), (method, path, status)
    assert len(found) >= 37
