"""The whole daemon and workloads that cooperate: registered over its socket, told in every way, awaited, and let go."""

import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.actions.fakes import MEEK, program
from tests.running import PATIENCE_SECONDS, Daemon, running, settings
from tests.test_acting import ended, outcomes_of

STRANGER = 65534
LEAVES = "import signal, sys\nsignal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))\n" + MEEK


def config(directory: Path, mode: str = "enforce", *, patience: str = "30s", scope: str = "workload") -> str:
    """Return a configuration in which whoever is registered has to give way at once, and for ever."""
    return settings(
        directory,
        f"""
[policy]
profile = "none"
mode = "{mode}"
[actions]
terminals = false
settle = "100ms"
workload_patience = "{patience}"
[[rule]]
name = "always"
level = "soft"
metric = "memory.available"
below = "100%"
clear_for = "0s"
scope = "{scope}"
min_gain = 0
cooldown = "300ms"
steps = [{{ step = "terminate", grace = "500ms" }}, {{ step = "kill", grace = "500ms" }}]
""",
    )


def register(daemon: Daemon, process: subprocess.Popen[bytes], name: str = "training", **more: Any) -> dict[str, Any]:
    with daemon.unix() as client:
        answer = client.post("/workloads", json={"name": name, "pid": process.pid, **more})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


def awaited(daemon: Daemon, lease: dict[str, Any], state: str) -> dict[str, Any]:
    """Return a workload as soon as it is in a state."""
    now: dict[str, Any] = daemon.get(f"/workloads/{lease['id']}")
    while now["state"] != state:
        now = daemon.get(f"/workloads/{lease['id']}?wait=1")
    return now


def notes(daemon: Daemon, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    return [each for each in outcomes_of(daemon, wanted) if each["step"] == "notify"]


def test_one_that_is_told_by_a_signal_leaves_by_itself_and_nothing_more_is_done(tmp_path: Path) -> None:
    with program(LEAVES) as process, running(tmp_path, text=config(tmp_path)) as daemon:
        lease = register(daemon, process, tell="signal", signal="SIGUSR1")
        assert ended(process, daemon) == 7
        found = notes(daemon, lambda each: any(o["duration_seconds"] is not None for o in each))

        assert daemon.get("/workloads") == {"workloads": []}
        assert daemon.get("/actions")["courses"] == []
        [told], [yielded] = daemon.lines("workload_told"), daemon.lines("workload_yielded")
        [released] = daemon.lines("workload_released")
    assert [each["result"] for each in found] == ["done", "done"]
    assert found[-1]["measured_gain"] is not None
    assert (told["workload"], released["reason"]) == ("training", "its process has ended")
    assert yielded["decision"] == told["decision"]
    assert lease["signal"] == "SIGUSR1"
    assert not daemon.lines("step_terminate")


def test_one_that_follows_the_stream_acknowledges_and_is_released(tmp_path: Path) -> None:
    with (
        program() as process,
        running(tmp_path, text=config(tmp_path, patience="1s")) as daemon,
        daemon.unix() as client,
        client.stream("GET", "/events?kind=workload") as stream,
    ):
        lines = (line for line in stream.iter_lines() if line.startswith("data: "))
        lease = register(daemon, process, grace_seconds=300)
        heard = [json.loads(next(lines)[6:]) for _ in range(2)]
        with daemon.unix() as other:
            answer = other.post(f"/workloads/{lease['id']}/acknowledge", json={})
            assert answer.json() == {"done": True}
        heard.append(json.loads(next(lines)[6:]))
        request = heard[1]["workload"]["request"]
        moved = awaited_deadline(daemon, lease, request["deadline"] + 100)
        with daemon.unix() as other:
            assert other.delete(f"/workloads/{lease['id']}").status_code == 200
        heard.append(json.loads(next(lines)[6:]))
        notes(daemon, lambda _: bool(daemon.lines("workload_yielded")))

        assert process.poll() is None
    assert [each["change"] for each in heard] == ["registered", "told", "acknowledged", "released"]
    assert [each["workload"]["state"] for each in heard] == ["registered", "told", "acknowledged", "acknowledged"]
    assert request["steps"] == ["terminate", "kill"]
    assert request["rule"] == "always"
    assert moved["request"]["grace_seconds"] == 300
    assert not daemon.lines("step_terminate")


def awaited_deadline(daemon: Daemon, lease: dict[str, Any], least: float) -> dict[str, Any]:
    """Return a workload as soon as its next step follows no earlier than at a moment."""
    while True:
        now: dict[str, Any] = daemon.get(f"/workloads/{lease['id']}")
        if now["request"]["deadline"] >= least:
            return now
        select.select([], [], [], 0.05)


def test_one_that_ignores_what_its_file_says_is_terminated_after_its_time(tmp_path: Path) -> None:
    with program() as process, running(tmp_path, text=config(tmp_path, patience="1s")) as daemon:
        lease = register(daemon, process, tell="file")
        reader = os.open(lease["file"], os.O_RDONLY | os.O_NONBLOCK)
        assert select.select([reader], [], [], PATIENCE_SECONDS)[0]
        told = json.loads(os.read(reader, 65536).splitlines()[0])
        assert ended(process, daemon) == -signal.SIGTERM
        found = outcomes_of(daemon, lambda each: any(o["step"] == "terminate" for o in each))
        os.close(reader)

    assert (told["change"], told["workload"]["id"]) == ("told", lease["id"])
    assert [(each["step"], each["result"]) for each in found][:3] == [
        ("notify", "done"),
        ("notify", "expired"),
        ("terminate", "done"),
    ]
    assert len(daemon.lines("workload_overdue")) == 1
    assert not Path(lease["file"]).exists()


def test_one_that_waits_is_answered_and_hears_that_it_may_stay(tmp_path: Path) -> None:
    with program() as process, running(tmp_path, text=config(tmp_path)) as daemon:
        lease = register(daemon, process)
        told = awaited(daemon, lease, "told")
        daemon.config.write_text(config(tmp_path, "observe"))
        daemon.process.send_signal(signal.SIGHUP)
        awaited(daemon, lease, "registered")

        assert process.poll() is None
        [withdrawn] = daemon.lines("workload_withdrawn")
    assert told["request"]["deadline"] > told["request"]["time"]
    assert withdrawn["reason"] == "the mode of the rule is observe now"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_is_registered_stays_so_when_the_daemon_is_started_again(tmp_path: Path, number: signal.Signals) -> None:
    with program() as process, program() as other:
        with running(tmp_path, text=config(tmp_path)) as daemon:
            lease = register(daemon, process, tell="file", priority=7)
            awaited(daemon, lease, "told")
            gone = register(daemon, other, "gone")
            daemon.end(number)
        other.kill()
        other.wait()
        reader = os.open(lease["file"], os.O_RDONLY | os.O_NONBLOCK)

        with running(tmp_path, text=config(tmp_path, "observe")) as daemon:
            [kept] = daemon.get("/workloads")["workloads"]
            assert daemon.get("/healthz")["workloads"] == 1
            released = [line["lease"] for line in daemon.lines("workload_released")]
            assert daemon.get(f"/prune?workload={lease['id']}")["found"] is True
        os.close(reader)
    same = ("id", "name", "pid", "start_time_ticks", "priority", "tell", "file", "registered")
    assert {key: kept[key] for key in same} == {key: lease[key] for key in same}
    assert (kept["state"], kept["request"]) == ("registered", None)
    assert gone["id"] in released


def test_silence_and_the_end_of_a_process_end_a_lease(tmp_path: Path) -> None:
    with (
        program() as process,
        running(tmp_path, text=config(tmp_path, "observe")) as daemon,
        daemon.unix() as client,
        client.stream("GET", "/events?kind=workload") as stream,
    ):
        lines = (line for line in stream.iter_lines() if line.startswith("data: "))
        register(daemon, process, "silent", heartbeat_seconds=1)
        assert [json.loads(next(lines)[6:])["change"] for _ in range(2)] == ["registered", "lapsed"]
        register(daemon, process, "mortal")
        next(lines)
        process.kill()
        ending = json.loads(next(lines)[6:])
    assert (ending["change"], ending["reason"]) == ("released", "its process has ended")
    assert [line["workload"] for line in daemon.lines("workload_released")] == ["silent", "mortal"]


def test_a_workload_in_a_target_of_any_kind_is_told_first(tmp_path: Path) -> None:
    name = f"job-{os.getpid()}"[:15]
    (tmp_path / name).symlink_to(Path(sys.executable).resolve())
    text = config(tmp_path, scope="process") + 'only = { processes = ["nobody-is-called-so"] }\n'
    with program(LEAVES, tmp_path / name) as process, running(tmp_path, text=text) as daemon:
        register(daemon, process, tell="signal")
        daemon.config.write_text(text.replace("nobody-is-called-so", name))
        daemon.process.send_signal(signal.SIGHUP)
        assert ended(process, daemon) == 7
        assert not daemon.lines("step_terminate")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that everybody may enter, unlike pytest's."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


Asked = list[tuple[str, str, Any]]


def as_stranger(path: Path, asked: Asked) -> list[tuple[int, Any]]:
    """Ask in a child that has become somebody else; return status and answer of each."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([0])  # the socket's group, here
            os.setresuid(STRANGER, STRANGER, STRANGER)
            said = []
            for method, where, body in asked:
                connection = http.client.HTTPConnection("localhost", timeout=PATIENCE_SECONDS)
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.connect(str(path))
                connection.request(method, where, body=None if body is None else json.dumps(body))
                answer = connection.getresponse()
                said.append((answer.status, json.loads(answer.read())))
            os.write(writing, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = [(status, answer) for status, answer in json.loads(pipe.read())]
    os.waitpid(child, 0)
    return found


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become somebody else")
def test_nobody_can_do_anything_about_the_workloads_of_others(directory: Path) -> None:
    with program() as process, running(directory, text=config(directory, "observe")) as daemon:
        roots = register(daemon, process)["id"]
        answers = as_stranger(
            daemon.socket,
            [
                ("POST", "/workloads", {"pid": process.pid}),
                ("POST", "/workloads", {"priority": 1}),
                ("GET", f"/workloads/{roots}", None),
                ("DELETE", f"/workloads/{roots}", None),
                ("POST", f"/workloads/{roots}/acknowledge", {}),
                ("POST", f"/workloads/{roots}/heartbeat", None),
                ("POST", "/workloads", {"name": "mine", "tell": "file"}),
                ("GET", "/workloads", None),
            ],
        )
        assert [status for status, _ in answers] == [403, 403, 403, 403, 403, 403, 201, 200]
        assert [each["name"] for each in answers[-1][1]["workloads"]] == ["mine"]
        assert answers[-2][1]["uid"] == STRANGER
        assert {line["caller"].split()[1] for line in daemon.lines("api_refused")} == {str(STRANGER)}


def connected(daemon: Daemon) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE_SECONDS)
    client.connect(str(daemon.directory / "run/pressure.sock"))
    client.sendall(b"some 200000 2000000\0")
    return client


def test_programs_that_wait_for_memory_pressure_are_woken_and_slow_ones_hold_nobody_up(tmp_path: Path) -> None:
    with running(tmp_path, text=config(tmp_path, "observe", scope="process")) as daemon:
        slow = [connected(daemon) for _ in range(50)]
        client = connected(daemon)
        before = daemon.get("/healthz")["sampling"]["sequence"]
        daemon.get(f"/resources/memory?wait=30&after={before + 2}")
        assert select.select([client], [], [], 0)[0] == []  # a rule that only observes wakes nobody

        text = config(tmp_path, scope="process") + 'only = { processes = ["nobody-is-called-so"] }\n'
        daemon.config.write_text(text)
        daemon.process.send_signal(signal.SIGHUP)
        for _ in range(3):
            assert client.recv(1)
        assert daemon.get("/readyz")["ready"] is True
        for each in slow:
            each.close()
        client.close()
    assert not (tmp_path / "run/pressure.sock").exists()


def test_a_rule_that_only_warns_wakes_who_waits_for_pressure_and_asks_nobody(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "tell"
    script.write_text(f"#!/bin/sh\n{shutil.which('cat')} > {told}.new && mv {told}.new {told}\n")
    script.chmod(0o755)
    text = config(tmp_path).replace('level = "soft"', 'level = "warn"')
    text = re.sub(r"steps = .*\n", "", text).replace("[actions]", f'[actions]\ncommand = ["{script}"]')
    with program() as process, running(tmp_path, text=text) as daemon:
        client = connected(daemon)
        lease = register(daemon, process, tell="signal", signal="SIGTERM")
        before = daemon.get("/healthz")["sampling"]["sequence"]
        daemon.get(f"/resources/memory?wait=30&after={before + 2}")

        assert client.recv(1)
        client.close()
        assert outcomes_of(daemon, lambda _: told.exists()) == []
        assert daemon.get(f"/workloads/{lease['id']}")["state"] == "registered"
        assert process.poll() is None
    warned = json.loads(told.read_text())["decision"]
    assert (warned["target"], warned["steps"], warned["reason"]) == (None, ["notify"], "the rule only warns")
