"""HTTP on one connection: uvicorn's protocol, with limits, and with the credentials of Unix peers."""

import asyncio
import contextlib
import os
import select
import socket
from collections import deque
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from resourced.api.access import name_of, read_peer
from resourced.api.answers import SECURITY_HEADERS, to_json
from resourced.api.limits import Limits
from resourced.api.problem import MEDIA_TYPE
from resourced.api.refusals import Refusals

_GRACE_SECONDS = 0.5
"""How long a connection that has asked nothing yet may take to do so when the daemon ends."""


class LimitedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with limits, and with more in the state of each request.

    The state has the `peer` (on a Unix socket), `abort`, which cuts the connection, and `gone`, which tells whether the
    caller has left.

    A request's head may be neither large nor slow, and answers must be read. Beyond the limit of connections the one
    that has been idle longest makes room for a new one.
    """

    limits = Limits()
    refusals: Refusals
    open: "dict[LimitedProtocol, None]"
    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Take note of who connects."""
        super().connection_made(transport)
        state: dict[str, Any] = {**self.app_state, "abort": transport.abort, "gone": partial(_has_left, transport)}
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as same:
                state["peer"] = read_peer(same)
        self.app_state = state
        self._earlier: deque[RequestResponseCycle] = deque()
        self._timer = self.loop.call_later(self.limits.header_seconds, self._too_slow)
        self.open[self] = None
        if len(self.open) > self.limits.connections:
            self._make_room()

    def _make_room(self) -> None:
        most = self.limits.connections
        for other in self.open:
            if other is not self and (other.idle or other.transport.is_closing()):  # which may wait for a reader
                other.note(503, f"more than {most} connections: one that was idle made room")
                other.transport.abort()
                return
        self.note(503, f"there are {most} connections already, and none of them is idle")
        self.transport.abort()

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request, though declared otherwise
        return not self.transport.is_closing() and (cycle is None or cycle.response_complete)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self.resume_writing()
        self.open.pop(self, None)
        for cycle in self._earlier:  # uvicorn tells the newest request alone, which may still wait for its turn
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the caller some time to read what waits for him."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.limits.answer_seconds, self._not_read)

    def resume_writing(self) -> None:
        """Go on: the caller has read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _not_read(self) -> None:
        self._unread = None
        self.note(408, f"the answer was not read within {self.limits.answer_seconds:g} seconds")
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that isn't complete has a limited time and size."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes:
            if self._head_bytes > self.limits.header_bytes and not self.transport.is_closing():
                detail = f"at most {self.limits.header_bytes} bytes are taken"
                self._refuse(b"431 Request Header Fields Too Large", detail)
            elif self._timer is None and not self.transport.is_closing():
                self._timer = self.loop.call_later(self.limits.header_seconds, self._too_slow)

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        self._in_head = True
        self.open[self] = self.open.pop(self, None)  # to the end: the one that asked least lately makes room first
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer, or refuse a head that is too large."""
        self._in_head = False
        self._stop_timer()
        app = self.app
        before: RequestResponseCycle | None = self.cycle  # as in `idle`
        if self._head_bytes > self.limits.header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.limits.header_bytes:
                self.note(431, detail := f"at most {self.limits.header_bytes} bytes are taken")
                self.app = _too_large(detail)
        super().on_headers_complete()
        self.app = app
        if before is not None and not before.response_complete:
            self._earlier.append(before)
            while self._earlier[0].response_complete:
                self._earlier.popleft()
        if self.ending:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """End a request."""
        self._head_bytes = 0
        super().on_message_complete()

    def shutdown(self) -> None:
        """End the connection, but not before whoever has just connected is answered: his request is on its way."""
        self.ending = True
        cycle: RequestResponseCycle | None = self.cycle  # as in `idle`
        if cycle is None and not self.transport.is_closing():
            self.loop.call_later(_GRACE_SECONDS, self._end_idle)
        else:
            super().shutdown()

    def _end_idle(self) -> None:
        if self.idle:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            if self._head_bytes:
                detail = f"the request did not arrive within {self.limits.header_seconds:g} seconds"
                self._refuse(b"408 Request Timeout", detail)
            else:
                self.transport.close()

    def note(self, status: int, reason: str) -> None:
        """Write down that this caller was refused."""
        self.refusals.note(name_of({"state": self.app_state, "client": self.client}), status, reason)

    def _refuse(self, status: bytes, detail: str) -> None:
        self.note(int(status[:3]), detail)
        body = _problem(status, detail)
        head = b"".join(b"%b: %b\r\n" % header for header in _refusal_headers(body))
        self.transport.write(b"HTTP/1.1 %b\r\n%b\r\n" % (status, head) + body)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(b"400 Bad Request", msg)


def _has_left(transport: asyncio.Transport) -> bool:
    """Return whether the other end has closed a connection, also if nothing is read from it because more was asked."""
    sock = transport.get_extra_info("socket")
    if transport.is_closing() or sock is None:
        return transport.is_closing()
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


def _problem(status: bytes, detail: str) -> bytes:
    code, _, title = status.decode().partition(" ")
    return to_json({"type": "about:blank", "title": title, "status": int(code), "detail": detail})


def _refusal_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *SECURITY_HEADERS,
    ]


def _too_large(detail: str) -> ASGIApp:
    """Return the application that refuses a request for its head."""
    body = _problem(b"431 Request Header Fields Too Large", detail)
    headers = _refusal_headers(body)

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 431, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return refuse


def limited_protocol(limits: Limits, refusals: Refusals) -> type[LimitedProtocol]:
    """Return the protocol with these limits, whose refusals are noted there."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits, "refusals": refusals, "open": {}})
