"""What a route is made of, and the border at which every request is identified, checked, answered or refused."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import pydantic_core
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from resourced.api.access import AccessSettings, Caller, Right, identify, name_of, require, require_socket
from resourced.api.answers import SECURITY_HEADERS, Answer, to_json
from resourced.api.events import Hub
from resourced.api.limits import Limits
from resourced.api.parameters import Parameter, read_parameters
from resourced.api.problem import Problem
from resourced.api.refusals import Refusals
from resourced.api.resources import Encoded
from resourced.api.service import Service
from resourced.api.turns import Turns
from resourced.errors import ConfigError, HistoryError, QueryError

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Context:
    """What all routes share. `access` is replaced whole when the configuration is read again."""

    service: Service
    encoded: Encoded
    hub: Hub
    turns: Turns
    access: AccessSettings
    limits: Limits
    refusals: Refusals
    document: Callable[[], bytes]
    page: Callable[[], bytes]
    exporting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a recording is made and sent: one at a time."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was identified, entitled and checked."""

    context: Context
    request: Request
    caller: Caller
    values: Mapping[str, Any]
    """Query parameters by name."""
    right: Right
    """What it takes."""
    access: AccessSettings
    """The rules by which the caller was let in."""

    @property
    def service(self) -> Service:
        """Return the daemon."""
        return self.context.service

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the history answers, in its turn; it is not asked for a caller who has left by then.

        Raises:
            Problem: 503 if too many questions wait already.
            ClientDisconnect: The caller has left.
        """
        gone = self.request.scope.get("state", {}).get("gone", bool)
        return await self.context.turns.take(gone, question, *args, **kwargs)

    def check_again(self) -> None:
        """Refuse a caller who has lost the right while he was waited for.

        Raises:
            Problem: 401, 403 or 421, as for a new request.
        """
        if self.context.access is not self.access:
            require(identify(self.context.access, self.request.scope), self.right)

    async def body(self) -> Mapping[str, Any]:
        """Return the JSON object that was sent; an empty one if nothing was.

        Raises:
            Problem: 408 if it comes too slowly, 413 if it is too large, 422 if it isn't an object.
        """
        raw, limits = bytearray(), self.context.limits
        try:
            async with asyncio.timeout(limits.body_seconds):
                async for chunk in self.request.stream():
                    raw += chunk
                    if len(raw) > limits.body_bytes:
                        raise Problem(413, f"the body is larger than {limits.body_bytes} bytes")
        except TimeoutError:
            raise Problem(408, f"the body did not arrive within {limits.body_seconds:g} seconds") from None
        try:
            value = pydantic_core.from_json(bytes(raw)) if raw else {}
        except ValueError as error:
            raise Problem(422, f"the body is not JSON: {error}", parameter="body") from None
        if not isinstance(value, dict):
            raise Problem(422, "the body must be a JSON object", parameter="body")
        self.check_again()
        return value


Handler = Callable[[Call], Awaitable[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    path: str
    handle: Handler
    summary: str
    answer: Any
    """Type of the answer, or an OpenAPI media type object."""
    method: str = "GET"
    parameters: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    """Headers that it heeds, besides those of every route."""
    right: Right = Right.READ
    description: str = ""
    problems: tuple[int, ...] = ()
    """Statuses with which it may fail, besides those of every route."""
    body: dict[str, Any] | None = None
    """Schema of the JSON body; None if it takes none."""
    also: Mapping[str, Any] = field(default_factory=dict)
    """Schemas of further forms of the answer by media type; one for JSON is an alternative."""
    kept: bool = False
    """Whether answers carry an entity tag, by which a caller can ask whether his copy is still good."""
    statuses: Mapping[int, Any] = field(default_factory=dict)
    """Further statuses that are no problems."""
    status: int = 200
    """Status of the answer."""
    owned: bool = False
    """Whether it is about something that belongs to somebody, and to be had by that one and by admins alone."""
    unix_only: bool = False
    """Whether only callers over the Unix socket may."""


class Path:
    """All methods of one path, as an ASGI application."""

    def __init__(self, context: Context, endpoints: list[Endpoint]) -> None:
        self._context = context
        self._endpoints = {endpoint.method: endpoint for endpoint in endpoints}
        methods = {*self._endpoints, "OPTIONS"} | ({"HEAD"} if "GET" in self._endpoints else set())
        self._allow = ", ".join(sorted(methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "OPTIONS":
            await Response(status_code=204, headers={"allow": self._allow})(scope, receive, send)
            return
        endpoint = self._endpoints.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            detail = f"{scope['path']} does not take {method[:20]}; it takes {self._allow}"
            raise Problem(405, detail, headers={"allow": self._allow})
        caller: Caller = scope["caller"]
        access = self._context.access
        require(caller, endpoint.right)
        if endpoint.unix_only:
            require_socket(caller)
        values = read_parameters(scope["query_string"], endpoint.parameters, self._context.service.now())
        call = Call(self._context, Request(scope, receive), caller, values, endpoint.right, access)
        answer = await endpoint.handle(call)
        if method in ("GET", "HEAD"):  # what was changed is changed, and he is told so
            call.check_again()
        await answer(scope, receive, send)


class Border:
    """Identifies callers, and turns whatever goes wrong below into a problem document.

    Args:
        context: What all routes share.
        below: What answers.
    """

    def __init__(self, context: Context, below: ASGIApp) -> None:
        self._context = context
        self._below = below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = False

        async def guarded(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                have = {name for name, _ in message["headers"]}
                added = (header for header in SECURITY_HEADERS if header[0] not in have)
                message = {**message, "headers": [*message["headers"], *added]}  # the answer is kept and sent again
            elif scope["method"] == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        caller: Caller | None = None
        try:
            caller = identify(self._context.access, scope)
            scope["caller"] = caller
            scope["app"] = self
            await self._below(scope, receive, guarded)
        except ClientDisconnect:
            await _part(scope, receive)
        except Exception as error:
            problem = self._explain(error, scope, caller)
            if started:
                raise
            await problem.response()(scope, receive, guarded)

    def _explain(self, error: Exception, scope: Scope, caller: Caller | None) -> Problem:
        problem = _problem_of(error, scope)
        who = caller.name if caller else name_of(scope)
        if problem.status == 500:
            about = {"caller": who, "method": scope["method"][:20], "path": scope["path"][:200], "status": 500}
            self._context.service.audit("api_fault", {**about, "reason": repr(error)})
        elif problem.refusal:
            self._context.refusals.note(who, problem.status, problem.detail, scope["method"], scope["path"])
        return problem


async def _part(scope: Scope, receive: Receive) -> None:
    """Cut off a caller who has left, and wait until the server knows: it would take no answer for a fault of ours."""
    abort = scope.get("state", {}).get("abort")
    if abort is not None:
        abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def _problem_of(error: Exception, scope: Scope) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, QueryError):
        return Problem(422, str(error), parameter=error.parameter)
    if isinstance(error, HistoryError):
        return Problem(503, f"the history can't be read now: {error}", headers={"retry-after": "5"})
    if isinstance(error, ConfigError):
        return Problem(422, f"the configuration is not usable, the running one stays: {error}")
    if isinstance(error, HTTPException) and error.status_code == 404:
        return Problem(404, f"there is nothing at {scope['path'][:200]!r}; /openapi.json lists what there is")
    return Problem(500, "resourced failed to answer; the journal says why")


def json_answer(value: Any, *, status: int = 200, cache_control: bytes = b"no-cache") -> Answer:
    """Return an answer that isn't kept."""
    return Answer(to_json(value), status=status, cache_control=cache_control)
