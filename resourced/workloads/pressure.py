"""The socket for programs that wait for memory pressure as systemd's services do (MEMORY_PRESSURE_WATCH=).

A program connects, may write what it was told to write, and waits until there is something to read; what that is means
nothing. One that doesn't read is never waited for.
"""

import contextlib
import errno
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from resourced.collectors.base import Roots
from resourced.workloads.identity import cgroup_of

_MOST = 256
_MOST_OF_ONE = 64
"""Connections of one user, so that nobody takes all of them."""
_READ_SIZE = 4096
_AGAIN_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
"""How long nobody is let in after one could not be: he stays in the queue, so that the socket is ready all the time."""
_NUDGE = b"\n"
_LACKING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Why nobody can be let in now: descriptors or memory are used up."""


@dataclass(frozen=True, slots=True)
class Nudge:
    """Whom to wake, and why."""

    cause: str
    pids: frozenset[int] | None = None
    """None for everybody."""
    cgroup: str | None = None
    """With all that live in this control group."""


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    pid: int
    uid: int
    cgroup: str | None
    nudged: dict[str, float] = field(default_factory=dict)

    def meant(self, nudge: Nudge) -> bool:
        if nudge.pids is None or self.pid in nudge.pids:
            return True
        inside = nudge.cgroup not in (None, "/") and self.cgroup is not None
        return inside and f"{self.cgroup}/".startswith(f"{nudge.cgroup}/")


class PressureSocket:
    """Wakes programs. Its connections are used by one thread alone, which calls `tend`; `nudge` may be called by any.

    Args:
        path: Where it listens; None to listen nowhere.
        roots: Where /proc is.
        wake: Makes that thread call `tend`.
    """

    def __init__(self, path: Path | None, roots: Roots, wake: Callable[[], None]) -> None:
        self._path = path
        self._roots = roots
        self._wake = wake
        self._socket: socket.socket | None = None
        self._paused_until: float | None = None
        self._clients: dict[int, _Client] = {}
        self._nudges: deque[Nudge] = deque(maxlen=1024)

    @property
    def connections(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def open(self) -> None:
        """Begin to listen.

        Raises:
            OSError: The socket can't be made.
        """
        if self._path is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(self._path.lstat().st_mode):
                self._path.unlink()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            made.bind(str(self._path))
            # Anybody may have to give way, so anybody may wait for it; what is told says nothing about others.
            self._path.chmod(0o666)
            made.listen(64)
        except OSError:
            made.close()
            raise
        self._socket = made

    def nudge(self, nudge: Nudge) -> None:
        """Wake those who are meant; never blocks."""
        if self._socket is not None:
            self._nudges.append(nudge)
            self._wake()

    def descriptors(self) -> Iterable[int]:
        """Return what becomes readable when there is something to tend."""
        if self._socket is None or self._paused_until is not None:
            return tuple(self._clients)
        return (self._socket.fileno(), *self._clients)

    def tend(self, ready: Iterable[int], now: float) -> float | None:
        """Do what is due; return in how many seconds to look again, None if at no time.

        Args:
            ready: Descriptors that are readable.
            now: CLOCK_MONOTONIC.
        """
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
        for descriptor in ready:
            if self._socket is not None and descriptor == self._socket.fileno():
                self._accept(now)
            elif descriptor in self._clients:
                self._drain(self._clients[descriptor])
        while self._nudges:
            nudge = self._nudges.popleft()
            for client in list(self._clients.values()):
                if client.meant(nudge) and now - client.nudged.get(nudge.cause, -_AGAIN_SECONDS) >= _AGAIN_SECONDS:
                    client.nudged[nudge.cause] = now
                    self._send(client)
        return None if self._paused_until is None else self._paused_until - now

    def close(self) -> None:
        """End, and remove the socket."""
        for client in list(self._clients.values()):
            self._drop(client)
        if self._socket is not None and self._path is not None:
            self._socket.close()
            self._socket = None
            self._path.unlink(missing_ok=True)

    def _accept(self, now: float) -> None:
        if self._socket is None:
            return
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            if error.errno in _LACKING:
                self._paused_until = now + _PAUSE_SECONDS
            return
        try:
            connection.settimeout(0)
            pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except OSError:
            connection.close()
            return
        mine = sum(each.uid == uid for each in self._clients.values())
        if len(self._clients) >= _MOST or mine >= _MOST_OF_ONE:
            connection.close()
            return
        self._clients[connection.fileno()] = _Client(connection, pid, uid, cgroup_of(pid, self._roots))

    def _drain(self, client: _Client) -> None:
        try:
            gone = not client.connection.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self._drop(client)

    def _send(self, client: _Client) -> None:
        try:
            client.connection.send(_NUDGE, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return  # so much waits to be read that it is awake anyway
        except OSError:
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        del self._clients[client.connection.fileno()]
        client.connection.close()
