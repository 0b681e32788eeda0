import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from resourced.client import ApiError, NotRunning, PruneRequest, async_lease, base, workload
from tests.client.workload_daemon import WorkloadDaemon

# httpcore leaves a Unix socket whose connection failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


async def test_with_a_loop_it_is_awaited(daemon: WorkloadDaemon) -> None:
    async with workload("serve", priority=-1) as w:
        await in_thread(daemon.await_listener)
        assert (w.asked, w.request) == (False, None)
        assert await w.wait(0.01) is None
        daemon.tell("d1")
        request = await w.prune_requested()
        assert request.decision == "d1"
        assert w.asked
        await in_thread(lambda: daemon.await_said("POST acknowledge"))
        await w.release()
        assert w.request is None
    await in_thread(lambda: daemon.await_said("DELETE"))
    assert sum(what == "DELETE" for what, _ in daemon.said) == 1


async def test_with_a_loop_who_was_lost_registers_again_and_beats(daemon: WorkloadDaemon) -> None:
    async with workload("serve", heartbeat_seconds=0.03, acknowledge=False) as w:
        await in_thread(daemon.await_listener)
        daemon.forget()
        await in_thread(lambda: daemon.await_said("POST", times=2))
        await in_thread(daemon.await_listener)
        daemon.lapse()
        await in_thread(lambda: daemon.await_said("POST", times=3))
        await in_thread(lambda: daemon.await_said("POST heartbeat", times=2))
        await in_thread(daemon.await_listener)
        daemon.tell("d1")
        assert (await w.prune_requested()).decision == "d1"
        await w.acknowledge()
    assert daemon.await_said("POST acknowledge") == {"decision": "d1"}


async def test_with_a_loop_who_was_lost_while_asked_waits_until_asked_again(daemon: WorkloadDaemon) -> None:
    async with workload("serve") as w:
        await in_thread(daemon.await_listener)
        daemon.tell("d1")
        assert (await w.prune_requested()).decision == "d1"
        daemon.refusal = (503, "so many are registered already")
        daemon.forget()
        await in_thread(lambda: daemon.await_said("POST", times=2))
        assert await w.wait(0.01) is None
        daemon.refusal = None
        await in_thread(lambda: daemon.await_true(lambda: bool(daemon.registered)))
        daemon.tell("d2")
        assert (await w.prune_requested()).decision == "d2"


async def test_with_a_loop_restarts_are_short_however_many_there_were(
    daemon: WorkloadDaemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(async_lease, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(async_lease, "LONGEST_PAUSE_SECONDS", 0.04)
    async with workload("serve") as w:
        for number in range(1, 9):
            await in_thread(lambda: daemon.await_true(lambda: daemon.listened >= number))  # noqa: B023 - likewise
            daemon.end_streams()
        await in_thread(lambda: daemon.await_true(lambda: daemon.listened > 8))
        daemon.tell("d1")
        await w.prune_requested()
    assert caplog.text == ""


async def test_with_a_loop_a_daemon_that_is_silent_for_too_long_is_listened_to_anew(
    daemon: WorkloadDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LATE_SECONDS", 0.02)
    daemon.heartbeats = [0.0, 15.0]
    async with workload("serve") as w:
        await in_thread(lambda: daemon.await_true(lambda: daemon.listened >= 2))
        daemon.tell("d1")
        assert (await w.prune_requested()).decision == "d1"


async def test_with_a_loop_nobody_turns_in_circles_for_a_request_that_is_no_more(daemon: WorkloadDaemon) -> None:
    async with workload("serve") as w:
        w._asked.set()
        assert await w.wait(0.01) is None
        await in_thread(daemon.await_listener)
        daemon.tell("d1")
        assert (await w.prune_requested()).decision == "d1"


async def test_with_a_loop_callbacks_are_awaited_or_run_in_a_thread(
    daemon: WorkloadDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []

    async def save(request: PruneRequest) -> None:
        called.append(request.decision)
        raise OSError("the disk is full")

    def plainly(request: PruneRequest) -> None:
        called.append(threading.current_thread().name)

    for callback in (save, plainly):
        async with workload(on_prune=callback):
            await in_thread(daemon.await_listener)
            daemon.tell(callback.__name__)
            await in_thread(lambda: daemon.await_said("POST acknowledge"))
            daemon.said.clear()
    assert called[0] == "save"
    assert called[1] != threading.current_thread().name
    assert "the disk is full" in caplog.text


async def test_with_a_loop_it_works_without_a_daemon(tmp_path: Path, daemon: WorkloadDaemon) -> None:
    async with workload(target=str(tmp_path / "none")) as w:
        assert not w.asked
    with pytest.raises(NotRunning):
        async with workload(target=str(tmp_path / "none"), required=True):
            pass
    daemon.refusal = (422, "there is no such signal")
    with pytest.raises(ApiError, match="no such signal"):
        async with workload(signal="SIGNONE"):
            pass


async def in_thread(function: Callable[[], object]) -> None:
    await asyncio.to_thread(function)
