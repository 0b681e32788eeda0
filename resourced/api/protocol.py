"""HTTP on one connection: uvicorn's protocol, with limits, and with the credentials of Unix peers."""

import asyncio
import contextlib
import os
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from resourced.api.access import read_peer
from resourced.api.answers import to_json
from resourced.api.problem import MEDIA_TYPE

MOST_CONNECTIONS = 1024
MOST_HEAD_BYTES = 16384
HEAD_SECONDS = 10.0


class LimitedProtocol(HttpToolsProtocol):
    """Adds to the state of each request the `peer` (on a Unix socket) and `abort`, which cuts the connection.

    A request's head may be neither large nor slow. Beyond `MOST_CONNECTIONS` an idle connection makes room for a new
    one.
    """

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Take note of who connects."""
        super().connection_made(transport)
        state: dict[str, Any] = {**self.app_state, "abort": transport.abort}
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as same:
                state["peer"] = read_peer(same)
        self.app_state = state
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def _make_room(self) -> None:
        for other in self.connections:
            if other is not self and isinstance(other, LimitedProtocol) and other.idle:
                other.transport.abort()
                return
        self.transport.abort()

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request, though declared otherwise
        return not self.transport.is_closing() and (cycle is None or cycle.response_complete)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that isn't complete has a limited time and size."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes:
            if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(b"431 Request Header Fields Too Large", f"at most {MOST_HEAD_BYTES} bytes are taken")
            elif self._timer is None and not self.transport.is_closing():
                self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer, or refuse a head that is too large."""
        self._in_head = False
        self._stop_timer()
        app = self.app
        if self._head_bytes > MOST_HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MOST_HEAD_BYTES:
                self.app = _too_large
        super().on_headers_complete()
        self.app = app

    def on_message_complete(self) -> None:
        """End a request."""
        self._head_bytes = 0
        super().on_message_complete()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            if self._head_bytes:
                self._refuse(b"408 Request Timeout", f"the request did not arrive within {HEAD_SECONDS:g} seconds")
            else:
                self.transport.close()

    def _refuse(self, status: bytes, detail: str) -> None:
        body = _problem(status, detail)
        head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, MEDIA_TYPE.encode(), len(body)) + body)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(b"400 Bad Request", msg)


def _problem(status: bytes, detail: str) -> bytes:
    code, _, title = status.decode().partition(" ")
    return to_json({"type": "about:blank", "title": title, "status": int(code), "detail": detail})


async def _too_large(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    body = _problem(b"431 Request Header Fields Too Large", f"at most {MOST_HEAD_BYTES} bytes are taken")
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": body})
