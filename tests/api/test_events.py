import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from resourced.api import ApiSettings, Limits, create_app
from resourced.api.access import Caller, Right
from resourced.api.events import Stream, changes, make_event, record_event
from resourced.decision import LoggedEvent, Outcome, Phase, Step
from resourced.snapshot import Health
from tests.api.fakes import TIME, FakeService, FakeState, make_decision, make_snapshot, make_verdict
from tests.api.serving import Served, served

NOW = f"{TIME + 1000:.6f}"


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as found:
        yield found


async def past(on: Served, last: str, *kinds: str) -> list[tuple[str, Any]]:
    """Return kind and data of what is told after a break, up to the first that happens."""
    found: list[tuple[str, Any]] = []
    headers, asked = {"last-event-id": last}, {"kind": [*(kinds or ("decision", "outcome", "event")), "sample"]}
    async with on.unix() as client, client.stream("GET", "/events", headers=headers, params=asked) as answer:
        on.service.publish()
        kind = ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if (name, value) == ("event", "sample"):
                break
            kind = value if name == "event" else kind
            found += [(kind, json.loads(value))] if name == "data" else []
    return found


async def read(lines: AsyncIterator[str], kind: str) -> dict[str, str]:
    """Return the fields of the next event of a kind."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields.get("event") == kind:
            return fields
        else:
            fields = {}
    raise AssertionError("the stream ended")


async def test_rules_decisions_and_collectors_are_told(on: Served) -> None:
    async with on.unix() as client, client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == ["retry: 2000", f"id: {NOW}", ""]
        on.service.publish(Phase.FIRING)
        assert '"phase":"firing"' in (await read(lines, "rule"))["data"]
        on.service.record(make_decision(9))
        assert f"{9:020x}" in (await read(lines, "decision"))["data"]
        on.service.publish(collectors={"cpu": Health(status="stale", reason="late")})
        assert '"collector":"cpu"' in (await read(lines, "collector"))["data"]


async def test_samples_come_on_request_only(on: Served) -> None:
    async with on.tcp() as client, client.stream("GET", "/events?kind=sample") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        on.service.publish(Phase.FIRING)
        assert '"sequence":2' in (await read(lines, "sample"))["data"]


async def test_a_stream_resumes_after_the_last_event_seen(on: Served) -> None:
    async with on.unix() as client:
        async with client.stream("GET", "/events?since=0") as answer:
            first = await read(answer.aiter_lines(), "decision")
        async with client.stream("GET", "/events", headers={"last-event-id": first["id"]}) as answer:
            second = await read(answer.aiter_lines(), "decision")
        assert f"{1:020x}" in first["data"]
        assert f"{2:020x}" in second["data"]
        assert (await client.get("/events", headers={"last-event-id": "x"})).status_code == 422


async def test_a_stream_that_told_nothing_yet_is_resumed_from_its_beginning(on: Served) -> None:
    async with on.unix() as client:
        async with client.stream("GET", "/events") as answer:
            lines = answer.aiter_lines()
            _, begun = await anext(lines), await anext(lines)
        on.service.record(make_decision(1001))
        position = begun.removeprefix("id: ")
        for headers in ({"last-event-id": position},) * 2:  # and again, while it still told nothing
            async with client.stream("GET", "/events", headers=headers) as answer:
                lines = answer.aiter_lines()
                assert [await anext(lines), await anext(lines)] == ["retry: 2000", ""]  # it knows its position
                assert f"{1001:020x}" in (await read(lines, "decision"))["data"]


async def test_a_stream_from_a_past_moment_begins_with_that_moment(on: Served) -> None:
    for since, begun in ((f"{TIME + 1:.0f}", f"{TIME + 1:.6f}"), (f"{TIME + 5000:.0f}", NOW)):
        async with on.unix() as client, client.stream("GET", f"/events?since={since}") as answer:
            lines = answer.aiter_lines()
            assert [await anext(lines), await anext(lines)] == ["retry: 2000", f"id: {begun}"]


async def test_what_came_of_a_decision_that_is_long_past_is_told_after_a_break(on: Served) -> None:
    late = Outcome(make_decision(1).id, TIME + 900, Step.FREEZE, "undone", "hog")
    on.service.history.done[late.decision_id].append(late)

    found = await past(on, f"{TIME + 800:.6f}")

    assert [(kind, data["result"]) for kind, data in found] == [("outcome", "undone")]


async def test_what_was_told_after_its_time_is_told_after_a_break(on: Served) -> None:
    seen = record_event(make_decision(960))
    for decision in (make_decision(899), make_decision(901), make_decision(960), make_decision(961)):
        on.service.record(decision)

    assert seen.id is not None
    found = await past(on, seen.id)

    assert [data["time"] - TIME for _, data in found] == [901, 961]


async def test_a_break_is_filled_with_what_a_stream_would_have_told(on: Served) -> None:
    for name, priority in (("policy_surroundings", 6), ("collector_stale", 4)):
        on.service.record(LoggedEvent(TIME + 900, name, priority, "Text.", {}))
    on.service.record(make_decision(901))

    assert [kind for kind, _ in await past(on, f"{TIME + 899}", "decision", "event")] == ["event", "decision"]
    [[_, data]] = await past(on, f"{TIME + 899}", "event")
    assert data["event"] == "collector_stale"


async def test_only_so_many_streams_are_served(tmp_path: Path) -> None:
    settings = ApiSettings(limits=Limits(streams=1))
    async with served(tmp_path, settings=settings) as s, s.unix() as client, client.stream("GET", "/events") as first:
        assert first.status_code == 200
        second = await client.get("/events")
        assert (second.status_code, second.headers["retry-after"]) == (503, "5")


async def test_a_stream_that_tells_nothing_shows_signs_of_life_as_often_as_it_says(tmp_path: Path) -> None:
    settings = ApiSettings(limits=Limits(heartbeat_seconds=0.01))
    async with served(tmp_path, settings=settings) as s, s.unix() as client, client.stream("GET", "/events") as answer:
        assert answer.headers["heartbeat-seconds"] == "0.01"
        lines = answer.aiter_lines()
        told = [await anext(lines) for _ in range(7)]
    assert told[2:] == ["", ": still here", "", ": still here", ""]


async def test_the_place_of_a_reader_who_has_asked_more_and_left_is_free(tmp_path: Path) -> None:
    get = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    settings = ApiSettings(limits=Limits(streams=1))
    async with asyncio.timeout(20), served(tmp_path, settings=settings) as s, s.unix() as client:
        reader, writer = await asyncio.open_unix_connection(s.path)
        writer.write(get % b"/version" + get % b"/events" + get % b"/version" + get % b"/version")
        await reader.readuntil(b"retry: 2000")
        writer.transport.abort()
        while s.app.hub._streams:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        async with client.stream("GET", "/events") as answer:
            assert answer.status_code == 200


async def test_a_slow_reader_is_cut_off() -> None:
    cut: list[bool] = []
    stream = Stream(frozenset({"decision"}), Caller("tcp 127.0.0.1", Right.READ), lambda: cut.append(True))
    event = make_event("decision", 1.0, {})
    assert all(stream.put(event) for _ in range(256))
    assert not stream.put(event)
    assert cut == [True]
    assert stream.queue.get_nowait() is None


async def test_waiting_ends_with_the_next_sample() -> None:
    service = FakeService()
    app = create_app(service)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        app.hub.attach()
        waiting = asyncio.create_task(client.get("/resources/cpu?wait=20"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        service.publish()
        assert (await waiting).json()["sequence"] == 2
        assert (await client.get("/resources/cpu?wait=20&after=1")).json()["sequence"] == 2
        assert (await client.get("/resources/cpu?wait=0.01")).json()["sequence"] == 2
        waiting = asyncio.create_task(client.get("/prune?wait=20"))
        for _ in range(20):
            await asyncio.sleep(0)
        service.publish()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        service.publish(Phase.FIRING)
        assert (await waiting).json()["prune"] is True


async def test_stopping_ends_streams(tmp_path: Path) -> None:
    async with served(tmp_path) as s, s.unix() as client, client.stream("GET", "/events") as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(3)][-1] == ""
        s.server.stop()
        assert [line async for line in lines if line] == []


def test_changes_are_what_differs() -> None:
    one = FakeState(make_snapshot(1), make_verdict(1))
    other = FakeState(make_snapshot(2), make_verdict(2, Phase.PENDING))
    assert [kind for kind, _ in changes(one, other)] == ["rule"]
    assert changes(one, one) == []
    assert changes(None, one) == []


def test_no_reader_takes_a_name_for_the_end_of_a_line() -> None:
    event = LoggedEvent(TIME, "x", 4, "x\x85id:9\u2028id:9\u2029id:9 ä€", {})

    text = make_event("event", TIME, event).text.decode()

    kind, data, blank = text.splitlines()
    assert (kind, blank) == ("event: event", "")
    assert json.loads(data.removeprefix("data: "))["message"] == event.message
    assert "ä€" in data


async def test_what_came_together_is_one_write() -> None:
    stream = Stream(frozenset({"sample", "rule"}), Caller("uid 0 pid 1", Right.ADMIN, 0), None)
    texts = create_app(FakeService()).hub.follow(stream, [])
    assert await anext(texts) == b"retry: 2000\n\n"  # of one that goes on with an earlier one
    for kind in ("sample", "decision", "rule"):
        stream.put(make_event(kind, 1.0, {}))
    stream.end()

    assert await anext(texts) == b"event: sample\ndata: {}\n\nevent: rule\ndata: {}\n\n"
    with pytest.raises(StopAsyncIteration):
        await anext(texts)


async def test_a_reader_who_does_not_read_is_cut_off(on: Served) -> None:
    reader, writer = await asyncio.open_unix_connection(str(on.path), limit=4096)
    writer.write(b"GET /events?kind=event HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # every transport of a socket has it
    event = LoggedEvent(TIME, "collector_stale", 4, "x" * 50_000, {})
    for _ in range(5000):
        on.service.record(event)
        await asyncio.sleep(0)
        if on.service.audited:
            break
    writer.transport.resume_reading()  # type: ignore[attr-defined]  # likewise

    [[told, fields]] = on.service.audited
    assert (told, fields["reason"]) == ("api_stream_dropped", "the reader was 256 events behind")
    with contextlib.suppress(ConnectionResetError):
        while await reader.read(1 << 20):
            pass
    writer.close()
    async with on.unix() as client:
        assert (await client.get("/version")).status_code == 200
