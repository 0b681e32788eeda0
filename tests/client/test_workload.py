import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from resourced.client import (
    ApiError,
    AsyncClient,
    Client,
    NotRunning,
    PruneRequest,
    Workload,
    base,
    sync_lease,
    workload,
)
from tests.client.workload_daemon import PATIENCE_SECONDS, WorkloadDaemon, document, keeping

# httpcore leaves a Unix socket whose connection failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


def test_the_client_asks_for_workloads_by_their_routes(daemon: WorkloadDaemon) -> None:
    with Client() as client:
        made = client.register_workload(name="train", priority=-3, signal=None)
        assert isinstance(made, Workload)
        assert (made.name, made.priority, made.request) == ("train", -3, None)
        assert client.workloads() == [made] == [client.workload(made.id, wait=0)]
        daemon.tell("d1")
        found = client.workload(made.id).request
        assert isinstance(found, PruneRequest)
        assert found.steps == ("terminate", "kill")
        assert 0 < found.seconds_left <= 30
        client.acknowledge(made.id, "d1")
        client.heartbeat(made.id)
        client.release_workload(made.id)
        with pytest.raises(ApiError, match="no such workload"):
            client.workload(made.id)
    assert daemon.said[0] == ("POST", {"name": "train", "priority": -3})
    assert daemon.await_said("POST acknowledge") == {"decision": "d1"}


async def test_the_client_with_a_loop_asks_the_same(daemon: WorkloadDaemon) -> None:
    async with AsyncClient() as client:
        made = await client.register_workload(name="train")
        assert await client.workloads() == [made] == [await client.workload(made.id)]
        daemon.tell("d1")
        await client.acknowledge(made.id)
        await client.heartbeat(made.id)
        await client.release_workload(made.id)
    assert daemon.await_said("POST acknowledge") == {}


def test_a_loop_sees_the_request_acknowledges_it_once_and_is_released_at_the_end(daemon: WorkloadDaemon) -> None:
    with workload("train", grace_seconds=120, restartable=True) as w:
        assert (w.asked, w.request) == (False, None)
        daemon.await_listener()
        asked = len(daemon.said)
        assert not any(w.asked for _ in range(1000))
        assert len(daemon.said) - asked <= 1  # looking costs no question; the listener may catch up once meanwhile
        daemon.tell("d1")
        assert w.wait(PATIENCE_SECONDS) is not None
        assert w.asked
        assert w.request is not None
        assert w.request.reason == "Memory is low."
        assert daemon.await_said("POST acknowledge") == {"decision": "d1"}
        daemon.withdraw()
        daemon.tell("d2")
        daemon.await_true(lambda: bool(w.asked) and ("POST acknowledge", {"decision": "d2"}) in daemon.said)
    daemon.await_said("DELETE")
    assert sum(what == "POST acknowledge" for what, _ in daemon.said) == 2
    assert daemon.said[0][1] == {
        "name": "train", "priority": 0, "grace_seconds": 120, "restartable": True, "tell": "stream",
    }  # fmt: skip
    assert daemon.registered == {}


def test_a_withdrawn_request_is_nothing_any_more(daemon: WorkloadDaemon) -> None:
    with workload("train", acknowledge=False) as w:
        daemon.await_listener()
        daemon.tell("d1")
        assert w.wait(PATIENCE_SECONDS) is not None
        daemon.withdraw()
        daemon.await_true(lambda: not w.asked)
        assert w.wait(0) is None
        w.acknowledge()
        assert not [what for what, _ in daemon.said if what == "POST acknowledge"]
        daemon.tell("d2")
        assert w.wait(PATIENCE_SECONDS) is not None
        w.acknowledge()
        daemon.await_said("POST acknowledge")


def test_what_was_told_before_the_stream_began_is_not_missed(daemon: WorkloadDaemon) -> None:
    daemon.registered["w-1"] = document(id="w-1")
    daemon.tell("d1")
    os.environ["RESOURCED_WORKLOAD"] = "w-1"
    try:
        with workload() as w:
            assert w.asked
    finally:
        del os.environ["RESOURCED_WORKLOAD"]
    daemon.await_said("POST acknowledge")
    assert "w-1" in daemon.registered  # it is not ours to end
    assert not [what for what, _ in daemon.said if what == "POST"]


def test_a_callback_is_called_once_for_each_request_and_its_fault_is_logged(
    daemon: WorkloadDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []
    second = threading.Event()

    def save(request: PruneRequest) -> None:
        called.append(f"{request.decision} {threading.current_thread().name}")
        if len(called) == 2:
            second.set()
        raise OSError("the disk is full")

    with workload(on_prune=save):
        daemon.await_listener()
        daemon.tell("d1")
        daemon.await_said("POST acknowledge")
        daemon.tell("d1")
        daemon.tell("d2")
        assert second.wait(PATIENCE_SECONDS)
    assert called == ["d1 resourced-prune", "d2 resourced-prune"]
    assert "the disk is full" in caplog.text


def test_a_callback_is_awaited_before_the_registration_ends(daemon: WorkloadDaemon) -> None:
    began, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def save(_: PruneRequest) -> None:
        began.set()
        go_on.wait(PATIENCE_SECONDS)
        assert daemon.registered
        done.set()

    with workload(on_prune=save):
        daemon.await_listener()
        daemon.tell("d1")
        assert began.wait(PATIENCE_SECONDS)
        threading.Timer(0.01, go_on.set).start()
    assert done.is_set()


@pytest.mark.parametrize("lose", [WorkloadDaemon.forget, WorkloadDaemon.lapse])
def test_who_was_lost_registers_again(daemon: WorkloadDaemon, lose: Callable[[WorkloadDaemon], None]) -> None:
    with workload("train") as w:
        daemon.await_listener()
        first = w.workload
        lose(daemon)
        daemon.await_said("POST", times=2)
        daemon.await_true(lambda: bool(w.workload and first and w.workload.id != first.id))
        daemon.await_listener()
        daemon.tell("d1")
        assert w.wait(PATIENCE_SECONDS)


def test_who_was_lost_while_asked_waits_until_asked_again(daemon: WorkloadDaemon) -> None:
    with workload("train") as w:
        daemon.await_listener()
        daemon.tell("d1")
        assert w.wait(PATIENCE_SECONDS) is not None
        daemon.refusal = (503, "so many are registered already")
        daemon.forget()
        daemon.await_said("POST", times=2)
        assert (w.asked, w.wait(0.01)) == (False, None)
        daemon.refusal = None
        daemon.await_true(lambda: bool(daemon.registered))
        daemon.tell("d2")
        found = w.wait(PATIENCE_SECONDS)
        assert found is not None
        assert found.decision == "d2"


def test_restarts_are_short_however_many_there_were(
    daemon: WorkloadDaemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sync_lease, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(sync_lease, "LONGEST_PAUSE_SECONDS", 0.04)
    with workload("train") as w:
        for number in range(1, 9):
            daemon.await_true(lambda: daemon.listened >= number)  # noqa: B023 - called in this very turn
            daemon.end_streams()
        daemon.await_true(lambda: daemon.listened > 8)
        daemon.tell("d1")
        assert w.wait(PATIENCE_SECONDS) is not None
    assert caplog.text == ""


def test_a_daemon_that_is_silent_for_too_long_is_listened_to_anew(
    daemon: WorkloadDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LATE_SECONDS", 0.02)
    daemon.heartbeats = [0.0, 15.0]
    with workload("train") as w:
        daemon.await_true(lambda: daemon.listened >= 2)
        daemon.tell("d1")
        assert w.wait(PATIENCE_SECONDS) is not None


def test_it_works_without_a_daemon_says_so_once_and_is_taken_in_later(
    tmp_path: Path, daemon: WorkloadDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    socket = tmp_path / "later"
    with pytest.raises(NotRunning), workload(target=str(socket), required=True):
        pass
    with caplog.at_level(logging.WARNING), workload("train", target=str(socket)) as w:
        assert not w.asked
        assert w.wait(0.01) is None
        with keeping(socket) as later:
            later.await_said("POST")
            later.await_listener()
            later.tell("d1")
            assert w.wait(PATIENCE_SECONDS)
    assert caplog.text.count("until resourced takes it in") == 1


def test_a_wish_that_is_refused_is_an_error_at_once(daemon: WorkloadDaemon) -> None:
    daemon.refusal = (403, "a priority above 0 takes an admin")
    with pytest.raises(ApiError, match="takes an admin"), workload(priority=5):
        pass


def test_where_there_are_too_many_streams_it_asks_now_and_then(daemon: WorkloadDaemon) -> None:
    daemon.full = True
    with workload("train") as w:
        assert w.workload is not None
        daemon.tell("d1")
        assert w.wait(PATIENCE_SECONDS) is not None


def test_signs_of_life_are_given_if_they_are_asked_for(daemon: WorkloadDaemon) -> None:
    with workload("train", heartbeat_seconds=0.03):
        daemon.await_said("POST heartbeat", times=3)
    assert daemon.said[0][1]["heartbeat_seconds"] == 0.03


def test_an_admin_may_end_a_registration_for_good(daemon: WorkloadDaemon) -> None:
    with workload("train") as w:
        daemon.await_listener()
        assert w.workload is not None
        with Client() as client:
            client.release_workload(w.workload.id)
        daemon.await_true(lambda: w.workload is None)
    assert sum(what == "POST" for what, _ in daemon.said) == 1


def test_a_child_of_a_fork_ends_nothing(daemon: WorkloadDaemon, tmp_path: Path) -> None:
    program = (
        "import os\nfrom resourced.client import workload\n"
        "with workload('train') as w:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        w.close(); os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    print(w.workload.id)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("w-")
    assert sum(what == "DELETE" for what, _ in daemon.said) == 1


def test_a_program_that_is_killed_leaves_the_rest_to_the_daemon(daemon: WorkloadDaemon) -> None:
    program = "import time\nfrom resourced.client import workload\nwith workload('train'):\n    time.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        daemon.await_listener()
        process.send_signal(signal.SIGKILL)
    assert len(daemon.registered) == 1
