"""Routes that change something; only for those who may."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import ASGIApp

from resourced.api.access import Right
from resourced.api.endpoint import Call, Endpoint, json_answer
from resourced.api.problem import Problem
from resourced.api.records import no_decision
from resourced.api.schema import object_schema
from resourced.errors import ActionRefused
from resourced.journal import LEVELS

DONE = object_schema("It was done.", done={"const": True})


def audited(call: Call, what: str, **fields: Any) -> None:
    """Write down who changed what."""
    about = {"caller": call.caller.name, "method": call.request.method, "path": call.request.url.path}
    call.service.audit("api_changed", {**about, "change": what, **fields})


def done(call: Call, what: str, **fields: Any) -> ASGIApp:
    """Return that something was done, and write it down."""
    audited(call, what, **fields)
    return json_answer({"done": True})


async def _log_level(call: Call) -> ASGIApp:
    body = await call.body()
    level = body.get("level")
    if not isinstance(level, str) or len(body) != 1:
        levels = ", ".join(LEVELS)
        raise Problem(422, f'the body must be {{"level": "debug"}}, or another of {levels}', parameter="level")
    try:
        call.service.set_log_level(level)
    except ValueError as error:
        raise Problem(422, str(error), parameter="level") from None
    return done(call, "log-level", level=level)


async def _reload(call: Call) -> ASGIApp:
    await no_body(call)
    await call.service.reload()
    return done(call, "reload")


async def no_body(call: Call) -> None:
    """Refuse a body where none has a meaning; raises Problem."""
    if await call.body():
        raise Problem(422, "no body is expected here", parameter="body")


def _judged(verb: str) -> Callable[[Call], Awaitable[ASGIApp]]:
    async def handle(call: Call) -> ASGIApp:
        await no_body(call)
        identity = call.request.path_params["id"]
        if await asyncio.to_thread(call.service.history.decision, identity) is None:
            raise no_decision(identity)
        service = call.service
        try:
            await {"approve": service.approve, "veto": service.veto, "thaw": service.thaw}[verb](
                identity, call.caller.name
            )
        except ActionRefused as error:
            raise Problem(409, str(error)) from None
        return done(call, verb, decision=identity)

    return handle


def endpoints() -> list[Endpoint]:
    """Return the routes."""
    level = {
        "type": "object",
        "required": ["level"],
        "properties": {"level": {"type": "string", "enum": list(LEVELS)}},
        "additionalProperties": False,
    }
    refused = (403, 408, 413)
    admin: dict[str, Any] = {"method": "POST", "right": Right.ADMIN}
    return [
        Endpoint("/log-level", _log_level, "Change what is logged.", DONE, problems=refused, body=level, **admin),
        Endpoint("/reload", _reload, "Read the configuration again.", DONE, problems=refused, **admin),
        Endpoint(
            "/decisions/{id}/approve",
            _judged("approve"),
            "Let an advised decision be carried out.",
            DONE,
            problems=(*refused, 404, 409, 503),
            **admin,
        ),
        Endpoint(
            "/decisions/{id}/veto",
            _judged("veto"),
            "Call a decision off.",
            DONE,
            problems=(*refused, 404, 409, 503),
            **admin,
        ),
        Endpoint(
            "/decisions/{id}/thaw",
            _judged("thaw"),
            "Let what a decision has frozen run on; whatever else was done stays, and goes on.",
            DONE,
            problems=(*refused, 404, 409, 503),
            **admin,
        ),
    ]
