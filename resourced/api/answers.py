"""Answers: bytes that were encoded once and are sent as they are, as often as they are asked for."""

from typing import Any

import pydantic_core
from starlette.types import Receive, Scope, Send

JSON = b"application/json"
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_EMPTY: dict[str, Any] = {"type": "http.response.body", "body": b""}


def to_json(value: Any) -> bytes:
    """Return the JSON of dataclasses, containers and plain values; numbers that JSON can't hold become null."""
    return pydantic_core.to_json(value, inf_nan_mode="null")


class Answer:
    """A complete answer, ready to be sent any number of times.

    Args:
        body: What is sent.
        etag: Strong entity tag with its quotes, or None for an answer that isn't to be kept.
        cache_control: What may be done with it.
        media_type: What it is.
        status: HTTP status.
        headers: Further headers.
    """

    __slots__ = ("_not_modified", "body", "etag", "finish", "start")

    def __init__(
        self,
        body: bytes,
        *,
        etag: bytes | None = None,
        cache_control: bytes = b"no-store",
        media_type: bytes = JSON,
        status: int = 200,
        headers: tuple[tuple[bytes, bytes], ...] = SECURITY_HEADERS,
    ) -> None:
        kept = [(b"cache-control", cache_control), *headers]
        if etag is not None:
            kept.append((b"etag", etag))
        length = (b"content-length", str(len(body)).encode())
        self.body = body
        self.etag = etag
        self.start = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", media_type), length, *kept],
        }
        self.finish = {"type": "http.response.body", "body": body}
        self._not_modified = {"type": "http.response.start", "status": 304, "headers": kept}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or that the caller's copy is still good."""
        del receive
        if self.etag is not None:
            for name, value in scope["headers"]:
                if name == b"if-none-match" and matches(value, self.etag):
                    await send(self._not_modified)
                    await send(_EMPTY)
                    return
        await send(self.start)
        await send(self.finish if scope["method"] != "HEAD" else _EMPTY)


def matches(header: bytes, etag: bytes) -> bool:
    """Return whether an If-None-Match header names an entity tag, by weak comparison (RFC 9110, 13.1.2)."""
    if header == etag:
        return True
    return any(tag.strip().removeprefix(b"W/") in (etag, b"*") for tag in header.split(b","))
