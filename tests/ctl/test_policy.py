"""`resourcectl policy` as a person would try it: on a daemon's own store, on recordings, with what can be wrong."""

import contextlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resourced.ctl import Exit
from resourced.ctl.run import run
from resourced.history import History
from tests.history.fakes import FakeClock
from tests.running import running, settings
from tests.scenarios.recordings import ticks

RULES = """
[policy]
profile = "none"
mode = "enforce"
[actions]
terminals = false
[[rule]]
name = "busy"
level = "soft"
metric = "memory.utilization"
above = "0.1%"
for = "1s"
scope = "process"
rank = ["newest", "over_share"]
cooldown = "1s"
min_gain = 0
# The daemon is a real one, on the machine that runs the tests.
steps = [{ step = "notify", grace = "1s" }]
only = { processes = ["rehearsed"] }
"""


# httpcore leaves a Unix socket whose connection failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no daemon of this machine answer."""
    monkeypatch.setenv("RESOURCED_SOCKET", "/nowhere/at/all")


def told(*arguments: str, code: int = Exit.OK) -> tuple[str, str]:
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        assert run(("policy", *arguments)) == code, error.getvalue()
    return out.getvalue(), error.getvalue()


def answer(*arguments: str) -> Any:
    return json.loads(told(*arguments, "--json")[0])


@pytest.fixture(scope="module")
def leak(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("leak")
    with History(directory, clock=FakeClock(), report=lambda *_: None) as history:
        for tick in ticks("leak"):
            assert tick.snapshot is not None
            history.append(tick.snapshot, (tick.layout, tick.values))
    return str(directory / "history.db")


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[None]:
    """Run some programs that the rule may choose."""
    name = tmp_path / "rehearsed"
    name.symlink_to(str(shutil.which("sleep")))
    started = [subprocess.Popen([str(name), "600"]) for _ in range(12)]
    yield
    for each in started:
        each.kill()
        each.wait()


@pytest.mark.usefixtures("sleepers")
def test_a_real_daemon_decided_what_replay_decides(tmp_path: Path) -> None:
    with running(tmp_path, text=settings(tmp_path, RULES)) as daemon:
        seen = 0
        while len(daemon.get("/decisions")["decisions"]) < 3:
            seen = daemon.get(f"/resources/all?wait=20&after={seen}")["sequence"]
        daemon.end()

        found = answer("replay", "--recording", str(tmp_path / "state/history.db"), "--policy", str(daemon.config))

    compared = found["comparison"]
    assert len(compared["same"]) == len(found["decisions"]) >= 3
    assert (compared["new"], compared["gone"], compared["moved"]) == ([], [], [])
    assert found["against"]["policy"] == "what was decided"
    assert all(each["target"] for each in found["decisions"])


@pytest.mark.usefixtures("sleepers")
def test_a_daemon_that_runs_gives_its_past_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path, text=settings(tmp_path, RULES)) as daemon:
        seen = 0
        while not daemon.get("/decisions")["decisions"]:
            seen = daemon.get(f"/resources/all?wait=20&after={seen}")["sequence"]
        monkeypatch.setenv("RESOURCED_SOCKET", str(daemon.socket))
        found = answer("replay", "--since", "1h", "--policy", str(daemon.config))
        monkeypatch.setenv("RESOURCED_SOCKET", f"http://127.0.0.1:{daemon.port}")
        _, refused = told("replay", code=Exit.NOT_ALLOWED)
    assert found["comparison"]["same"]
    assert (found["comparison"]["new"], found["comparison"]["moved"]) == ([], [])
    assert "--recording" in refused


def test_replay_tells_what_when_whom_and_how_long_before_a_kill(leak: str) -> None:
    text, _ = told("replay", "--recording", leak, "--policy", "default", "--against", "desktop")

    assert "memory-exhaustion  leaky.service" in text
    assert "kill  -       4m 5s before" in text
    assert "Against desktop: 0 the same" in text
    assert "gone" in text
    assert "moved" in text
    assert "a day" in text


def test_replay_tells_programs_the_same(leak: str) -> None:
    found = answer("replay", "--recording", leak, "--policy", "default")

    assert found["kills"][0]["seconds_before"] == pytest.approx(245, abs=5)
    assert found["prunes"] == sum(each["level"] != "warn" for each in found["decisions"])
    assert found["ticks"] > 300
    assert len(found["comparison"]["new"]) == len(found["decisions"])


def test_a_time_without_samples_is_said(leak: str) -> None:
    assert "Nothing was recorded" in told("replay", "--recording", leak, "--policy", "default", "--since", "1h")[0]


def test_suggestions_say_why_and_apply_nothing(tmp_path: Path, leak: str) -> None:
    with History(tmp_path, clock=FakeClock(), report=lambda *_: None) as history:
        for tick in ticks("host"):
            assert tick.snapshot is not None
            history.append(tick.snapshot, (tick.layout, tick.values))
    store = str(tmp_path / "history.db")

    text, _ = told("suggest", "--recording", store, "--policy", "default")

    assert "98 of 100 values" in text
    assert "; suggested " in text
    assert "Too little is known" in told("suggest", "--recording", leak, "--policy", "default")[0]
    assert answer("suggest", "--recording", store, "--policy", "default")[0]["samples"] > 1000


def test_check_finds_what_is_wrong_and_where(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text('[[rule]]\nname = "a"\nmetric = "memory.avialable"\nbelow = "5%"\n')
    text, _ = told("check", str(file), code=Exit.FAILED)
    assert "did you mean" in text
    assert f"{file}:" in text

    file.write_text('[[rule]]\nname = "a"\nmetric = "memory.utilization"\nabove = "100%"\n')
    text, _ = told("check", str(file))
    assert "it can never fire" in text

    out, _ = told("check", str(file), "--json")
    assert json.loads(out)["good"] is True
    assert told("check", "gpu-server")[0].startswith("The policy is good")
    told("check", str(tmp_path / "none.toml"), code=Exit.FAILED)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--since", "bogus"), Exit.USAGE, "is not a time"),
        (("--since", "1h", "--until", "2h"), Exit.USAGE, "is not after"),
        (("--policy", "/nowhere.toml"), Exit.FAILED, "No such file"),
    ],
)
def test_what_can_not_be_done_is_said(leak: str, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    _, error = told("replay", "--recording", leak, *arguments, code=code)
    assert sentence in error


def test_without_a_history_there_is_nothing_to_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("resourced.rehearsal.SYSTEM_STORE", tmp_path / "none.db")
    _, error = told("replay", code=Exit.NOT_FOUND)
    assert "there is no history at" in error


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_text("x" * 5000)
    told("replay", "--recording", str(file), "--policy", "default", code=Exit.FAILED)


def test_a_history_that_may_not_be_read_is_said(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    _, error = told("replay", "--recording", leak, "--policy", "default", code=Exit.NOT_ALLOWED)
    assert "may not be read" in error


def test_the_policy_in_force_is_the_default(tmp_path: Path, leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    (tmp_path / "resourced.toml").write_text(
        RULES.replace('"memory.utilization"', '"memory.total"').replace("0.1%", "1MiB")
    )
    found = answer("replay", "--recording", leak)
    assert found["policy"] == "the policy in force"
    assert {each["rule"] for each in found["decisions"]} == {"busy"}
