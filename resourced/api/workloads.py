"""Routes by which workloads register, are asked to give way, and answer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp

from resourced.api.access import Right, may_see
from resourced.api.changes import DONE, audited, done, no_body
from resourced.api.endpoint import Call, Endpoint, json_answer
from resourced.api.parameters import Parameter
from resourced.api.problem import Problem
from resourced.errors import ActionFailed, ActionRefused, NotYours, TargetGone, TooMany
from resourced.workloads import Applicant, Cover, Lease, Tell, Wish
from resourced.workloads.lease import GRACE_SECONDS, signal_number

_PID_MOST = 2**22
_MOST_SECONDS = 60
_SIGNALS = "SIGUSR1 SIGUSR2 SIGHUP SIGINT SIGTERM SIGCONT SIGURG SIGWINCH, SIGRTMIN+N or SIGRTMAX-N"


class Registration(BaseModel):
    """What a workload says when it registers; nothing has to be said."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """What a person calls it, printable; by default the process's name."""
    pid: Annotated[int, Field(ge=1, le=_PID_MOST)] | None = None
    """Its process; by default the caller's."""
    scope: Literal["process", "unit"] = "process"
    """Whether it stands for its process, or for the whole service or scope in which that lives."""
    priority: Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)] = 0.0
    """Higher goes later; above 0 only for admins."""
    tell: Literal["stream", "signal", "file", "none"] = "stream"
    """How it is told."""
    signal: str | None = None
    """The signal by which it is told, with tell=signal; by default SIGUSR1."""
    grace_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = GRACE_SECONDS
    """Time that it wants after being told."""
    restartable: bool = False
    """Whether nothing is lost if it is started again later."""
    heartbeat_seconds: Annotated[float, Field(ge=1, le=86400, allow_inf_nan=False)] | None = None
    """It is let go if nothing is heard of it for so long; null to live as long as its process."""


class Acknowledgement(BaseModel):
    """What a workload says when it gives way."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    decision: Annotated[str, Field(max_length=64)] | None = None
    """For which decision; by default for all that is asked of it."""


def _told(error: ValidationError) -> Problem:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return Problem(422, f"{where}: {first['msg'].lower()}", parameter=where)


async def _wish(call: Call) -> Wish:
    try:
        said = Registration.model_validate(await call.body())
    except ValidationError as error:
        raise _told(error) from None
    if said.name is not None and not said.name.isprintable():
        raise Problem(422, "name: write printable characters alone", parameter="name")
    if said.signal is not None and said.tell != "signal":
        raise Problem(422, 'signal: goes with "tell": "signal" alone', parameter="signal")
    if said.signal is not None and signal_number(said.signal) is None:
        raise Problem(422, f"signal: {said.signal[:40]!r} is not allowed; write {_SIGNALS}", parameter="signal")
    return Wish(**{**said.model_dump(), "scope": Cover(said.scope), "tell": Tell(said.tell)})


async def _register(call: Call) -> ASGIApp:
    wish, caller = await _wish(call), call.caller
    applicant = Applicant(caller.pid, caller.uid, caller.right is Right.ADMIN)
    try:
        lease = await asyncio.to_thread(call.service.workloads.register, wish, applicant)
    except NotYours as error:
        raise Problem(403, str(error)) from None
    except TargetGone as error:
        raise Problem(422, str(error), parameter="pid") from None
    except ActionRefused as error:
        raise Problem(409, str(error)) from None
    except ActionFailed as error:
        raise Problem(503, str(error)) from None
    except TooMany as error:
        raise Problem(429 if error.own else 503, str(error), headers={"retry-after": "60"}) from None
    audited(call, "register", workload=lease.name, lease=lease.id)
    return json_answer(asdict(lease), status=201, cache_control=b"no-store")


async def _list(call: Call) -> ASGIApp:
    leases = call.service.workloads.leases().values()
    shown = [each for each in leases if may_see(call.caller, each.uid)]
    return json_answer({"workloads": shown}, cache_control=b"no-store")


def _lease(call: Call) -> Lease:
    """Return the lease that a request is about.

    Raises:
        Problem: 404 if there is none, 403 if it is somebody else's.
    """
    identity = call.request.path_params["id"]
    lease = call.service.workloads.leases().get(identity)
    if lease is None:
        raise _unknown(identity)
    if not may_see(call.caller, lease.uid):
        raise Problem(403, f"workload {identity} belongs to somebody else")
    return lease


def _unknown(identity: str) -> Problem:
    return Problem(404, f"no workload {identity[:40]!r} is registered (any more); /workloads lists yours")


async def _show(call: Call) -> ASGIApp:
    before = _lease(call)
    if call.values["wait"]:
        leases = call.service.workloads.leases

        def changed(_: Any) -> bool:
            now = leases().get(before.id)
            return now is None or (now.state, now.request) != (before.state, before.request)

        await call.context.hub.wait(call.values["wait"], changed)
    return json_answer(_lease(call), cache_control=b"no-store")


async def _heartbeat(call: Call) -> ASGIApp:
    await no_body(call)
    await _change(call.service.workloads.heartbeat, _lease(call).id)
    return json_answer({"done": True})


async def _acknowledge(call: Call) -> ASGIApp:
    try:
        said = Acknowledgement.model_validate(await call.body())
    except ValidationError as error:
        raise _told(error) from None
    lease = _lease(call)
    await _change(call.service.workloads.acknowledge, lease.id, said.decision)
    return done(call, "acknowledge", workload=lease.name, lease=lease.id)


async def _release(call: Call) -> ASGIApp:
    await no_body(call)
    if call.caller.uid is None and call.caller.right is not Right.ADMIN:
        raise Problem(403, "this goes over the Unix socket, where the kernel tells who asks, or with an admin token")
    lease = _lease(call)
    await _change(call.service.workloads.release, lease.id, call.caller.name)
    return done(call, "release", workload=lease.name, lease=lease.id)


async def _change(do: Callable[..., None], identity: str, *more: Any) -> None:
    try:
        await asyncio.to_thread(do, identity, *more)
    except KeyError:
        raise _unknown(identity) from None
    except ActionRefused as error:
        raise Problem(409, str(error)) from None


_WAIT = Parameter(
    "wait",
    "duration",
    "Wait up to this long for its state, or what is asked of it, to change.",
    minimum=0,
    maximum=_MOST_SECONDS,
)


def endpoints() -> list[Endpoint]:
    """Return the routes."""
    post: dict[str, Any] = {"method": "POST", "unix_only": True}
    refused = (403, 408, 413)
    one = "/workloads/{id}"

    def change(path: str, handle: Callable[[Call], Awaitable[ASGIApp]], summary: str, **more: Any) -> Endpoint:
        return Endpoint(path, handle, summary, DONE, **{"owned": True, **more})

    return [
        Endpoint(
            "/workloads",
            _register,
            "Register a workload, to be told first when it must give way.",
            Lease,
            status=201,
            body=Registration.model_json_schema(),
            problems=(*refused, 409, 429, 503),
            description="The process must be the caller's own, unless an admin asks. A process that registers again"
            " under the same name keeps its id.",
            **post,
        ),
        Endpoint(
            "/workloads",
            _list,
            "The caller's registered workloads; all of them for admins.",
            {"workloads": list[Lease]},
        ),
        Endpoint(
            one,
            _show,
            "One registered workload, and what is asked of it.",
            Lease,
            parameters=(_WAIT,),
            problems=(403, 404, 503),
            owned=True,
        ),
        change(
            f"{one}/heartbeat",
            _heartbeat,
            "Say that it lives.",
            problems=(*refused, 404),
            **post,
        ),
        change(
            f"{one}/acknowledge",
            _acknowledge,
            "Say that it gives way, so that it is awaited for as long as it asked for.",
            problems=(*refused, 404, 409),
            body=Acknowledgement.model_json_schema(),
            **post,
        ),
        change(
            one,
            _release,
            "Let it go: it has given way, or needs not be told.",
            method="DELETE",
            problems=(*refused, 404),
        ),
    ]
