"""`resourcectl run`, as processes that become others. The scope is made by a small stand-in for systemd-run."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.ctl import Exit
from resourced.ctl.run import run
from tests.client.workload_daemon import PATIENCE_SECONDS, WorkloadDaemon, keeping

NO_SYSTEMD = "import resourced.ctl.scope as scope\nfrom pathlib import Path\nscope._BOOTED = Path({booted!r})\n"
MAIN = "import sys\nsys.argv[0] = 'resourcectl'\nfrom resourced.ctl import main\nmain()\n"
SHOW = 'echo "$$ $RESOURCED_WORKLOAD $MEMORY_PRESSURE_WATCH $RESOURCED_WORKLOAD_FILE"'


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkloadDaemon]:
    for name in ("RESOURCED_WORKLOAD", "MEMORY_PRESSURE_WATCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RESOURCED_SOCKET", str(tmp_path / "socket"))
    with keeping(tmp_path / "socket") as kept:
        yield kept


def start(*arguments: str, booted: str = "/nowhere", path: str | None = None) -> "subprocess.Popen[str]":
    code = NO_SYSTEMD.format(booted=booted) + MAIN
    environ = {**os.environ, **({"PATH": path} if path else {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code, "run", *arguments], text=True, env=environ, **pipes)  # type: ignore[call-overload,no-any-return]


def done(*arguments: str, booted: str = "/nowhere", path: str | None = None) -> tuple[int, str, str]:
    with start(*arguments, booted=booted, path=path) as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out.strip(), err.strip()


def test_the_command_is_the_process_that_was_registered(daemon: WorkloadDaemon) -> None:
    arguments = ["--priority", "low", "--grace", "2min", "--name", "train", "--restartable", "--no-scope"]
    with start(*arguments, "--", "sh", "-c", f"{SHOW}; read x; exit 7") as process:
        assert process.stdout is not None
        pid, identity = process.stdout.readline().split()[:2]
        assert int(pid) == process.pid
        assert list(daemon.registered) == [identity]
        process.communicate("\n")
    assert process.returncode == 7
    assert daemon.said[0] == ("POST", {
        "name": "train", "priority": -100.0, "tell": "stream", "grace_seconds": 120.0, "restartable": True,
        "scope": "process",
    })  # fmt: skip
    assert [what for what, _ in daemon.said] == ["POST"]  # the end of the process ends it, and nobody else


def test_without_systemd_it_says_so_in_a_line_and_goes_on(daemon: WorkloadDaemon) -> None:
    code, out, err = done("sh", "-c", "echo --json; exit 3")
    assert (code, out) == (3, "--json")
    assert err == "resourcectl: systemd does not run this machine: sh runs without a scope"
    assert daemon.said[0][1]["name"] == "sh"


def test_limits_without_a_scope_are_an_error(daemon: WorkloadDaemon) -> None:
    code, out, err = done("--memory-max", "1G", "--", "echo", "ran")
    assert (code, out) == (Exit.FAILED, "")
    assert "limits need a scope" in err
    assert daemon.said == []


def test_without_a_daemon_it_says_so_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESOURCED_SOCKET", str(tmp_path / "none"))
    code, out, err = done("--no-scope", "sh", "-c", "echo ran; exit 5")
    assert (code, out) == (5, "ran")
    assert "systemctl start resourced" in err
    assert "without being registered" in err
    assert len(err.splitlines()) == 1


def test_a_wish_that_is_refused_starts_nothing(daemon: WorkloadDaemon) -> None:
    daemon.refusal = (403, "a priority above 0 takes an admin")
    code, out, err = done("--no-scope", "--priority", "high", "echo", "ran")
    assert (code, out) == (Exit.NOT_ALLOWED, "")
    assert "takes an admin" in err
    daemon.refusal = (503, "there are 1000 workloads already")
    code, out, err = done("--no-scope", "echo", "ran")
    assert (code, out) == (0, "ran")
    assert "1000 workloads" in err


def test_a_command_that_can_not_be_run_says_why(daemon: WorkloadDaemon, tmp_path: Path) -> None:
    code, _, err = done("--no-scope", "no-such-command")
    assert (code, "No such file" in err) == (Exit.NO_COMMAND, True)
    (tmp_path / "plain").write_text("text")
    code, _, err = done("--no-scope", str(tmp_path / "plain"))
    assert (code, "Permission denied" in err) == (Exit.CANNOT_RUN, True)


def test_the_command_gets_signals_as_any_program_does(daemon: WorkloadDaemon) -> None:
    code, out, _ = done("--no-scope", "--signal", "usr1", "--", "grep", "SigIgn", "/proc/self/status")
    assert code == 0
    ignored = int(out.split()[1], 16)
    assert not ignored >> (signal.SIGPIPE - 1) & 1
    assert daemon.said[0][1]["signal"] == "SIGUSR1"
    assert daemon.said[0][1]["tell"] == "signal"


def test_where_pressure_is_told_is_told_unless_somebody_else_tells(daemon: WorkloadDaemon, tmp_path: Path) -> None:
    import socket  # noqa: PLC0415 - only here

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "pressure.sock"))
        assert done("--no-scope", "sh", "-c", SHOW)[1].split()[2] == str(tmp_path / "pressure.sock")
        os.environ["MEMORY_PRESSURE_WATCH"] = "/mine"
        try:
            assert done("--no-scope", "sh", "-c", SHOW)[1].split()[2] == "/mine"
        finally:
            del os.environ["MEMORY_PRESSURE_WATCH"]


def test_with_systemd_it_becomes_a_scope_with_limits_first(daemon: WorkloadDaemon, tmp_path: Path) -> None:
    made = tmp_path / "systemd-run"
    made.write_text(
        f"#!/bin/sh\nfor each; do printf '%s\\n' \"$each\"; done > {shlex.quote(str(tmp_path / 'asked'))}\n"
        'while [ "$1" != "--" ]; do shift; done\nshift\nexec "$@"\n'
    )
    made.chmod(0o755)
    limits = ["--memory-high", "8G", "--memory-max", "50%", "--cpu-weight", "20"]
    code, out, err = done(
        *limits, "--system", "--grace", "1min", "--name", "a b/c", "--", "sh", "-c", f"{SHOW}; exit 9",
        booted=str(tmp_path), path=f"{tmp_path}:{os.environ['PATH']}",
    )  # fmt: skip
    assert (code, err) == (9, "")
    asked = (tmp_path / "asked").read_text().splitlines()
    options, inner = asked[: asked.index("--")], asked[asked.index("--") + 1 :]
    pid = out.split()[0]
    assert options == [
        "--system", "--scope", "--quiet", "--collect", f"--unit=run-a_b_c-{pid}.scope", "--description=a b/c",
        f"--property=MemoryHigh={8 << 30}", "--property=MemoryMax=50%", "--property=CPUWeight=20",
    ]  # fmt: skip
    assert inner[-4:-1] == ["--", "sh", "-c"]
    assert daemon.said[0][1] == {
        "name": "a b/c", "priority": 0.0, "tell": "stream", "grace_seconds": 60.0, "restartable": False,
        "scope": "unit",
    }  # fmt: skip


def test_a_manager_of_the_user_that_does_not_run_is_no_reason_to_stop(
    daemon: WorkloadDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "systemd-run").touch(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    code, out, err = done("--user", "echo", "ran", booted=str(tmp_path), path=path)
    assert (code, out) == (0, "ran")
    assert "enable-linger" in err
    code, out, err = done("echo", "ran", booted=str(tmp_path), path="/nowhere")
    assert "systemd-run is not installed" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Missing argument"),
        (["--priority", "urgent", "true"], "is not low, normal, high"),
        (["--priority", "1001", "true"], "from -1000 to 1000"),
        (["--grace", "soon", "true"], "is not a duration"),
        (["--grace", "2h", "true"], "more than an hour"),
        (["--memory-max", "much", "true"], "is not a size"),
        (["--cpu-weight", "0", "true"], "range"),
        (["--tell", "file", "--signal", "USR1", "true"], "--signal is for --tell signal"),
        (["--no-scope", "--memory-max", "1G", "true"], "leave --no-scope out"),
        (["--nonsense", "true"], "No such option"),
    ],
)
def test_a_wrong_command_line_is_told(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", *arguments]) == Exit.USAGE
    assert text in capsys.readouterr().err
