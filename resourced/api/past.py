"""Routes that read recorded values: series over time, who used most, and recordings to take away."""

import asyncio
from typing import BinaryIO

from starlette.types import ASGIApp, Receive, Scope, Send

from resourced.api.access import Right
from resourced.api.answers import SECURITY_HEADERS, Answer
from resourced.api.endpoint import Call, Endpoint, json_answer
from resourced.api.parameters import Parameter
from resourced.api.problem import Problem
from resourced.api.views import HistoryAnswer, TopAnswer, history_view, top_view
from resourced.metrics.selector import parse_selector

AGGREGATES = "mean, min, max, last, count, sum, rate, or a percentile such as p99"
_CSV, _ARROW = "text/csv", "application/vnd.apache.arrow.stream"
_SQLITE = "application/vnd.sqlite3"
_CHUNK = 1 << 16
_USUAL_SECONDS = 3600.0

START = Parameter("start", "time", "Begin: 8h for eight hours ago, 03:12, RFC 3339, or seconds since the epoch.")
END = Parameter("end", "time", "End, likewise; now by default.")


def _span(call: Call) -> tuple[float, float]:
    """Return first and last moment asked for; the last hour by default."""
    end = call.values["end"] if call.values["end"] is not None else call.service.now()
    start = call.values["start"] if call.values["start"] is not None else end - _USUAL_SECONDS
    if start >= end:
        raise Problem(422, "start must be before end", parameter="start")
    return start, end


async def _history(call: Call) -> ASGIApp:
    start, end = _span(call)
    for metric in call.values["metric"]:
        parse_selector(metric)
    return await call.ask(_answered, call, start, end)


def _answered(call: Call, start: float, end: float) -> ASGIApp:
    values = call.values
    step, aggregate = values["step"], values["aggregate"]
    table = call.service.history.query(
        values["metric"], start=start, end=end, step=step, points=values["points"], aggregate=aggregate
    )
    if values["format"] == "csv":
        return Answer(table.to_csv().encode(), media_type=b"text/csv; charset=utf-8; header=present")
    if values["format"] == "arrow":
        return Answer(table.to_arrow(), media_type=_ARROW.encode())
    return json_answer(history_view(table, start=start, end=end, step=step, aggregate=aggregate))


async def _top(call: Call) -> ASGIApp:
    values = call.values
    start, end = _span(call)
    found = await call.ask(
        call.service.history.top,
        values["of"],
        by=values["by"],
        start=start,
        end=end,
        order=values["order"],
        limit=values["limit"],
    )
    return json_answer(top_view(found, start=start, end=end))


async def _export(call: Call) -> ASGIApp:
    start, end = _span(call)
    if call.context.exporting.locked():
        raise Problem(
            503, "another recording is being made; ask again when it is", headers={"retry-after": "10"}, refusal=True
        )
    fields = {"caller": call.caller.name, "start": start, "end": end}
    call.service.audit("history_exported", fields)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        # Made one at a time, and for admins, it waits for no turn: whoever may only read can't delay it.
        async with call.context.exporting:
            with await asyncio.to_thread(call.service.history.recording, start, end) as file:
                await _send_file(file, scope, send)

    return answer


async def _send_file(file: BinaryIO, scope: Scope, send: Send) -> None:
    size = file.seek(0, 2)
    file.seek(0)
    headers = [
        (b"content-type", _SQLITE.encode()),
        (b"content-length", str(size).encode()),
        (b"content-disposition", b'attachment; filename="recording.resourced"'),
        (b"cache-control", b"no-store"),
        *SECURITY_HEADERS,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while scope["method"] != "HEAD" and (chunk := await asyncio.to_thread(file.read, _CHUNK)):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def endpoints() -> list[Endpoint]:
    """Return the routes."""
    text, binary = {"type": "string"}, {"type": "string", "format": "binary"}
    return [
        Endpoint(
            "/history",
            _history,
            "Values over time.",
            HistoryAnswer,
            parameters=(
                Parameter(
                    "metric",
                    "string",
                    'A series: a name or short name of the catalogue, or name{label="pattern"}; may be repeated.',
                    many=True,
                    required=True,
                ),
                START,
                END,
                Parameter("step", "duration", "Width of a cell.", minimum=0.001, maximum=31622400),
                Parameter("points", "integer", "Most cells; the step follows.", minimum=1, maximum=100000),
                Parameter(
                    "aggregate",
                    "string",
                    f"What becomes of a cell's samples: {AGGREGATES}.",
                    "mean",
                    pattern=r"mean|min|max|last|count|sum|rate|p(\d{1,2}(\.\d+)?|100)",
                    allowed=AGGREGATES,
                ),
                Parameter(
                    "format",
                    "string",
                    "Form of the answer; arrow needs pyarrow beside the daemon.",
                    "json",
                    choices=("json", "csv", "arrow"),
                ),
            ),
            problems=(503,),
            description=(
                "What would take too much is refused before it is read, with a sentence that says what to ask for"
                " instead: more than two million values in an answer, or some three seconds of a processor. Steps of"
                " whole minutes and hours take least."
            ),
            also={_CSV: text, _ARROW: binary},
        ),
        Endpoint(
            "/history/top",
            _top,
            "Who used most over a time.",
            TopAnswer,
            parameters=(
                Parameter(
                    "of",
                    "string",
                    "unit, slice, cgroup, process, command or user; or a label of the series in `by`.",
                    "unit",
                ),
                Parameter(
                    "by",
                    "string",
                    "cpu, memory, swap, io or gpu_memory; with a label, a series of the catalogue that has it.",
                    "memory",
                ),
                START,
                END,
                Parameter("order", "string", "What is compared.", "peak", choices=("peak", "mean", "last")),
                Parameter("limit", "integer", "Longest list.", 10, minimum=1, maximum=1000),
            ),
            problems=(503,),
        ),
        Endpoint(
            "/history/export",
            _export,
            "A recording of some time, to look at or replay elsewhere.",
            {"content": {_SQLITE: {"schema": binary}}},
            parameters=(START, END),
            right=Right.ADMIN,
            problems=(403, 503),
            description=(
                "Whole hours, the decisions and events, and who used most: names of programs, units and users are in"
                " it, command lines are not. `resourced run --replay` serves it, `resourcectl history import` keeps it."
            ),
        ),
    ]
