"""The thread in which steps are taken: what it does for people, and how it ends."""

import threading
from concurrent.futures import CancelledError

import pytest

from resourced.actions import Executor, Machine, Settings
from tests.actions.fakes import FakeWorld

PATIENCE_SECONDS = 30.0


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def executor(told: list[str]) -> Executor:
    return Executor(Settings(), told.append)


def test_what_nobody_waits_for_any_more_is_not_done(executor: Executor, told: list[str]) -> None:
    busy, may_end, done = threading.Event(), threading.Event(), []

    def long(_: Machine) -> None:
        busy.set()
        assert may_end.wait(PATIENCE_SECONDS)

    executor.start(FakeWorld())
    executor.post(long)
    assert busy.wait(PATIENCE_SECONDS)
    given_up = executor.ask(lambda _: done.append("given up"))
    wanted = executor.ask(lambda _: done.append("wanted"))
    assert given_up.cancel()
    may_end.set()
    wanted.result(PATIENCE_SECONDS)

    assert done == ["wanted"]
    with pytest.raises(CancelledError):
        given_up.result(PATIENCE_SECONDS)
    assert executor.stop(PATIENCE_SECONDS)
    assert told == []


def test_what_was_given_up_does_not_keep_the_end_from_putting_things_back(
    executor: Executor, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, may_end, ended = threading.Event(), threading.Event(), []
    monkeypatch.setattr(Machine, "end", lambda _: ended.append("put back"))

    def long(_: Machine) -> None:
        busy.set()
        assert may_end.wait(PATIENCE_SECONDS)

    executor.start(FakeWorld())
    executor.post(long)
    assert busy.wait(PATIENCE_SECONDS)
    given_up = executor.ask(lambda _: None)
    stopping = threading.Thread(target=executor.stop, args=(PATIENCE_SECONDS,))
    stopping.start()
    given_up.cancel()
    may_end.set()
    stopping.join()

    assert ended == ["put back"]
    assert told == []
