"""What single verbs say: freezing and thawing, workloads, watching, configuration."""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import pytest

from resourced.config import LogConfig
from resourced.ctl import Exit
from resourced.ctl.daemon import _LEVELS
from resourced.ctl.run import run
from resourced.journal import LEVELS
from tests.client.fakes import DECISION, OUTLOOK, FakeDaemon
from tests.ctl.speaking import told

# httpcore leaves a Unix socket whose connection failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


def test_only_what_stands_still_is_listed_as_frozen(daemon: FakeDaemon) -> None:
    lines = told("freeze", "list").splitlines()
    assert [line.split()[-1] for line in lines] == ["TARGET", "hog.service", "worker"]
    assert [each["target"] for each in json.loads(told("freeze", "list", "--json"))] == ["hog.service", "worker"]
    daemon.answers["GET /actions"] = (200, {"courses": [], "changes": [], "rivals": []})
    assert told("freeze", "list") == "Nothing is frozen.\n"
    assert "Nothing is under way" in told("actions")


def test_thaw_finds_the_decision_by_id_name_or_pid(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert told("thaw", "worker") == "worker runs on.\n"
    assert told("thaw", "77") == "worker runs on.\n"
    assert told("thaw", DECISION.id) == "hog.service, worker runs on.\n"
    posted = [path for method, path, _, _ in daemon.asked if method == "POST"]
    assert posted == [f"/decisions/{DECISION.id}/thaw"] * 3
    assert run(["thaw", "slow.service"]) == Exit.NOT_FOUND
    assert "freeze list" in capsys.readouterr().err
    daemon.answers[f"POST /decisions/{DECISION.id}/thaw"] = (403, {"title": "Forbidden", "detail": "takes root"})
    assert run(["thaw", "worker"]) == Exit.NOT_ALLOWED


def test_workloads_are_listed_with_what_is_asked_of_them(daemon: FakeDaemon) -> None:
    header, first, second, sentence = told("workloads").splitlines()
    assert header.split() == ["ID", "PID", "USER", "PRIORITY", "GRACE", "STATE", "UNTIL", "NAME"]
    assert first.split()[:5] == ["w-1", "10", "root", "-5", "1m"]
    assert first.endswith("train (train.scope)")
    assert second.split()[-3:] == ["registered", "-", "idle"]
    assert sentence == "train is asked by memory-low: Memory is low."
    daemon.answers["GET /workloads"] = (200, {"workloads": []})
    assert "resourcectl run" in told("workloads")


EVENTS: list[tuple[str, dict[str, object], str]] = [
    ("decision", {"id": "d1", "time": 1.7e9, "rule": "r", "level": "hard", "mode": "enforce",
                  "target": {"name": "hog", "unit": "hog.service"}}, "r (hard, enforce): hog"),
    ("outcome", {"decision_id": "d1", "time": 1.7e9, "step": "kill", "result": "done", "target": "hog",
                 "detail": "gone"}, "kill done on hog: gone"),
    ("rule", {"rule": "r", "instance": "gpu0", "phase": "firing"}, "r gpu0 is firing"),
    ("collector", {"collector": "gpus", "health": {"status": "stale", "reason": "overran", "time": 1.7e9}},
     "gpus is stale: overran"),
    ("workload", {"change": "lapsed", "reason": "unheard", "workload": {"id": "w-1", "name": "train",
                                                                       "unit": "train.scope"}},
     "train (w-1) lapsed: unheard"),
    ("event", {"time": 1.7e9, "message": "The disk is full", "fields": {"unit": "hog.service"}}, "The disk is full"),
    ("sample", {"sequence": 3, "time": 1.7e9}, "sample 3"),
    ("rule", {"rule": "other"}, "other"),
]  # fmt: skip


def stream(events: list[tuple[str, dict[str, object], str]]) -> bytes:
    return b"".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode() for kind, data, _ in events)


def test_watch_says_each_kind_of_event_on_a_line(daemon: FakeDaemon) -> None:
    daemon.answers["GET /events"] = (200, stream(EVENTS))
    lines = told("watch", "--count", str(len(EVENTS)), "--since", "1h").splitlines()
    for line, (kind, _, text) in zip(lines, EVENTS, strict=True):
        assert line.split()[-len(text.split()) - 1] == kind
        assert line.endswith(text)
    assert daemon.asked[0][1] == "/events?since=1h"


def test_watch_lets_through_what_is_about_a_rule_or_a_unit(daemon: FakeDaemon) -> None:
    daemon.answers["GET /events"] = (200, stream(EVENTS))
    assert [json.loads(line)["kind"] for line in told("watch", "-n", "3", "--rule", "r", "--json").splitlines()] == [
        "decision", "outcome", "rule",
    ]  # fmt: skip
    assert "train" in told("watch", "-n", "1", "--unit", "train.scope")
    kinds = [
        json.loads(line)["kind"] for line in told("watch", "-n", "2", "--unit", "hog.service", "--json").splitlines()
    ]
    assert kinds == ["decision", "event"]


def test_watch_asks_to_which_rule_an_outcome_belongs(daemon: FakeDaemon) -> None:
    outcome = {"decision_id": DECISION.id, "time": 1.7e9, "step": "kill", "result": "done", "target": "hog"}
    lost = {**outcome, "decision_id": "lost"}
    daemon.answers["GET /events"] = (200, stream([("outcome", lost, ""), ("outcome", outcome, "")]))
    assert "kill done on hog" in told("watch", "-n", "1", "--rule", DECISION.rule)


def test_the_configuration_in_force_is_the_daemons_and_says_where_it_comes_from(daemon: FakeDaemon) -> None:
    assert told("config", "show") == "[api]\nport = 9000  # /etc/resourced/resourced.toml:2\n"
    assert told("config", "show", "--changed").splitlines()[1].split() == [
        "api.port", "9000", "/etc/resourced/resourced.toml:2",
    ]  # fmt: skip
    assert list(json.loads(told("config", "show", "history", "--json"))["settings"]) == ["history.enabled"]
    assert told("config", "show", "nothing") == "There is no setting nothing.\n"
    del daemon.answers["GET /config"]
    assert run(["config", "show"]) == Exit.NOT_FOUND


def test_without_a_daemon_the_files_say_what_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESOURCED_SOCKET", str(tmp_path / "none"))
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("resourced.client.base.ClientBase._pauses", lambda _: iter(()))
    file = tmp_path / "resourced.toml"
    file.write_text("[api]\nport = 9000\n")
    assert told("config", "show", "api.port").splitlines()[1].split() == ["api.port", "9000", f"{file}:2"]
    assert run(["--socket", str(tmp_path / "none"), "config", "show"]) == Exit.NOT_RUNNING
    file.write_text("[api]\nport = 'x'\n")
    assert run(["config", "show"]) == Exit.FAILED


def test_a_check_tells_every_fault_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[api]\nport = 9000\n")
    assert "is good" in told("config", "check", str(file))
    file.write_text('[api]\nport = "x"\nprot = 1\n[[rule]]\nname = "r"\nmetric = "memory.availble"\nbelow = "5%"\n')
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run(["config", "check", str(file)]) == Exit.FAILED
    assert f"{file}:2" in out.getvalue()
    assert f"{file}:3" in out.getvalue()
    file.write_text('[[rule]]\nname = "r"\nmetric = "memory.available"\nbelow = "1000%"\n')
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run(["config", "check", str(file), "--json"])
    assert json.loads(out.getvalue())["good"] is (code == Exit.OK)


def test_the_help_has_room_for_what_each_verb_does() -> None:
    assert "..." not in told("--help").partition("Commands:")[2]


def test_every_verb_says_what_it_does_and_takes_json() -> None:
    import click  # noqa: PLC0415 - only here

    from resourced.ctl.app import VERBS, app  # noqa: PLC0415 - only here

    def leaves(group: click.Group, context: click.Context) -> Iterator[click.Command]:
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            yield from leaves(found, context) if isinstance(found, click.Group) else [found]

    context = click.Context(app)
    found = list(leaves(app, context))
    assert len(found) > len(VERBS)
    for verb in found:
        assert verb.help, verb.name
        options = {each for option in verb.params for each in option.opts}
        assert {"--json", "--socket", "--url", "--token-file"} <= options or verb.name == "completion", verb.name
        assert ("-n" in options) == ("--limit" in options or "--count" in options), verb.name


def test_why_tells_in_a_sentence_and_shows_what_is_compared(daemon: FakeDaemon) -> None:
    sentence, _, _, low, swap, hot = told("why", "10").splitlines()
    assert sentence == (
        "Process 10 does not have to give way now. It would be the first if one of these fired: memory-low;"
        " at the present pace that is in 5m 40s."
    )
    assert low.split() == [
        *("soft", "inactive", "1", "of", "12", "2.8", "GiB", "below", "954", "MiB", "5m", "40s"),
        *("memory-low", "memory.available"),
    ]
    assert swap.split() == ["-", "below", "10%", "-", "swap.free"]
    assert hot.split()[:3] == ["hard", "inactive", "-"]
    assert hot.endswith("gpu-hot GPU-1  memory.available")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"protected": "it is sshd"}, "hog.service does not have to give way: it is sshd."),
        ({"next": False}, "hog.service does not have to give way, and others would go first."),
        ({"seconds_left": None}, "fired: memory-low; none of these is approached."),
        ({"prune": True}, "hog.service has to give way now, by a rule that fires."),
    ],
)
def test_why_gives_the_reason(daemon: FakeDaemon, changed: dict[str, object], said: str) -> None:
    daemon.answers["GET /prune?"] = (200, {**json.loads(json.dumps(asdict(OUTLOOK))), **changed})
    assert said in told("why", "hog.service").splitlines()[0]


def test_the_levels_of_the_log_are_those_of_the_daemon() -> None:
    assert sorted(_LEVELS) == sorted(LEVELS) == sorted(get_args(LogConfig.model_fields["level"].annotation))
