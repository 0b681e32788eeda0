"""The thread in which steps are taken: what it does for people, and how it ends."""

import threading
from collections.abc import Iterator
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


@pytest.fixture
def let_go(executor: Executor) -> Iterator[threading.Event]:
    """Start the thread and keep it busy with a step; yield what ends that."""
    busy, may_end = threading.Event(), threading.Event()

    def long(_: Machine) -> None:
        busy.set()
        assert may_end.wait(PATIENCE_SECONDS)

    executor.start(FakeWorld())
    executor.post(long)
    assert busy.wait(PATIENCE_SECONDS)
    yield may_end
    may_end.set()


def test_what_nobody_waits_for_any_more_is_not_done(
    executor: Executor, let_go: threading.Event, told: list[str]
) -> None:
    done: list[str] = []
    given_up = executor.ask(lambda _: done.append("given up"))
    wanted = executor.ask(lambda _: done.append("wanted"))
    assert given_up.cancel()
    let_go.set()
    wanted.result(PATIENCE_SECONDS)

    assert done == ["wanted"]
    with pytest.raises(CancelledError):
        given_up.result(PATIENCE_SECONDS)
    assert executor.stop(PATIENCE_SECONDS)
    assert told == []


def test_what_was_given_up_does_not_keep_the_end_from_putting_things_back(
    executor: Executor, let_go: threading.Event, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(Machine, "end", lambda _: ended.append("put back"))
    given_up = executor.ask(lambda _: None)
    stopping = threading.Thread(target=executor.stop, args=(PATIENCE_SECONDS,))
    stopping.start()
    given_up.cancel()
    let_go.set()
    stopping.join()

    assert ended == ["put back"]
    assert told == []
