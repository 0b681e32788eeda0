"""The routes of registered workloads: what is taken, what is refused and how, and who sees what."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from resourced.api import ApiSettings
from resourced.api.access import AccessSettings, Caller, Right, Token, may_see
from resourced.api.events import Stream, record_event
from resourced.decision import LoggedEvent
from resourced.errors import ActionFailed, ActionRefused, NotYours, TargetGone, TooMany
from resourced.workloads import Applicant, Cover, LeaseChange, State, Tell, Wish
from tests.api.fakes import TIME, make_lease
from tests.api.serving import Served, served

ID = make_lease().id
SECRET = b"a-token-of-this-test"


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as found:
        yield found


async def register(on: Served, body: Any) -> httpx.Response:
    async with on.unix() as client:
        return await client.post("/workloads", json=body)


async def test_a_workload_registers_with_what_it_says_and_with_who_it_is(on: Served) -> None:
    said = {
        "name": "träning 7",
        "pid": 99,
        "scope": "unit",
        "priority": -5,
        "tell": "signal",
        "signal": "SIGRTMIN+3",
        "grace_seconds": 45,
        "restartable": True,
        "heartbeat_seconds": 20,
    }
    answer = await register(on, said)

    assert (answer.status_code, answer.json()["name"]) == (201, "träning 7")
    [(_, wish, applicant)] = on.service.workloads.asked
    assert wish == Wish("träning 7", 99, Cover.UNIT, -5.0, Tell.SIGNAL, "SIGRTMIN+3", 45.0, True, 20.0)  # noqa: FBT003 - as it is said
    assert applicant == Applicant(os.getpid(), os.getuid(), admin=True)
    [(event, fields)] = on.service.audited
    assert (event, fields["change"], fields["workload"]) == ("api_changed", "register", "träning 7")


async def test_nothing_has_to_be_said(on: Served) -> None:
    async with on.unix() as client:
        assert (await client.post("/workloads")).status_code == 201
    assert on.service.workloads.asked[0][1] == Wish()


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"nam": "x"}, "nam"),
        ({"name": ""}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "a\x1b[2J"}, "name"),
        ({"name": 7}, "name"),
        ({"pid": 0}, "pid"),
        ({"pid": "7"}, "pid"),
        ({"pid": True}, "pid"),
        ({"scope": "slice"}, "scope"),
        ({"priority": 1001}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"tell": "mail"}, "tell"),
        ({"signal": "SIGUSR1"}, "signal"),
        ({"tell": "signal", "signal": "SIGKILL"}, "signal"),
        ({"tell": "signal", "signal": 9}, "signal"),
        ({"grace_seconds": -1}, "grace_seconds"),
        ({"grace_seconds": 3601}, "grace_seconds"),
        ({"heartbeat_seconds": 0.5}, "heartbeat_seconds"),
        ({"restartable": "yes"}, "restartable"),
        ([], "body"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(on: Served, body: Any, parameter: str) -> None:
    answer = await register(on, body)

    assert (answer.status_code, answer.json()["parameter"]) == (422, parameter)
    assert on.service.workloads.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotYours("somebody else's"), 403),
        (TargetGone("no such process"), 422),
        (ActionRefused("no unit"), 409),
        (ActionFailed("no room for a file"), 503),
        (TooMany("100", own=True), 429),
        (TooMany("1000", own=False), 503),
    ],
)
async def test_why_it_is_not_registered_is_told(on: Served, error: Exception, status: int) -> None:
    on.service.workloads.error = error
    answer = await register(on, {})

    assert (answer.status_code, answer.json()["detail"]) == (status, str(error))


async def test_it_says_that_it_lives_gives_way_and_goes(on: Served) -> None:
    async with on.unix() as client:
        for method, path, body in (
            ("POST", f"/workloads/{ID}/heartbeat", None),
            ("POST", f"/workloads/{ID}/acknowledge", {}),
            ("POST", f"/workloads/{ID}/acknowledge", {"decision": "d1"}),
            ("DELETE", f"/workloads/{ID}", None),
        ):
            answer = await client.request(method, path, json=body)
            assert (answer.status_code, answer.json()) == (200, {"done": True})
    asked = on.service.workloads.asked
    assert asked[:3] == [("heartbeat", ID), ("acknowledge", ID, None), ("acknowledge", ID, "d1")]
    assert asked[3][:2] == ("release", ID)
    assert [fields["change"] for _, fields in on.service.audited] == ["acknowledge", "acknowledge", "release"]


async def test_what_is_not_registered_is_told(on: Served) -> None:
    async with on.unix() as client:
        for method, path in (
            ("GET", "/workloads/w-0"),
            ("DELETE", "/workloads/w-0"),
            ("POST", "/workloads/w-0/heartbeat"),
            ("POST", "/workloads/w-0/acknowledge"),
        ):
            assert (await client.request(method, path)).status_code == 404
        on.service.workloads.error = KeyError("gone between two looks")
        assert (await client.post(f"/workloads/{ID}/heartbeat")).status_code == 404
        on.service.workloads.error = ActionRefused("nothing is asked")
        assert (await client.post(f"/workloads/{ID}/acknowledge")).status_code == 409
        assert (await client.post(f"/workloads/{ID}/acknowledge", json={"decison": "d"})).status_code == 422


async def test_over_tcp_nothing_is_changed_and_nobody_is_seen(on: Served) -> None:
    async with on.tcp() as client:
        assert (await client.get("/workloads")).json() == {"workloads": []}
        for method, path in (
            ("GET", f"/workloads/{ID}"),
            ("POST", "/workloads"),
            ("POST", f"/workloads/{ID}/heartbeat"),
            ("POST", f"/workloads/{ID}/acknowledge"),
            ("DELETE", f"/workloads/{ID}"),
        ):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
        assert "Unix socket" in (await client.post("/workloads")).json()["detail"]
    assert on.service.workloads.asked == []


async def test_admins_see_all_of_them(on: Served) -> None:
    async with on.unix() as client:
        assert len((await client.get("/workloads")).json()["workloads"]) == 2


async def test_who_waits_is_answered_as_soon_as_something_is_asked(on: Served) -> None:
    held = on.service.workloads.held
    held[ID] = replace(held[ID], state=State.REGISTERED, request=None)
    async with on.unix() as client:
        on.service.workloads.looked.clear()
        waiting = asyncio.create_task(client.get(f"/workloads/{ID}?wait=30"))
        await on.service.workloads.looked.wait()  # and then it waits, without a pause between
        held[ID] = replace(make_lease(), state=State.TOLD)
        on.service.record(LeaseChange("told", "memory is low", held[ID]))
        answer = (await waiting).json()
        assert (answer["state"], answer["request"]["steps"]) == ("told", ["terminate", "kill"])

        assert (await client.get(f"/workloads/{ID}?wait=0.01")).json()["state"] == "told"
        assert (await client.get(f"/workloads/{ID}?wait=61")).status_code == 422

        on.service.workloads.looked.clear()
        waiting = asyncio.create_task(client.get(f"/workloads/{ID}?wait=30"))
        await on.service.workloads.looked.wait()  # and then it waits, without a pause between
        on.service.record(LeaseChange("released", "its process has ended", held.pop(ID)))
        assert (await waiting).status_code == 404


async def test_what_happens_to_workloads_is_streamed(on: Served) -> None:
    async with on.unix() as client, client.stream("GET", "/events?kind=workload") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        on.service.record(LeaseChange("told", "memory is low", make_lease()))
        text = [line async for line in until(lines, "memory is low")]
    assert text[-2] == "event: workload"
    data = json.loads(text[-1].removeprefix("data: "))
    assert (data["change"], data["reason"], data["workload"]["id"]) == ("told", "memory is low", ID)


@pytest.mark.parametrize(
    ("caller", "sees"),
    [
        (Caller("uid 65534 pid 1", Right.READ, 65534, 1), True),
        (Caller("uid 1000 pid 1", Right.READ, 1000, 1), False),
        (Caller("uid 0 pid 1", Right.ADMIN, 0, 1), True),
        (Caller("tcp 127.0.0.1", Right.READ), False),
        (Caller("token ops", Right.ADMIN), True),
    ],
)
def test_only_its_owner_and_admins_hear_of_a_workload(caller: Caller, *, sees: bool) -> None:
    stream = Stream(frozenset({"workload"}), caller, None)
    stream.put(record_event(LeaseChange("told", None, make_lease())))

    assert stream.queue.empty() is not sees
    assert may_see(caller, 65534) is sees


async def test_a_stream_shows_no_more_than_its_token_may_see_by_now(tmp_path: Path) -> None:
    def access(right: Right) -> AccessSettings:
        return AccessSettings(tokens=(Token("ops", right, hashlib.sha256(SECRET).digest()),))

    head = {"authorization": f"Bearer {SECRET.decode()}"}
    settings = ApiSettings(access=access(Right.ADMIN))
    async with (
        served(tmp_path, settings=settings) as on,
        on.tcp() as client,
        client.stream("GET", "/events?kind=workload&kind=event", headers=head) as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)
        on.service.record(LeaseChange("told", None, make_lease()))
        before = [line async for line in until(lines, "told")]
        on.app.set_access(access(Right.READ))
        on.service.record(LeaseChange("withdrawn", None, make_lease()))
        on.service.record(LoggedEvent(TIME, "api_fault", 3, "the last"))
        after = [line async for line in until(lines, "the last")]
    assert "event: workload" in before
    assert [line for line in after if line.startswith("event:")] == ["event: event"]


async def until(lines: AsyncIterator[str], last: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if last in line:
            return
