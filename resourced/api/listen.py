"""Where the API listens: sockets that we make ourselves or that systemd hands over, and the server on them."""

import asyncio
import contextlib
import errno
import functools
import grp
import ipaddress
import os
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from resourced.api.access import read_peer
from resourced.api.app import App
from resourced.api.handshakes import Handshakes
from resourced.api.limits import Limits
from resourced.api.protocol import limited_protocol
from resourced.api.tls import Certificate
from resourced.errors import ConfigError

_FIRST_FD = 3
_BACKLOG = 1024

Refuse = Callable[[str, int, str], None]


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where to listen."""

    socket: Path | None = None
    """The Unix socket; None for none."""
    socket_group: str | None = None
    """Group that may connect, besides the daemon's own; None leaves the group as it is."""
    address: str = "127.0.0.1"
    """TCP address."""
    port: int | None = 8414
    """TCP port; None for none, 0 for any that is free."""
    tls_certificate: Path | None = None
    """PEM file with the certificate chain, for TCP."""
    tls_key: Path | None = None
    """PEM file with its key."""
    has_tokens: bool = False
    """Whether TCP callers need tokens; without them and TLS nothing wider than loopback is listened on."""
    keep_alive_seconds: int = 15
    """How long an idle connection is kept."""
    limits: Limits = field(default_factory=Limits)
    """How much of the daemon one caller may have."""


def make_sockets(settings: ListenSettings, environ: Mapping[str, str] | None = None) -> list[socket.socket]:
    """Return the listening sockets: those that systemd handed over, else our own.

    Args:
        settings: Where to listen.
        environ: Environment in which systemd announces sockets; by default the process's.

    Raises:
        ConfigError: A socket can't be had; the text says why and who holds it.
    """
    given = activated_sockets(os.environ if environ is None else environ)
    made: list[socket.socket] = list(given)
    try:
        for sock in given:
            _check_width(sock, settings)
        if settings.socket is not None and not any(s.family == socket.AF_UNIX for s in given):
            made.append(make_unix_socket(settings.socket, settings.socket_group))
        if settings.port is not None and not any(s.family != socket.AF_UNIX for s in given):
            made.append(make_tcp_socket(settings))
    except BaseException:
        for sock in made:
            sock.close()
        raise
    return made


def activated_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """Return the listening stream sockets that systemd handed over; none if they are meant for another process."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    found = []
    for fd in range(_FIRST_FD, _FIRST_FD + count):
        os.set_inheritable(fd, False)  # noqa: FBT003 - the parameter has no name
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)  # noqa: FBT003 - the parameter has no name
        found.append(sock)
    return found


def make_unix_socket(path: Path, group: str | None) -> socket.socket:
    """Return a listening Unix socket of mode 0660 that replaces a stale one.

    Raises:
        ConfigError: Another process listens there, or something else stands at the path.
    """
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mask = os.umask(0o117)
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
        if group is not None:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        sock.listen(_BACKLOG)
        sock.setblocking(False)  # noqa: FBT003 - the parameter has no name
    except (OSError, KeyError) as error:
        sock.close()
        raise ConfigError(f"{path}: can't listen: {error}") from error
    return sock


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{path} exists and is not a socket; move it away, or set api.socket to another path")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{path}: can't be looked at: {error}") from error
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"{path}: somebody may listen there: {error}") from error
        with contextlib.suppress(OSError):
            raise ConfigError(f"{path}: process {read_peer(probe).pid} already listens there")
        raise ConfigError(f"{path}: another process already listens there")


def make_tcp_socket(settings: ListenSettings) -> socket.socket:
    """Return a listening TCP socket.

    Raises:
        ConfigError: The address is wider than loopback without token and TLS, or can't be had.
    """
    _check_address(settings.address, settings)
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.address, settings.port or 0))
        sock.listen(_BACKLOG)
        sock.setblocking(False)  # noqa: FBT003 - the parameter has no name
    except OSError as error:
        sock.close()
        hint = "; another process listens there, set api.port" if error.errno == errno.EADDRINUSE else ""
        raise ConfigError(f"{settings.address}:{settings.port}: can't listen: {error.strerror}{hint}") from error
    return sock


def is_wide(sockets: Iterable[socket.socket]) -> bool:
    """Return whether other machines can reach one of these."""
    tcp = [sock.getsockname()[0] for sock in sockets if sock.family != socket.AF_UNIX]
    return not all(ipaddress.ip_address(address).is_loopback for address in tcp)


def _check_width(sock: socket.socket, settings: ListenSettings) -> None:
    if sock.family != socket.AF_UNIX:
        _check_address(sock.getsockname()[0], settings)


def _check_address(address: str, settings: ListenSettings) -> None:
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError as error:
        raise ConfigError(f"api.address {address!r} is not an IP address; write 127.0.0.1 or ::1") from error
    if not loopback and not (settings.has_tokens and settings.tls_certificate is not None):
        raise ConfigError(
            f"api.address {address} is wider than this machine: that takes a token file and a TLS certificate; "
            "set both, or listen on 127.0.0.1"
        )


class _Server(uvicorn.Server):
    """A server that leaves signals alone and wakes once a second instead of ten times."""

    servers: list[Any]

    def __init__(self, config: uvicorn.Config, certificate: Certificate | None, limits: Limits, refuse: Refuse) -> None:
        super().__init__(config)
        self._certificate = certificate
        self._limits = limits
        self._refuse = refuse
        self.ending = asyncio.Event()
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        protocol: Any = self.config.http_protocol_class
        make = functools.partial(protocol, config=self.config, server_state=self.server_state, app_state={})
        if self._certificate is None:
            self.servers = [await loop.create_server(make, sock=sock, backlog=_BACKLOG) for sock in sockets or []]
        else:
            tls: dict[str, Any] = {"certificate": self._certificate, "limits": self._limits, "refuse": self._refuse}
            self.servers = [Handshakes(sock, make, **tls) for sock in sockets or []]
        self.started = True

    async def main_loop(self) -> None:
        self.ready.set()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.ending.wait()

    def end(self) -> None:
        self.should_exit = True
        self.ending.set()


class ApiServer:
    """Serves one application on several sockets; TCP with TLS if a certificate is set.

    Args:
        app: The application.
        sockets: Listening sockets; they are closed at the end.
        settings: Where to listen.
        certificate: For TCP; None serves it in plain text.
    """

    def __init__(
        self,
        app: App,
        sockets: list[socket.socket],
        settings: ListenSettings,
        certificate: Certificate | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._unix = [Path(s.getsockname()) for s in sockets if s.family == socket.AF_UNIX and s.getsockname()]
        secure = [s for s in sockets if certificate is not None and s.family != socket.AF_UNIX]
        plain = [s for s in sockets if s not in secure]
        protocol = limited_protocol(settings.limits, app.refusals)
        self._servers = [
            (_Server(_config(app, settings, protocol), shown, settings.limits, app.refusals.note), listened)
            for shown, listened in ((None, plain), (certificate, secure))
            if listened
        ]

    async def serve(self) -> None:
        """Serve until `stop`, then let requests under way end."""
        async with asyncio.TaskGroup() as group:
            for server, sockets in self._servers:
                group.create_task(server.serve(sockets=sockets))

    async def started(self) -> None:
        """Return when all sockets are served."""
        for server, _ in self._servers:
            await server.ready.wait()

    def stop(self) -> None:
        """Let `serve` return within a second."""
        self._app.close()
        for server, _ in self._servers:
            server.end()


def _config(app: ASGIApp, settings: ListenSettings, protocol: type[asyncio.Protocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=1,
        backlog=_BACKLOG,
    )
