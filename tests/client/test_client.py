import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
from annotated_types import Le

from resourced.client import ApiError, AsyncClient, Client, NotAllowed, NotRunning, ServerEvent, base
from resourced.client.sse import EventParser
from resourced.config_api import ApiConfig
from resourced.snapshot import Snapshot
from resourced.snapshot.processes import Processes
from tests.client.fakes import DECISION, OUTCOME, RECORDING, STREAM, FakeDaemon, running
from tests.client.workload_daemon import WorkloadDaemon, document, keeping

# httpcore leaves a Unix socket whose connection failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with running(tmp_path / "socket") as fake:
        yield fake


def test_answers_are_the_daemons_own_types(daemon: FakeDaemon) -> None:
    with Client(daemon.address) as client:
        verdict = client.should_prune(fresh=True)
        assert verdict
        assert verdict.decisions == (DECISION,)
        assert client.decisions(rule="r", unit=None) == [DECISION]
        assert client.decision(DECISION.id).outcomes == (OUTCOME,)
        everything = client.all(full=True)
        assert isinstance(everything, Snapshot)
        assert not everything.usable("gpus")
        found = client.resources("processes")
        assert isinstance(found.value, Processes)
        assert found.health is not None
        assert found.health.usable
        table = client.history(["system.memory.usage"], start="1h", points=3)
        assert table.series == {"system.memory.usage": (1024.0, None, 4096.0)}
        assert table.units == {"system.memory.usage": "By"}
        assert table.step_seconds == 10.0
        assert client.top("unit", by="memory", start="1h").entries[0].name == "hog.service"
        assert client.at("03:12")["processes"]["threads"] == 3
        assert client.prune(pid=10)["seconds_left"] == 340.4
        assert client.status()["status"] == "ok"
        assert client.catalog()["metrics"]
    paths = [path for _, path, _, _ in daemon.asked]
    assert paths[:2] == ["/prune?fresh=1", "/decisions?rule=r"]
    assert "/resources/all?full=1" in paths
    assert "/history?metric=system.memory.usage&start=1h&points=3" in paths


def test_a_recording_becomes_a_whole_file_or_none(daemon: FakeDaemon, tmp_path: Path) -> None:
    path = tmp_path / "night"
    with Client(daemon.address) as client:
        assert client.export(path, start="8h") == len(RECORDING)
        assert path.read_bytes() == RECORDING
        with pytest.raises(FileExistsError, match="choose another name"):
            client.export(path)
        daemon.answers["GET /history/export"] = (403, {"title": "Forbidden", "status": 403})
        with pytest.raises(ApiError, match="Forbidden"):
            client.export(tmp_path / "other")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["night", "socket"]


async def test_a_recording_that_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "STILL_SECONDS", 0.02)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        with Client(str(tmp_path / "silent")) as client, pytest.raises(NotRunning):
            client.export(tmp_path / "night")
        async with AsyncClient(str(tmp_path / "silent")) as waiting:
            with pytest.raises(NotRunning):
                await waiting.export(tmp_path / "night")
    assert os.listdir(tmp_path) == ["silent"]  # noqa: PTH208 - in an async function


def test_changes_are_posted_and_a_refusal_is_a_sentence(daemon: FakeDaemon) -> None:
    with Client(daemon.address, token="secret") as client:
        client.set_log_level("debug")
        client.approve(DECISION.id)
        client.veto(DECISION.id)
        client.thaw(DECISION.id)
        with pytest.raises(ApiError, match="Forbidden: changes need an admin") as caught:
            client.reload()
    assert caught.value.status == 403
    method, path, headers, body = daemon.asked[0]
    assert (method, path, body) == ("POST", "/log-level", b'{"level":"debug"}')
    assert headers["authorization"] == "Bearer secret"


def test_the_stream_is_read_and_goes_on_from_where_it_broke_off(daemon: FakeDaemon) -> None:
    begin, again = b"retry: 2000\nid: 0\n\n", STREAM + STREAM.replace(b"id: 1", b"id: 2")
    daemon.answers["GET /events"] = (200, iter([begin, STREAM, again]))
    with Client(daemon.address) as client:
        events = client.events(["decision", "sample"])
        heard = [next(events) for _ in range(5)]
        events.close()  # type: ignore[attr-defined]  # it is a generator
    assert [(e.kind, e.id) for e in heard] == [
        ("decision", "1"), ("sample", "1"), ("sample", "1"), ("decision", "2"), ("sample", "2"),
    ]  # fmt: skip
    assert heard[0].data == {"rule": "r", "time": 1}
    assert heard[1].data == "text"
    assert daemon.asked[0][1] == "/events?kind=decision&kind=sample"
    assert [headers.get("last-event-id") for _, _, headers, _ in daemon.asked] == [None, "0", "1"]


def test_an_event_that_was_cut_off_was_not_seen(daemon: FakeDaemon) -> None:
    cut, whole = b'id: 2\nevent: decision\ndata: {"rule":', b"id: 2\ndata: 7\n\n"
    daemon.answers["GET /events"] = (200, iter([STREAM + cut, whole]))
    with Client(daemon.address) as client:
        events = client.events()
        assert [next(events).data for _ in range(3)] == [{"rule": "r", "time": 1}, "text", 7]
        events.close()  # type: ignore[attr-defined]  # it is a generator
    assert daemon.asked[1][2]["last-event-id"] == "1"


async def test_a_stream_that_tells_nothing_outlives_any_number_of_breaks(daemon: FakeDaemon) -> None:
    daemon.answers["GET /events"] = (200, iter([b"retry: 2000\n\n"] * 10 + [STREAM]))
    with Client(daemon.address, patience_seconds=0.1) as client:
        assert next(client.events()).kind == "decision"
    daemon.answers["GET /events"] = (200, iter([b": still here\n\n"] * 10 + [STREAM]))
    async with AsyncClient(daemon.address, patience_seconds=0.1) as waiting, aclosing(waiting.events()) as events:
        assert (await anext(events)).kind == "decision"


async def test_a_daemon_that_is_just_ending_or_full_is_asked_again(daemon: FakeDaemon) -> None:
    def busy() -> Iterator[dict[str, str]]:
        for _ in range(2):
            yield {"title": "Service Unavailable", "detail": "all streams are taken"}
        daemon.answers["GET /events"] = (200, STREAM)
        yield {"title": "Service Unavailable"}

    daemon.answers["GET /events"] = (503, busy())
    with Client(daemon.address) as client:
        assert next(client.events()).kind == "decision"
    daemon.answers["GET /events"] = (503, busy())
    async with AsyncClient(daemon.address) as waiting, aclosing(waiting.events()) as events:
        assert (await anext(events)).kind == "decision"
    daemon.answers["GET /events"] = (503, {"title": "Service Unavailable", "detail": "all streams are taken"})
    with Client(daemon.address, patience_seconds=0.1) as client, pytest.raises(ApiError, match="streams are taken"):
        next(client.events())


def test_who_connects_but_says_nothing_is_given_up(daemon: FakeDaemon) -> None:
    daemon.answers["GET /events"] = (200, b"")
    with Client(daemon.address, patience_seconds=0.1) as client, pytest.raises(NotRunning, match="the stream ended"):
        next(client.events())


async def test_a_server_that_is_silent_for_too_long_counts_as_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LATE_SECONDS", 0.02)
    with keeping(tmp_path / "silent") as silent:
        silent.heartbeats = [0.0, 0.01, 15.0, 0.0, 0.01, 15.0]
        with Client(str(tmp_path / "silent")) as client:
            told = threading.Thread(target=tell, args=(silent, 3))
            told.start()
            assert next(client.events()).kind == "workload"
            told.join()
        async with AsyncClient(str(tmp_path / "silent")) as waiting, aclosing(waiting.events()) as events:
            told = threading.Thread(target=tell, args=(silent, 6))
            told.start()
            assert (await anext(events)).kind == "workload"
            told.join()


def tell(daemon: WorkloadDaemon, number: int) -> None:
    daemon.registered["w-1"] = document(id="w-1")
    daemon.await_true(lambda: daemon.listened >= number)
    daemon.tell("d1")


def test_a_server_that_does_not_say_how_often_it_speaks_is_waited_for_as_long_as_any_may_take() -> None:
    longest = base.LONGEST_HEARTBEAT_SECONDS
    assert Le(longest) in ApiConfig.model_fields["heartbeat"].metadata
    for header, seconds in ((None, 300), ("x", 300), ("15", 15), ("1e9", 300), ("nan", 0), ("-1", 0)):
        request = httpx.Request("GET", "http://x/events", extensions={"timeout": {"read": longest + 30}})
        headers = {} if header is None else {"heartbeat-seconds": header}
        base.limit_silence(httpx.Response(200, headers=headers, request=request))
        assert request.extensions["timeout"]["read"] == seconds + 30
    asked = Client("/x")._stream_request(EventParser(), {})
    assert asked["timeout"] == httpx.Timeout(10, read=longest + 30)


async def test_a_name_injects_no_event(daemon: FakeDaemon) -> None:
    data = {"name": "x\x85id:9\u2028\u2028event:workload"}
    text = json.dumps(data, ensure_ascii=False)
    daemon.answers["GET /events"] = (200, f"id: 1\nevent: decision\ndata: {text}\n\n".encode())
    with Client(daemon.address) as client:
        assert next(client.events()) == ServerEvent("decision", data, "1")
    async with AsyncClient(daemon.address) as waiting, aclosing(waiting.events()) as events:
        assert await anext(events) == ServerEvent("decision", data, "1")


def test_a_stream_that_is_refused_says_why(daemon: FakeDaemon) -> None:
    daemon.answers["GET /events"] = (403, b"not json")
    with Client(daemon.address) as client, pytest.raises(ApiError, match="HTTP status 403: not json"):
        next(client.events())


def test_an_answer_of_another_kind_is_reported(daemon: FakeDaemon) -> None:
    daemon.answers["GET /prune"] = (200, {"hello": "world"})
    daemon.answers["GET /decisions"] = (200, {"hello": "world"})
    with Client(daemon.address) as client:
        with pytest.raises(ApiError, match="another version"):
            client.should_prune()
        with pytest.raises(ApiError, match="no list of decisions"):
            client.decisions()


def test_nobody_there_says_how_to_start(tmp_path: Path) -> None:
    with Client(str(tmp_path / "none"), patience_seconds=0) as client:
        with pytest.raises(NotRunning, match=r"systemctl start resourced.*resourced run"):
            client.should_prune()
        with pytest.raises(NotRunning):
            next(client.events())


def test_a_restart_is_bridged(tmp_path: Path) -> None:
    ready, done = threading.Event(), threading.Event()

    def start() -> None:
        ready.wait(5)
        with running(tmp_path / "socket"):
            done.wait(10)

    thread = threading.Thread(target=start)
    thread.start()
    with Client(str(tmp_path / "socket"), patience_seconds=10) as client:
        ready.set()
        assert client.should_prune()
    done.set()
    thread.join()


def test_a_socket_that_may_not_be_opened_names_the_group() -> None:
    client = Client("/x")
    error = PermissionError(13, "Permission denied")
    failure = httpx.ConnectError("denied")
    failure.__cause__ = error
    assert isinstance(client._failure(failure), NotAllowed)


async def test_the_async_client_asks_the_same(daemon: FakeDaemon, tmp_path: Path) -> None:
    async with AsyncClient(daemon.address) as client:
        assert await client.should_prune()
        assert await client.decisions() == [DECISION]
        assert (await client.decision(DECISION.id)).decision == DECISION
        assert (await client.all()).sequence == 7
        assert (await client.resources("processes")).name == "processes"
        assert (await client.history(["m"])).times == (0.0, 10.0, 20.0)
        assert (await client.prune(unit="a"))["seconds_left"] == 340.4
        assert (await client.get("/healthz"))["status"] == (await client.status())["status"]
        assert await client.catalog()
        assert await client.set_log_level("info")
        assert await client.approve(DECISION.id)
        assert await client.veto(DECISION.id)
        assert await client.thaw(DECISION.id)
        with pytest.raises(ApiError, match="Forbidden"):
            await client.reload()
        daemon.answers["GET /events"] = (200, iter([STREAM, STREAM + STREAM.replace(b"id: 1", b"id: 2")]))
        kinds = []
        events = client.events()
        async for event in events:
            kinds.append((event.kind, event.id))
            if len(kinds) == 4:
                break
        await events.aclose()
        assert kinds == [("decision", "1"), ("sample", "1"), ("sample", "1"), ("decision", "2")]
    async with AsyncClient(str(tmp_path / "none"), patience_seconds=0.1) as client:
        with pytest.raises(NotRunning):
            await client.should_prune()
        with pytest.raises(NotRunning):
            await anext(client.events())
