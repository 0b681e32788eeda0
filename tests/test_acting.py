"""The whole daemon acts: on processes that the test started, and on nobody else."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from resourced.acting import LiveWorld
from resourced.actions import Ledger
from resourced.collectors.base import Roots
from resourced.manager import ResourceManager, State
from resourced.policy import Need
from tests.actions.fakes import MEEK, STUBBORN, FakeWorkloads, await_stopped
from tests.policy.fakes import GIB, process, rules, run, snapshot, tick
from tests.running import PATIENCE_SECONDS, Daemon, running, settings

NAME = f"hog-{os.getpid()}"[:15]


@contextlib.contextmanager
def hog(directory: Path, text: str = MEEK) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program under a name that nobody else has."""
    (directory / NAME).symlink_to(Path(sys.executable).resolve())
    process = subprocess.Popen([directory / NAME, "-c", text], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        process.stdout.close()
        (directory / NAME).unlink()


def config(directory: Path, *steps: str, mode: str = "enforce", more: str = "", grace: str = "300ms") -> str:
    ladder = ", ".join(f'{{ step = "{step}", grace = "{grace}" }}' for step in steps)
    rule = f"""
[policy]
profile = "none"
mode = "{mode}"
[actions]
terminals = false
settle = "100ms"
{more}
[[rule]]
name = "always"
level = "hard"
metric = "memory.available"
below = "100%"
clear_for = "0s"
scope = "process"
min_gain = 0
cooldown = "300ms"
steps = [{ladder}]
only = {{ processes = ["{NAME}"] }}
"""
    return settings(directory, rule)


def ended(process: subprocess.Popen[bytes], daemon: Daemon) -> int:
    """Return how the process ended, as soon as it does."""
    descriptor = os.pidfd_open(process.pid)
    try:
        assert select.select([descriptor], [], [], PATIENCE_SECONDS)[0], daemon.text()
    finally:
        os.close(descriptor)
    return process.wait()


def outcomes_of(daemon: Daemon, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Return the outcomes of all decisions, oldest first, as soon as they are as wanted."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        found: list[dict[str, Any]] = []
        for decision in reversed(daemon.get("/decisions")["decisions"]):
            found += daemon.get(f"/decisions/{decision['id']}")["outcomes"]
        if wanted(found):
            return found
        assert time.monotonic() < ends, (found, daemon.text())
        time.sleep(0.05)


def test_who_does_not_listen_is_frozen_asked_and_killed_in_turn(tmp_path: Path) -> None:
    with (
        hog(tmp_path, STUBBORN) as process,
        running(tmp_path, text=config(tmp_path, "notify", "freeze", "terminate", "kill")) as daemon,
    ):
        assert ended(process, daemon) == -signal.SIGKILL
        found = outcomes_of(daemon, lambda each: any(o["step"] == "kill" for o in each))

    done = [each["step"] for each in found if each["result"] == "done"]
    assert done == ["notify", "freeze", "terminate", "kill"]
    kill = found[-1] if found[-1]["step"] == "kill" else next(o for o in found if o["step"] == "kill")
    assert kill["duration_seconds"] < 5
    assert kill["measured_gain"] is not None
    steps = [line["event"] for line in daemon.lines() if line["event"].startswith("step_")]
    assert steps[:4] == ["step_notify", "step_freeze", "step_terminate", "step_kill"]


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_nobody_is_touched_unless_it_is_wanted(tmp_path: Path, mode: str) -> None:
    text = config(tmp_path, "freeze", "terminate", "kill", mode=mode)
    with hog(tmp_path) as process, running(tmp_path, text=text) as daemon:
        outcomes_of(daemon, lambda _: len(daemon.lines("decision")) >= 1)
        before = daemon.get("/healthz")["sampling"]["sequence"]
        outcomes_of(daemon, lambda _: bool(daemon.get("/healthz")["sampling"]["sequence"] >= before + 5))

        assert process.poll() is None
        assert await_stopped(process.pid, stopped=False)
        courses = daemon.get("/actions")["courses"]
    assert [each["status"] for each in courses] == ([] if mode == "observe" else ["waiting"])


def test_an_approved_decision_runs_and_a_second_word_is_refused(tmp_path: Path) -> None:
    text = config(tmp_path, "terminate", mode="advise")
    with hog(tmp_path) as process, running(tmp_path, text=text) as daemon, daemon.unix() as client:
        outcomes_of(daemon, lambda _: bool(daemon.get("/actions")["courses"]))
        [course] = daemon.get("/actions")["courses"]
        answer = client.post(f"/decisions/{course['decision']}/approve")
        assert answer.status_code == 200, answer.text
        assert ended(process, daemon) == -signal.SIGTERM

        again = client.post(f"/decisions/{course['decision']}/approve")
        assert again.status_code == 409
        assert len(daemon.lines("approved")) == 1


def test_a_veto_thaws_what_was_frozen(tmp_path: Path) -> None:
    text = config(tmp_path, "freeze", grace="60s")
    with hog(tmp_path) as process, running(tmp_path, text=text) as daemon, daemon.unix() as client:
        assert await_stopped(process.pid)
        outcomes_of(daemon, lambda _: bool(daemon.get("/actions")["changes"]))
        [course] = daemon.get("/actions")["courses"]
        assert client.post(f"/decisions/{course['decision']}/veto").status_code == 200
        assert await_stopped(process.pid, stopped=False)
        outcomes_of(daemon, lambda each: any(o["result"] == "undone" for o in each))


def test_what_was_frozen_can_be_thawed_while_the_rest_goes_on(tmp_path: Path) -> None:
    text = config(tmp_path, "freeze", grace="60s")
    with hog(tmp_path) as process, running(tmp_path, text=text) as daemon, daemon.unix() as client:
        assert await_stopped(process.pid)
        outcomes_of(daemon, lambda _: bool(daemon.get("/actions")["changes"]))
        [course] = daemon.get("/actions")["courses"]
        assert client.post(f"/decisions/{course['decision']}/thaw").status_code == 200
        assert await_stopped(process.pid, stopped=False)
        outcomes_of(daemon, lambda each: any("thawed by uid" in (o["detail"] or "") for o in each))
        assert daemon.get("/actions")["changes"] == []
        assert [each["decision"] for each in daemon.get("/actions")["courses"]] == [course["decision"]]
        again = client.post(f"/decisions/{course['decision']}/thaw")
        assert (again.status_code, "nothing is frozen" in again.text) == (409, True)
        assert process.poll() is None


def test_the_end_of_the_daemon_thaws_what_it_froze(tmp_path: Path) -> None:
    with hog(tmp_path) as process, running(tmp_path, text=config(tmp_path, "freeze", grace="60s")) as daemon:
        assert await_stopped(process.pid)
        assert daemon.end() == 0
        assert await_stopped(process.pid, stopped=False)


def test_what_a_killed_daemon_left_frozen_is_thawed_by_the_next(tmp_path: Path) -> None:
    with hog(tmp_path) as process:
        with running(tmp_path, text=config(tmp_path, "freeze", grace="60s")) as daemon:
            outcomes_of(daemon, lambda each: any(o["step"] == "freeze" for o in each))
            daemon.end(signal.SIGKILL)
        assert json.loads((tmp_path / "run/actions.json").read_text())["changes"]
        assert await_stopped(process.pid)

        with running(tmp_path, text=config(tmp_path, "freeze", mode="observe")) as daemon:
            assert await_stopped(process.pid, stopped=False)
            outcomes_of(daemon, lambda each: any(o["result"] == "undone" for o in each))
        assert json.loads((tmp_path / "run/actions.json").read_text())["changes"] == []


def test_a_reload_that_takes_the_mode_back_thaws_what_was_frozen(tmp_path: Path) -> None:
    with (
        hog(tmp_path) as process,
        running(tmp_path, text=config(tmp_path, "freeze", grace="60s")) as daemon,
    ):
        assert await_stopped(process.pid)
        daemon.config.write_text(config(tmp_path, "freeze", mode="observe"))
        daemon.process.send_signal(signal.SIGHUP)
        assert await_stopped(process.pid, stopped=False)


def test_a_command_and_a_webhook_are_told(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "tell"
    script.write_text(f"#!/bin/sh\n{shutil.which('cat')} > {told}.new && mv {told}.new {told}\n")
    script.chmod(0o755)
    more = f'command = ["{script}"]\nwebhook = "http://127.0.0.1:9/secret?token=word"\nwebhook_timeout = "1s"'
    with hog(tmp_path), running(tmp_path, text=config(tmp_path, "freeze", mode="observe", more=more)) as daemon:
        outcomes_of(daemon, lambda _: told.exists())
        decision = json.loads(told.read_text())["decision"]
        failed = daemon.lines("message_failed")

    assert decision["rule"] == "always"
    assert decision["target"]["name"] == NAME
    assert failed[0]["receiver"] == "http://127.0.0.1:9"
    assert "secret" not in json.dumps(failed)
    assert "word" not in json.dumps(failed)


def test_what_the_newest_state_does_not_know_of_can_not_be_over() -> None:
    fires, rests = ({"memory.utilization": value} for value in (0.95, 0.5))
    machine = snapshot(0, processes=[process(7, memory_bytes=GIB)])
    compiled = rules(
        {"name": "low", "metric": "memory.utilization", "above": "90%", "level": "hard", "scope": "process"}
    )
    [decision], _ = run([tick(0, {**fires}, machine)], compiled)
    _, later = run([tick(1, {**rests}, machine)], compiled)
    newest = State(snapshot(1, processes=[process(7, memory_bytes=GIB)]), later, 0.0, 0.0)
    known = set[str]()
    manager = SimpleNamespace(
        state=newest, rules=compiled, knows=lambda each: each.id in known, compared=lambda: None, tick=lambda: newest
    )
    world = LiveWorld(
        cast("ResourceManager", manager),
        cast("Any", None),
        report=lambda _event, _fields: None,
        ledger=Ledger(None, "boot", Roots(), lambda _: None),
        interrupted=lambda: False,
        roots=Roots(),
        workloads=FakeWorkloads(),
    )
    assert decision.target is not None

    assert world.need(decision) is Need.UNKNOWN
    assert world.look(decision, decision.target, fresh=False).need is Need.UNKNOWN
    known.add(decision.id)
    assert world.need(decision) is Need.OVER
    assert world.look(decision, decision.target, fresh=False).need is Need.OVER
