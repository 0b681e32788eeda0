"""Routes that read what was decided and what happened, and the stream of what happens."""

from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from resourced.api.endpoint import Call, Endpoint, json_answer
from resourced.api.events import KINDS, LATE_SECONDS, USUAL, Event, Stream, record_event, resume_time
from resourced.api.parameters import Parameter
from resourced.api.problem import Problem
from resourced.decision import Decision, LoggedEvent, Outcome
from resourced.journal import Priority

_REPLAYED = 1000
_RECORDED = {"decision", "outcome", "event"}

_SINCE = Parameter("since", "time", "Only later ones: 8h for eight hours ago, 03:12, RFC 3339, or seconds since 1970.")
_LAST_EVENT = Parameter("Last-Event-ID", "string", "Id of the last event that was seen.")
_UNTIL = Parameter("until", "time", "Only earlier ones, likewise.")
_LIMIT = Parameter("limit", "integer", "Longest list.", default=100, minimum=1, maximum=10000)


@dataclass(frozen=True, slots=True)
class DecisionAnswer:
    """One decision with what came of it."""

    decision: Decision
    """The decision."""
    outcomes: tuple[Outcome, ...]
    """What was done about it, oldest first."""


async def _decisions(call: Call) -> ASGIApp:
    return await call.ask(lambda: json_answer({"decisions": call.service.history.decisions(**call.values)}))


async def _decision(call: Call) -> ASGIApp:
    identity = call.request.path_params["id"]
    history = call.service.history

    def answered() -> ASGIApp:
        found = history.decision(identity)
        if found is None:
            raise no_decision(identity)
        return json_answer(DecisionAnswer(found, tuple(history.outcomes(identity))))

    return await call.ask(answered)


def no_decision(identity: str) -> Problem:
    """Return the problem that a decision isn't recorded."""
    return Problem(404, f"no decision {identity[:40]!r} is recorded; /decisions lists them")


async def _logged(call: Call) -> ASGIApp:
    return await call.ask(lambda: json_answer({"events": call.service.history.events(**call.values)}))


async def _events(call: Call) -> ASGIApp:
    kinds = frozenset(call.values["kind"] or USUAL)
    last = call.request.headers.get("last-event-id")
    since = resume_time(last) if last else call.values["since"]

    async def missed() -> list[Event]:
        if since is None or not kinds & _RECORDED:
            return []  # a workload that waits to be told depends on no question
        return await call.ask(_past, call, since, last, kinds)

    state, now = call.request.scope.get("state", {}), call.service.now()
    begin = now if since is None else min(since, now)
    stream = Stream(kinds, call.caller, state.get("abort"), None if last else begin)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await call.context.hub.serve(stream, scope, receive, send, missed)

    return answer


def _past(call: Call, since: float, last: str | None, kinds: frozenset[str]) -> list[Event]:
    """Return the recorded events from a moment on, oldest first, without the one that the reader saw last."""
    history = call.service.history
    since -= 1e-6  # ids hold microseconds: what happened at that very moment is compared by id
    items: list[Any] = []
    if "decision" in kinds:
        items += history.decisions(since=since, limit=_REPLAYED)
    if "outcome" in kinds:
        items += history.outcomes_since(since, _REPLAYED)
    if "event" in kinds:  # what is only kept for replay, as who the policy knew, was not told to anybody either
        kept = history.events(since=since, limit=_REPLAYED)
        items += [each for each in kept if each.priority <= Priority.WARNING]
    events = sorted((record_event(item) for item in items), key=lambda event: event.time)
    return [event for event in events if event.id != last]


def endpoints() -> list[Endpoint]:
    """Return the routes."""
    return [
        Endpoint(
            "/decisions",
            _decisions,
            "Recorded decisions, newest first.",
            {"decisions": list[Decision]},
            parameters=(
                _SINCE,
                _UNTIL,
                Parameter("rule", "string", "Only those of one rule."),
                Parameter("unit", "string", "Only those whose target is of one unit."),
                Parameter("user", "string", "Only those whose target is of one user (id or name)."),
                _LIMIT,
            ),
            problems=(503,),
        ),
        Endpoint("/decisions/{id}", _decision, "One decision, complete.", DecisionAnswer, problems=(404, 503)),
        Endpoint(
            "/events/log",
            _logged,
            "Recorded events of the journal, newest first.",
            {"events": list[LoggedEvent]},
            parameters=(_SINCE, _UNTIL, _LIMIT),
            problems=(503,),
        ),
        Endpoint(
            "/events",
            _events,
            "What happens, as server-sent events.",
            {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
            parameters=(
                Parameter("kind", "string", "Kinds wanted; all but sample by default.", choices=KINDS, many=True),
                _SINCE,
            ),
            headers=(_LAST_EVENT,),
            problems=(503,),
            description=(
                "A stream begins with the id of its own moment. Resume with the Last-Event-ID header: decisions,"
                f" outcomes and logged events that were recorded since come first, the newest {_REPLAYED} of each. What"
                f" happened in the {LATE_SECONDS:.0f} seconds before the last event may come again, with the same id."
                " What rules, collectors and workloads did meanwhile is not recorded. A reader who is too slow is cut"
                " off. Where nothing is told, a comment is a sign of life; the header Heartbeat-Seconds says how often."
            ),
        ),
    ]
