"""Routes that read the newest sample, or a past moment as if it were, and the daemon's own state."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from starlette.types import ASGIApp

from resourced.api.access import Right
from resourced.api.answers import Answer, to_json
from resourced.api.endpoint import Call, Endpoint, Handler, json_answer
from resourced.api.health import HEALTH
from resourced.api.openmetrics import sample_name
from resourced.api.parameters import Parameter
from resourced.api.problem import Problem
from resourced.api.resources import no_sample, verdict_of
from resourced.api.schema import object_schema
from resourced.api.service import StateView
from resourced.api.views import (
    ASCENDING,
    RESOURCES,
    SORTS,
    CatalogEntry,
    catalog_entry,
    section_view,
    sorted_processes,
)
from resourced.decision import Phase, Verdict
from resourced.metrics import CATALOGUE
from resourced.policy import Outlook
from resourced.snapshot import SECTIONS, Health, Snapshot

FRESH = Parameter("fresh", "boolean", "Take a new sample first; concurrent callers share one.", default=False)
WAIT = Parameter(
    "wait",
    "duration",
    "Wait up to this long for a sample later than `after` (by default: than the newest) before answering.",
    minimum=0,
    maximum=60,
)
AFTER = Parameter("after", "integer", "Sequence number of the last sample seen, for `wait`.", minimum=0, maximum=2**53)
SORT = Parameter("sort", "string", "Order of the list.", default="cpu", choices=(*SORTS, *ASCENDING))
LIMIT = Parameter("limit", "integer", "Longest list; all by default.", minimum=1, maximum=100000)
COMMAND_LINE = Parameter(
    "command_line", "boolean", "Add the command lines that the caller may see, read now, by process id.", default=False
)
AT = Parameter("at", "time", "A past moment as a whole: 03:12, 2h, RFC 3339, or seconds since the epoch.")
FULL = Parameter("full", "boolean", "All processes and cgroups, not only the largest.", default=False)


async def _state(call: Call, *, prune: bool = False) -> StateView:
    """Return the state to answer from, after what the caller asked to be done or waited for first."""
    values = call.values
    if values["fresh"]:
        return await call.service.fresh()
    state = call.service.state
    if values.get("wait") is not None:
        after = values["after"] if values["after"] is not None else (state.snapshot.sequence if state else 0)
        before = _firing(state)
        await call.context.hub.wait(
            values["wait"],
            lambda now: now.snapshot.sequence > after and (not prune or _firing(now) != before),
        )
        state = call.service.state
    if state is None:
        raise no_sample()
    return state


def _firing(state: StateView | None) -> Any:
    verdict = state.verdict if state else None
    rules = verdict.rules if verdict is not None else ()
    return bool(verdict), [(r.rule, r.instance) for r in rules if r.phase is Phase.FIRING]


def _encoded(name: str) -> Any:
    path = f"/resources/{name}" if name not in ("prune", "metrics") else f"/{name}"

    async def handle(call: Call) -> ASGIApp:
        if call.values.get("at") is not None:
            return json_answer(await call.ask(call.service.history.at, call.values["at"]))
        if "fresh" in call.values:
            state = await _state(call, prune=name == "prune")
            if call.values.get("full"):
                return call.context.encoded.answer(state, path, to_json(state.snapshot))
            if state is not call.service.state:  # a sample came while this one was fetched: answer what was asked for
                body = to_json(verdict_of(state)) if name == "prune" else to_json(section_or_all(state.snapshot, name))
                return call.context.encoded.answer(state, path, body)
        return call.context.encoded.newest(path)

    return handle


def section_or_all(snapshot: Snapshot, name: str) -> Any:
    """Return what a resource's path shows of a snapshot."""
    return snapshot if name == "all" else section_view(snapshot, RESOURCES[name])


async def _processes(call: Call) -> ASGIApp:
    values = call.values
    state = await _state(call)
    snapshot = state.snapshot
    processes = snapshot.processes
    if processes is not None:
        processes = sorted_processes(processes, values["sort"], values["limit"])
    view: dict[str, Any] = section_view(snapshot, "processes", processes)
    if not values["command_line"]:
        return call.context.encoded.answer(state, "/resources/processes", to_json(view))
    caller = call.caller
    pids = [
        process.pid
        for process in (processes.items if processes else ())
        if caller.right is Right.ADMIN or (caller.uid is not None and process.uid == caller.uid)
    ]
    lines = await call.service.command_lines(pids)
    view["command_lines"] = {str(pid): line for pid, line in lines.items()}
    return Answer(to_json(view), cache_control=b"no-store")


async def _healthz(call: Call) -> ASGIApp:
    return json_answer({"status": "ok", **await call.service.status()})


async def _readyz(call: Call) -> ASGIApp:
    ready, reason = call.service.ready()
    return json_answer({"ready": ready, "reason": reason}, status=200 if ready else 503)


async def _version(call: Call) -> ASGIApp:
    return json_answer({"name": "resourced", "version": call.service.version})


async def _catalog(call: Call) -> ASGIApp:
    del call
    entries = [catalog_entry(m, sample_name(m) if m.exposed else None) for m in CATALOGUE.values()]
    return Answer(to_json({"metrics": entries}), cache_control=b"max-age=3600")


async def _prune(call: Call) -> ASGIApp:
    given = {name: call.values[name] for name in _WHO if call.values[name] is not None}
    if not given:
        return await _VERDICT(call)
    if len(given) != 1:
        raise Problem(422, "give one of pid, unit and workload, not several", parameter=list(given)[1])
    found = call.service.outlook(**given)
    if found is None:
        [(name, value)] = given.items()
        raise Problem(404, f"there is no {name} {value!r}")
    return json_answer(found)


async def _openapi(call: Call) -> ASGIApp:
    return Answer(call.context.document(), cache_control=b"max-age=3600")


_PAGE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)


async def _docs(call: Call) -> ASGIApp:
    page = call.context.page()
    return Answer(page, media_type=b"text/html; charset=utf-8", cache_control=b"max-age=3600", headers=_PAGE_HEADERS)


def envelope(section: str, **more: Any) -> Mapping[str, Any]:
    """Return the fields of the answer that shows one section, by name."""
    kind = Snapshot.__annotations__[section]
    return {"sequence": int, "time": float, "monotonic_seconds": float, "collector": Health, section: kind, **more}


_OUTLOOK = {
    "type": "object",
    "description": "How one process, unit or workload would fare.",
    "required": [each.name for each in fields(Outlook)],
    "additionalProperties": False,
    "properties": {
        "prune": {"type": "boolean", "description": "Whether it would be pruned now."},
        "next": {"type": "boolean", "description": "Whether it would go first if some rule fired now."},
        "seconds_left": {
            "type": ["number", "null"],
            "description": "Time until some rule that would take it first may fire; null if none is approached.",
        },
        "protected": {"type": ["string", "null"], "description": "Why it may not be pruned by any rule."},
        "found": {"type": "boolean", "description": "Whether it exists."},
        "rules": {"type": "array", "items": {"type": "object"}, "description": "Every rule that prunes."},
    },
}
_VERDICT: Handler = _encoded("prune")
_WHO = ("pid", "unit", "workload")
_COMMON = (FRESH, WAIT, AFTER)
_MOMENT = {
    "type": "object",
    "description": "A recorded moment in the form of a snapshot, in which any value may be null.",
    "required": ["sequence", "time", "monotonic_seconds", *SECTIONS, "collectors"],
    "properties": {"time": {"type": "number", "description": "When it was, seconds since the epoch."}},
}
_READY = object_schema("Whether samples are fresh.", ready={"type": "boolean"}, reason={"type": "string"})
_TEXT = {"text/plain": {"schema": {"type": "string"}}}


def endpoints() -> list[Endpoint]:
    """Return the routes."""
    found = [
        Endpoint(
            f"/resources/{name}",
            _encoded(name),
            f"The section {section} of the newest sample.",
            envelope(section),
            parameters=_COMMON,
            problems=(503,),
            kept=True,
        )
        for name, section in RESOURCES.items()
        if name != "processes"
    ]
    optional = {"command_lines": dict[str, str | None]}
    found += [
        Endpoint(
            "/resources/processes",
            _processes,
            "All processes but kernel threads.",
            envelope("processes", optional=optional),
            parameters=(*_COMMON, SORT, LIMIT, COMMAND_LINE),
            problems=(503,),
            kept=True,
            description="Command lines are shown only to their owner, to root and to those who may change things.",
        ),
        Endpoint(
            "/resources/all",
            _encoded("all"),
            "The newest sample.",
            Snapshot,
            parameters=(*_COMMON, FULL, AT),
            problems=(503,),
            kept=True,
            description=(
                "Of processes and cgroups the 20 largest by processor use and by memory, unless `full` is set. With"
                " `at`, what was recorded at that moment or shortly before, in the same form; what was not is null."
            ),
            also={"application/json": _MOMENT},
        ),
        Endpoint(
            "/prune",
            _prune,
            "Should something be pruned, and why? Or: how would this one fare?",
            Verdict,
            parameters=(
                *_COMMON,
                Parameter("pid", "integer", "Process of which is asked how near it is.", minimum=1, maximum=2**31),
                Parameter("unit", "string", "systemd unit of which this is asked."),
                Parameter("workload", "string", "Registered workload of which this is asked."),
            ),
            problems=(404, 503),
            kept=True,
            description=(
                "With `wait`, the answer comes as soon as a rule begins or ceases to fire. With one of `pid`, `unit`"
                " and `workload`: how that one would fare if every rule fired now, with the margin to each threshold"
                " and the time left at the present slope."
            ),
            also={"application/json": _OUTLOOK},
        ),
    ]
    return found + _own()


def _own() -> list[Endpoint]:
    metrics = {"application/openmetrics-text": {"schema": {"type": "string"}}}
    version = object_schema("What runs.", name={"const": "resourced"}, version={"type": "string"})
    return [
        Endpoint(
            "/catalog", _catalog, "Every metric: name, unit, kind, meaning, source.", {"metrics": list[CatalogEntry]}
        ),
        Endpoint("/healthz", _healthz, "The daemon is alive, and how it does.", HEALTH),
        Endpoint("/readyz", _readyz, "Whether samples are fresh.", _READY, statuses={503: _READY}),
        Endpoint("/version", _version, "Which version runs.", version),
        Endpoint(
            "/metrics",
            _encoded("metrics"),
            "All metrics as OpenMetrics.",
            {"content": metrics},
            problems=(503,),
            kept=True,
        ),
        Endpoint("/openapi.json", _openapi, "This description.", {"type": "object"}),
        Endpoint("/docs", _docs, "This description for people.", {"content": {"text/html": _TEXT["text/plain"]}}),
    ]
