"""Telling others of decisions: what arrives, what is said of what doesn't, and how long it is awaited."""

import contextlib
import json
import os
import select
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from resourced.decision import Candidate, Outcome, Scope, Step
from resourced.messenger import Messenger, MessengerSettings
from tests.actions.fakes import decision, rule
from tests.running import PATIENCE_SECONDS

DECISION = decision(rule(), Candidate(Scope.PROCESS, "7:1", "hog", 7, 1))


class Told:
    """A messenger and what it reports."""

    def __init__(self, **settings: Any) -> None:
        self._reports: SimpleQueue[tuple[str, Mapping[str, Any]]] = SimpleQueue()
        self.messenger = Messenger(MessengerSettings(**settings), lambda *told: self._reports.put(told))

    def fault(self) -> tuple[str, str]:
        """Return the receiver and the reason of the next message that failed, as soon as one has."""
        event, fields = self._reports.get(timeout=PATIENCE_SECONDS)
        assert event == "message_failed"
        return fields["receiver"], fields["reason"]

    @property
    def silent(self) -> bool:
        return self._reports.empty()


@contextlib.contextmanager
def telling(**settings: Any) -> Iterator[Told]:
    told = Told(**settings)
    told.messenger.start()
    try:
        yield told
    finally:
        assert told.messenger.stop(PATIENCE_SECONDS)


@contextlib.contextmanager
def server(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, SimpleQueue[tuple[Any, ...]]]]:
    """Serve POSTs on a port of this machine; yield the address and what arrives: path, kind of content and body."""
    arrived: SimpleQueue[tuple[Any, ...]] = SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            arrived.put((self.path, self.headers["content-type"], json.loads(body)))
            respond(self)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_port}", arrived
        finally:
            serving.shutdown()
            thread.join()


def answer(status: int) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.end_headers()

    return respond


def test_decisions_and_outcomes_arrive_in_turn() -> None:
    with server(answer(204)) as (url, arrived), telling(webhook=f"{url}/hook?of=me") as told:
        told.messenger.take("a sample is nobody's business")
        told.messenger.take(DECISION)
        told.messenger.take(Outcome(DECISION.id, 5.0, Step.KILL, "done", "hog"))
        first, second = (arrived.get(timeout=PATIENCE_SECONDS) for _ in range(2))

    assert first[:2] == second[:2] == ("/hook?of=me", "application/json")
    assert first[2].keys() == {"kind", "decision"}
    assert (first[2]["kind"], first[2]["decision"]["id"]) == ("decision", DECISION.id)
    assert first[2]["decision"]["target"]["name"] == "hog"
    assert second[2]["kind"] == "outcome"
    assert (second[2]["outcome"]["step"], second[2]["outcome"]["result"]) == ("kill", "done")
    assert told.silent


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_is_no_yes_is_reported_without_what_may_be_secret(status: int) -> None:
    with server(answer(status)) as (url, _), telling(webhook=f"{url}/secret") as told:
        told.messenger.take(DECISION)

        assert told.fault() == (url, f"HTTPException: answered {status}")


def test_an_answer_that_drips_is_given_up_when_the_time_is_over() -> None:
    hung_up, over = threading.Event(), threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        with contextlib.suppress(OSError):
            while not over.wait(0.02):
                handler.wfile.write(b".")
        hung_up.set()

    with server(drip) as (url, _), telling(webhook=url, webhook_seconds=0.3) as told:
        try:
            told.messenger.take(DECISION)
            assert told.fault() == (url, "TimeoutError: not told within 0.3 s")
            assert hung_up.wait(PATIENCE_SECONDS)
            told.messenger.take(DECISION)  # and the next is told as ever
            assert told.fault() == (url, "TimeoutError: not told within 0.3 s")
        finally:
            over.set()


def test_a_name_that_is_looked_up_for_too_long_is_given_up_and_nothing_is_told_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, usual = threading.Event(), socket.getaddrinfo

    def look_up(*about: Any, **more: Any) -> Any:
        assert found.wait(PATIENCE_SECONDS)
        return usual(*about, **more)

    with server(answer(204)) as (url, arrived), telling(webhook=url, webhook_seconds=0.2) as told:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        told.messenger.take(DECISION)
        assert told.fault() == (url, "TimeoutError: not told within 0.2 s")
        told.messenger.take(DECISION)
        assert "has not ended yet" in told.fault()[1]

        late = [each for each in threading.enumerate() if each.name == "webhook"]
        found.set()
        for each in late:
            each.join(PATIENCE_SECONDS)
        assert (len(late), arrived.empty()) == (1, True)


def script(directory: Path, text: str) -> str:
    path = directory / "tell"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "held")
    reader = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    sleep = shutil.which("sleep")
    command = script(tmp_path, f"exec >{tmp_path}/held\necho begun\n{sleep} 600 &\n{sleep} 600")
    with telling(command=(command,), command_seconds=2.0) as told:
        told.messenger.take(DECISION)
        receiver, reason = told.fault()

    assert (receiver, "timed out" in reason) == (command, True)
    assert os.read(reader, 100) == b"begun\n"
    assert select.select([reader], [], [], PATIENCE_SECONDS)[0]  # nobody has it open any more
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_a_command_that_fails_is_reported_and_gets_no_outcomes(tmp_path: Path) -> None:
    with telling(command=(script(tmp_path, "exit 3"),)) as told:
        told.messenger.take(Outcome(DECISION.id, 5.0, Step.KILL, "done", "hog"))
        told.messenger.take(DECISION)

        assert told.fault() == (str(tmp_path / "tell"), "SubprocessError: ended with 3")
    assert told.silent
