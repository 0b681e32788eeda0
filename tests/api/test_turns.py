"""Slow questions to the history: how many are answered, how many wait, and that nothing else waits for them."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from resourced.api import ApiSettings, Limits
from tests.api.fakes import FakeHistory, FakeService, FakeTable, make_decision, make_lease
from tests.api.serving import Served, served

QUESTION = "/history?metric=memory.used&points="


class SlowHistory(FakeHistory):
    """Answers questions about values when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[int] = []
        self.go_on = threading.Event()

    def query(self, metrics: Sequence[str], **asked: Any) -> FakeTable:
        self.begun.append(asked["points"])
        assert self.go_on.wait(50)
        return super().query(metrics, **asked)


class Busy:
    """A server with a slow history."""

    def __init__(self, on: Served, history: SlowHistory) -> None:
        self.on = on
        self.history = history
        self.answers: list[asyncio.Task[httpx.Response]] = []

    async def ask(self, client: httpx.AsyncClient, count: int, begun: int) -> None:
        """Ask so many questions; return when so many are being answered and all others wait."""
        numbers = range(len(self.answers) + 1, len(self.answers) + count + 1)
        self.answers += [asyncio.create_task(client.get(f"{QUESTION}{number}")) for number in numbers]
        await self.until(begun, len(self.answers) - begun)

    async def until(self, begun: int, waiting: int) -> None:
        while (len(self.history.begun), self.on.app.context.turns._waiting) != (begun, waiting):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def busy(directory: Path, **limits: int) -> AsyncIterator[Busy]:
    service = FakeService()
    service.history = history = SlowHistory()
    settings = ApiSettings(limits=Limits(**limits))
    async with asyncio.timeout(40), served(directory, service, settings) as on:
        found = Busy(on, history)
        try:
            yield found
        finally:
            history.go_on.set()
            await asyncio.gather(*found.answers, return_exceptions=True)


LEASE, DECISION = make_lease().id, make_decision(1).id
CHANGES = [
    ("POST", "/workloads"),
    ("POST", f"/workloads/{LEASE}/acknowledge"),
    ("POST", f"/workloads/{LEASE}/heartbeat"),
    ("DELETE", f"/workloads/{LEASE}"),
    ("POST", f"/decisions/{DECISION}/approve"),
    ("POST", f"/decisions/{DECISION}/veto"),
    ("POST", f"/decisions/{DECISION}/thaw"),
    ("POST", "/reload"),
    ("GET", "/config"),
    ("GET", "/healthz"),
    ("GET", "/resources/processes?command_line=1"),
    ("GET", "/history/export"),
]


async def test_what_changes_something_is_answered_at_once_beside_as_many_slow_questions_as_are_taken(
    tmp_path: Path,
) -> None:
    async with busy(tmp_path) as it, it.on.tcp() as anonymous, it.on.unix() as client:
        await it.ask(anonymous, 34, 2)
        for method, path in CHANGES:
            assert (await client.request(method, path)).status_code in (200, 201), path
        assert ("acknowledge", LEASE, None) in it.on.service.workloads.asked

        it.history.go_on.set()
        assert {(await each).status_code for each in it.answers} == {200}


async def test_one_question_too_many_is_refused_and_written_down(tmp_path: Path) -> None:
    async with busy(tmp_path, query_threads=1, questions=2) as it, it.on.tcp() as client:
        await it.ask(client, 3, 1)
        refused = await client.get(f"{QUESTION}9")
        it.history.go_on.set()
        assert {(await each).status_code for each in it.answers} == {200}

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.headers["content-type"] == "application/problem+json"
    assert "2 questions to the history wait already" in refused.json()["detail"]
    [[event, fields]] = it.on.service.audited
    assert (event, fields["status"], fields["path"]) == ("api_refused", 503, "/history")
    assert it.history.begun == [1, 2, 3]


@pytest.mark.parametrize(
    "path",
    [
        "/history?metric=memory.used",
        "/history/top",
        "/decisions",
        f"/decisions/{DECISION}",
        "/events/log",
        "/events?since=1h",
        "/resources/all?at=1min",
    ],
)
async def test_every_question_takes_its_turn(tmp_path: Path, path: str) -> None:
    async with busy(tmp_path, query_threads=1, questions=0) as it, it.on.unix() as client:
        await it.ask(client, 1, 1)
        refused = await client.get(path)
        document = (await client.get("/openapi.json")).json()

    assert refused.status_code == 503
    assert "503" in document["paths"][path.partition("?")[0].replace(DECISION, "{id}")]["get"]["responses"]


async def test_a_workload_that_listens_again_waits_for_no_question(tmp_path: Path) -> None:
    async with busy(tmp_path, query_threads=1, questions=0) as it, it.on.unix() as client:
        await it.ask(client, 1, 1)
        head = {"last-event-id": "1750000000.000000-00000000"}
        async with client.stream("GET", "/events?kind=workload", headers=head) as answer:
            assert answer.status_code == 200


@pytest.mark.parametrize("busy_before", [False, True], ids=["at once", "after waiting"])
async def test_who_closes_his_side_after_asking_is_no_fault(tmp_path: Path, *, busy_before: bool) -> None:
    async with busy(tmp_path, query_threads=1, questions=3) as it, it.on.tcp() as client:
        if busy_before:
            await it.ask(client, 1, 1)
        reader, writer = await asyncio.open_unix_connection(it.on.path)
        writer.write(f"GET {QUESTION}9 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        writer.write_eof()
        if busy_before:
            await it.until(1, 1)
        it.history.go_on.set()
        answer = await reader.read()
        writer.close()

    assert answer == b"" or answer.startswith(b"HTTP/1.1 200 ")
    assert it.on.service.audited == []


@pytest.mark.parametrize("more", [b"", b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"])
async def test_nothing_is_asked_for_somebody_who_has_left(tmp_path: Path, more: bytes) -> None:
    async with busy(tmp_path, query_threads=1, questions=3) as it, it.on.tcp() as client:
        await it.ask(client, 1, 1)
        _, writer = await asyncio.open_unix_connection(it.on.path)
        writer.write(f"GET {QUESTION}99 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() + more)
        await it.until(1, 1)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        it.answers.append(asyncio.create_task(client.get(f"{QUESTION}2")))
        await it.until(1, 2)
        it.history.go_on.set()

        assert [(await each).status_code for each in it.answers] == [200, 200]
        assert it.history.begun == [1, 2]
