import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from resourced.clock import SystemClock
from resourced.ctl import Exit
from resourced.ctl.run import run
from resourced.history import History
from tests.api.fakes import make_snapshot
from tests.client.fakes import DECISION, RECORDING, FakeDaemon, running
from tests.ctl.speaking import told

# httpcore leaves a Unix socket whose connection failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


VERBS = [
    ("status",),
    ("top",),
    ("history", "m"),
    ("history", "--stats"),
    ("history", "top", "--of", "unit"),
    ("top", "--at", "03:12"),
    ("decisions",),
    ("explain", DECISION.id),
    ("why", "10"),
    ("why", "hog.service"),
    ("catalog",),
    ("log-level", "debug"),
    ("approve", DECISION.id),
    ("veto", DECISION.id),
    ("watch", "--count", "2"),
    ("watch", "-n", "1", "--rule", "r"),
    ("actions",),
    ("freeze", "list"),
    ("thaw", DECISION.id),
    ("thaw", "hog.service"),
    ("thaw", "77"),
    ("workloads",),
    ("config", "show"),
    ("config", "show", "port"),
    ("config", "check"),
    ("top", "--tree", "-n", "2"),
    ("top", "--by", "unit"),
    ("top", "--by", "user"),
    ("top", "--by", "gpu"),
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_speaks_to_people_and_to_programs(daemon: FakeDaemon, verb: tuple[str, ...]) -> None:
    assert told(*verb).strip()
    assert told("--json", *verb) == told(*verb, "--json")
    for line in told(*verb, "--json").splitlines():
        json.loads(line)


def test_status_names_what_is_wrong(daemon: FakeDaemon) -> None:
    text = told("status")
    assert "memory-low fires" in text
    assert "gpus ! stale: overran" in text
    assert "workloads  1 told, 1 registered" in text
    assert "rivals     systemd-oomd (ManagedOOM units: user@.service), earlyoom" in text
    del daemon.answers["GET /workloads"]
    assert "workloads  -" in told("status")


def test_top_sorts_filters_and_shows_no_control_characters(daemon: FakeDaemon) -> None:
    lines = told("top").splitlines()
    assert [line.split()[0] for line in lines] == ["PID", "11", "10", "12"]
    assert "\x1b" not in "".join(lines)
    assert [row["id"] for row in json.loads(told("top", "--json", "--filter", "small"))] == [10]
    assert len(json.loads(told("top", "--json", "--limit", "1"))) == 1
    assert "4242424" in told("top", "--by", "user")
    assert "/a.slice" in told("top", "--by", "unit")
    assert told("top", "--by", "gpu", "--sort", "cpu").splitlines()[-1].endswith("small")


def test_history_draws_and_writes_csv(daemon: FakeDaemon) -> None:
    assert "max 4.0 KiB" in told("history", "m")
    assert told("history", "m", "--csv").splitlines()[1:] == ["0.0,1024.0", "10.0,", "20.0,4096.0"]
    assert "0.25 bytes" in told("history", "--stats")
    assert "minutes" in told("status")
    assert [path for _, path, _, _ in daemon.asked if "aggregate=max" in path]
    status, body = daemon.answers["GET /history"]
    empty = {**body["series"][0], "series": "other", "values": [None, None, None]}
    daemon.answers["GET /history"] = (status, {**body, "series": [*body["series"], empty]})
    assert "(no values)" in told("history", "m", "other")
    daemon.answers["GET /history"] = (status, {**body, "times": [], "series": []})
    assert "Nothing was recorded" in told("history", "m")


def test_a_recording_is_taken_and_kept_elsewhere(daemon: FakeDaemon, tmp_path: Path) -> None:
    taken = tmp_path / "night"
    assert "97.7 KiB" in told("history", "export", str(taken), "--since", "8h")
    assert taken.read_bytes() == RECORDING
    assert run(["history", "export", str(taken)]) == Exit.FAILED


def test_an_import_refuses_what_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"text")
    assert run(["history", "import", str(wrong), "--directory", str(tmp_path / "state")]) == Exit.FAILED
    assert "can't be imported" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_an_import_is_a_history_from_then_on(tmp_path: Path) -> None:
    with History(tmp_path / "live", clock=SystemClock(), report=lambda *_: None) as history:
        history.append(make_snapshot())
        history.export(tmp_path / "night", 0, 1e11)
    assert "holds" in told("history", "import", str(tmp_path / "night"), "--directory", str(tmp_path / "state"))
    with History(tmp_path / "state", clock=SystemClock(), report=lambda *_: None) as history:
        assert history.at(make_snapshot().time)["time"] == make_snapshot().time


def test_explain_shows_candidates_and_outcomes(daemon: FakeDaemon) -> None:
    text = told("explain", DECISION.id)
    assert "hog.service must give way" in text
    assert "never pruned" in text
    assert "kill done on hog.service, freed 3.6 GiB: gone after 100 ms" in text
    daemon.answers["GET /decisions"] = (200, {"decisions": []})
    assert "Nothing was decided" in told("decisions")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("reload",), Exit.NOT_ALLOWED, "changes need an admin"),
        (("explain", "nothing"), Exit.NOT_FOUND, "Not found"),
        (("--socket", "/nowhere/at/all", "top"), Exit.NOT_RUNNING, "systemctl start resourced"),
        (("nonsense",), Exit.USAGE, "No such command"),
        (("history",), Exit.USAGE, "at least one metric"),
        (("history", "m", "--step", "1s", "--points", "3"), Exit.USAGE, "not both"),
        (("--socket", "a", "--url", "b", "top"), Exit.USAGE, "not both"),
        (("--token-file", "/nowhere", "top"), Exit.USAGE, "can't be read"),
    ],
)
def test_failures_end_with_a_code_and_a_sentence(
    daemon: FakeDaemon, arguments: tuple[str, ...], code: Exit, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    assert text in capsys.readouterr().err


def test_it_works_over_tcp_with_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with running() as daemon:
        told("--url", daemon.address, "--token-file", str(tmp_path / "token"), "decisions")
        assert daemon.asked[0][2]["authorization"] == "Bearer secret"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(shell: str) -> None:
    assert "_RESOURCECTL_COMPLETE" in told("completion", shell)


def test_help_is_quick_as_it_imports_neither_client_library_nor_rich() -> None:
    code = (
        "import sys\nfrom resourced.ctl.run import run\n"
        "assert run(['--help']) == 0\nassert run(['top', '--help']) == 0\n"
        "sys.exit(bool({'httpx', 'rich', 'pydantic', 'numpy', 'structlog'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_goes_away_is_no_traceback(daemon: FakeDaemon) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "resourced.ctl", "top", "--json"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (Exit.PIPE_CLOSED, b"")


def test_json_on_a_terminal_holds_nothing_that_it_would_obey(daemon: FakeDaemon) -> None:
    status, body = daemon.answers["GET /workloads"]
    odd = [{**each, "name": "a\x9b2J\x7f\u2028b"} for each in body["workloads"]]
    daemon.answers["GET /workloads"] = (status, {**body, "workloads": odd})
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "resourced.ctl", "--json", "workloads"], stdin=slave, stdout=slave, stderr=slave
    ):
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):
            while data := os.read(master, 65536):
                shown += data
    os.close(master)
    assert shown.isascii()
    assert b"\x7f" not in shown
    assert json.loads(shown)[0]["name"] == odd[0]["name"]
