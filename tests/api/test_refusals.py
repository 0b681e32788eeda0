"""Refused callers: what they are told, what the journal hears of it, and that it can't be made to hear too much."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.api import ApiSettings, Limits
from resourced.api.answers import SECURITY_HEADERS
from resourced.api.refusals import ALL, EACH, INTERVAL_SECONDS, Refusals
from resourced.journal import EVENTS
from tests.api.fakes import FakeService
from tests.api.serving import Served, served

TOLD, MORE = "api_refused", "api_refused_more"


class Journal:
    """Lines, and a clock that a test moves."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.now = 100.0
        self.refusals = Refusals(lambda event, fields: self.lines.append((event, dict(fields))), lambda: self.now)

    def of(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.lines if name == event]


CALLERS = st.sampled_from(
    ["tcp 127.0.0.1", "uid 7 pid 1", "uid 7 pid 2", "token a", *(f"tcp 127.0.0.{n}" for n in "23456789")]
)
STEPS = st.tuples(CALLERS, st.sampled_from([400, 401, 431]), st.floats(0, 40))


@given(st.lists(STEPS, max_size=300))
async def test_every_refusal_is_told_or_counted_and_no_minute_hears_too_much(
    steps: list[tuple[str, int, float]],
) -> None:
    journal, moments = Journal(), []
    for caller, status, seconds in steps:
        journal.now += seconds if seconds > 20 else 0.0
        before = len(journal.of(TOLD))
        journal.refusals.note(caller, status, "because")
        moments += [journal.now] * (len(journal.of(TOLD)) - before)
    journal.refusals.close()

    assert len(journal.of(TOLD)) + sum(each["count"] for each in journal.of(MORE)) == len(steps)
    for first in moments:
        assert sum(first <= moment < first + INTERVAL_SECONDS for moment in moments) <= 2 * ALL


async def test_processes_of_one_user_count_together() -> None:
    journal = Journal()
    for pid in range(3 * EACH):
        journal.refusals.note(f"uid 7 pid {pid}", 403, "no", "POST", "/reload")
    journal.refusals.close()

    told = journal.of(TOLD)
    assert len(told) == EACH
    assert (told[0]["what"], told[0]["path"]) == ("POST /reload", "/reload")
    assert journal.of(MORE) == [{"caller": "uid 7", "status": 403, "count": 2 * EACH, "seconds": 0}]
    for event, fields in journal.lines:
        assert "?" not in EVENTS[event].message(fields)


async def test_many_callers_are_not_told_one_by_one_for_ever() -> None:
    journal = Journal()
    for number in range(5 * ALL):
        journal.refusals.note(f"tcp 127.0.1.{number}", 400, "no HTTP")
    journal.refusals.close()

    assert len(journal.of(TOLD)) == ALL
    assert [each["count"] for each in journal.of(MORE)] == [4 * ALL]


async def talk(port: int, *parts: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Return status, headers and body of the first answer to what is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
    head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    writer.transport.abort()
    return status.split()[1], headers, body


HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
ORIGIN = b"Origin: https://evil.example\r\nAccess-Control-Request-Method: DELETE\r\n\r\n"
REFUSED = [
    pytest.param([b"\x16\x03\x01\r\n\r\n"], b"400", id="no HTTP"),
    pytest.param([b"GET /version" + HOST], b"408", id="a head that does not end"),
    pytest.param([b"POST /reload" + HOST + b"Authorization: Bearer x\r\n\r\n"], b"401", id="an unknown token"),
    pytest.param([b"POST /reload" + HOST + b"\r\n"], b"401", id="no token"),
    pytest.param([b"GET /version HTTP/1.1\r\nHost: evil.example\r\n\r\n"], b"421", id="a strange host"),
    pytest.param([b"GET /version" + HOST + b"X: " + b"a" * 20000 + b"\r\n\r\n"], b"431", id="a large head at once"),
    pytest.param([b"GET /version" + HOST, *[b"X: " + b"a" * 1000 + b"\r\n"] * 17], b"431", id="a large head in parts"),
    pytest.param([b"GET /events" + HOST + b"\r\n"], b"503", id="one stream too many"),
    pytest.param([b"OPTIONS /version" + HOST + ORIGIN], b"400", id="a page that may not"),
]
MISTAKEN = [
    pytest.param([b"GET /nowhere" + HOST + b"\r\n"], b"404", id="no such path"),
    pytest.param([b"PUT /version" + HOST + b"\r\n"], b"405", id="a wrong method"),
    pytest.param([b"GET /version?x=1" + HOST + b"\r\n"], b"422", id="a wrong parameter"),
]
SETTINGS = ApiSettings(limits=Limits(streams=0, header_seconds=0.2), cors_origins=("https://dashboard.example",))


def check_headers(headers: dict[bytes, bytes]) -> None:
    lowered = {name.lower(): value for name, value in headers.items()}
    assert [name for name, value in SECURITY_HEADERS if lowered.get(name) != value] == []


@pytest.mark.parametrize(("parts", "wanted"), [*REFUSED, *MISTAKEN])
async def test_who_is_refused_gets_a_problem_and_the_security_headers(
    tmp_path: Path, parts: list[bytes], wanted: bytes
) -> None:
    async with served(tmp_path, settings=SETTINGS) as it:
        status, headers, body = await talk(it.port, *parts)

    assert status == wanted
    check_headers(headers)
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"cache-control"] == b"no-store"
    assert json.loads(body)["status"] == int(wanted)


@pytest.mark.parametrize(("parts", "wanted"), REFUSED[:-1])
async def test_the_journal_hears_of_the_refusal(tmp_path: Path, parts: list[bytes], wanted: bytes) -> None:
    async with served(tmp_path, settings=SETTINGS) as it:
        await talk(it.port, *parts)
        [[event, fields]] = it.service.audited

    assert (event, fields["status"], fields["caller"]) == (TOLD, int(wanted), "tcp 127.0.0.1")
    assert fields["reason"]
    assert EVENTS[event].message(fields).startswith("tcp 127.0.0.1 was refused ")


async def test_mistakes_are_told_to_who_makes_them_only(tmp_path: Path) -> None:
    async with served(tmp_path, settings=SETTINGS) as it:
        for request in (b"GET /nowhere", b"PUT /version", b"GET /version?x=1"):
            status, _, _ = await talk(it.port, request + HOST + b"\r\n")
            assert status in (b"404", b"405", b"422")
        assert it.service.audited == []


ANSWERED = [
    b"GET /resources/all" + HOST + b"\r\n",
    b"GET /resources/all" + HOST + b"If-None-Match: *\r\n\r\n",
    b"GET /resources/cpu?fresh=0" + HOST + b"\r\n",
    b"HEAD /version" + HOST + b"\r\n",
    b"OPTIONS /version" + HOST + b"\r\n",
    b"GET /events" + HOST + b"\r\n",
    b"OPTIONS /version" + HOST + ORIGIN.replace(b"evil", b"dashboard").replace(b"DELETE", b"GET"),
]


@pytest.mark.parametrize("request_", ANSWERED)
async def test_answers_and_streams_have_the_security_headers(tmp_path: Path, request_: bytes) -> None:
    async with served(tmp_path, settings=ApiSettings(cors_origins=SETTINGS.cors_origins)) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        writer.write(request_)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n").split(b"\r\n")
        writer.transport.abort()

    assert status.split()[1] in (b"200", b"204", b"304")
    check_headers(dict(line.split(b": ", 1) for line in lines))


class Listening(FakeService):
    """Says when something is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = asyncio.Event()

    def audit(self, event: str, fields: Mapping[str, Any]) -> None:
        super().audit(event, fields)
        self.heard.set()


async def test_who_does_not_read_his_answers_is_cut_off(tmp_path: Path) -> None:
    service = Listening()
    settings = ApiSettings(limits=Limits(answer_seconds=0.1))
    async with asyncio.timeout(20), served(tmp_path, service, settings) as it:
        reader, writer = await asyncio.open_unix_connection(str(it.path), limit=4096)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # every transport of a socket has it
        writer.write(ANSWERED[0] * 100)
        await service.heard.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]  # likewise
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
        writer.transport.abort()

    [[event, fields]] = service.audited
    assert (event, fields["status"], fields["reason"]) == (TOLD, 408, "the answer was not read within 0.1 seconds")


async def test_who_makes_room_is_written_down(tmp_path: Path) -> None:
    async with served(tmp_path, settings=ApiSettings(limits=Limits(connections=4))) as it:
        await _crowd(it)
        [line, *more] = [fields for event, fields in it.service.audited if event == TOLD]

    assert (line["status"], line["what"]) == (503, "a request")
    assert "more than 4 connections" in line["reason"]
    assert len(more) < EACH


async def _crowd(it: Served) -> None:
    idle = [await asyncio.open_unix_connection(str(it.path)) for _ in range(30)]
    async with it.unix() as client:
        assert (await client.get("/version")).status_code == 200
    for _, writer in idle:
        writer.transport.abort()


def test_a_service_that_is_asked_by_nobody_says_nothing() -> None:
    service = FakeService()
    refusals = Refusals(service.audit)
    refusals.close()

    assert service.audited == []
