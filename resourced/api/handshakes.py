"""Letting callers in over TLS: they count as soon as they connect, not only when the handshake is over."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from resourced.api.limits import Limits
from resourced.api.tls import Certificate

_PAUSE_SECONDS = 1.0
"""How long nobody is let in after one could not be: he stays in the queue, so that the socket is ready all the time."""


class Handshakes:
    """Lets callers in on one socket, as the event loop's own server does, but not endlessly many who say nothing.

    A protocol hears of a connection when the handshake is over. Until then the loop's server knows nobody who could
    make room, and who connects and stays silent holds a descriptor for as long as a handshake may take. Here the one
    that has been at it longest makes room.

    Args:
        sock: Listens, and doesn't block.
        make: Makes the protocol of a connection.
        certificate: What is shown to callers.
        limits: How many may be at it at once, and for how long.
        refuse: Called with caller, status and reason when somebody had to make room.
    """

    def __init__(
        self,
        sock: socket.socket,
        make: Callable[[], asyncio.Protocol],
        *,
        certificate: Certificate,
        limits: Limits,
        refuse: Callable[[str, int, str], None],
    ) -> None:
        self._sock = sock
        self._make = make
        self._certificate = certificate
        self._limits = limits
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._open()

    def _open(self) -> None:
        self._timer = None
        self._loop.add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Let nobody in any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock)

    async def wait_closed(self) -> None:
        """Cut off those who have not come in yet."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        try:
            connection, address = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._loop.remove_reader(self._sock)
            self._timer = self._loop.call_later(_PAUSE_SECONDS, self._open)
            return
        connection.setblocking(False)  # noqa: FBT003 - the parameter has no name
        task = self._loop.create_task(self._greet(connection))
        self._under_way[task] = str(address[0])
        task.add_done_callback(lambda done: self._ended(done, connection))
        most = self._limits.connections
        if len(self._under_way) > most:
            first, host = next(iter(self._under_way.items()))
            del self._under_way[first]
            self._refuse(f"tcp {host}", 503, f"more than {most} TLS handshakes: the one that took longest made room")
            first.cancel()

    async def _greet(self, connection: socket.socket) -> None:
        await self._loop.connect_accepted_socket(
            self._make,
            connection,
            ssl=self._certificate.context,
            ssl_handshake_timeout=self._limits.header_seconds,
        )

    def _ended(self, task: "asyncio.Task[None]", connection: socket.socket) -> None:
        self._under_way.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            with contextlib.suppress(OSError):
                connection.close()
        if error is not None and not isinstance(error, OSError):  # which all failures of TLS are
            self._loop.call_exception_handler({"message": "a caller was not let in", "exception": error})
