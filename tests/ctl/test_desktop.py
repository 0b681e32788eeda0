import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from resourced.client.sse import ServerEvent
from resourced.ctl import Exit
from resourced.ctl.desktop import Notifications, command
from resourced.ctl.run import run
from resourced.decision import Candidate, Decision, Mode, Outcome, Scope, Step
from tests.client.fakes import DECISION, FakeDaemon

MINE = Candidate(Scope.UNIT, "/user.slice/train.service:7", "train.service", uid=os.getuid())
ENFORCED = replace(DECISION, mode=Mode.ENFORCE, target=MINE, steps=(Step.NOTIFY, Step.TERMINATE))
ENDED = Outcome(ENFORCED.id, 2.0, Step.TERMINATE, "done", MINE.name, detail="asked <1> process to end")


def event(item: Decision | Outcome) -> ServerEvent:
    kind = "decision" if isinstance(item, Decision) else "outcome"
    return ServerEvent(kind, json.loads(json.dumps(asdict(item))))


def summaries(*items: Decision | Outcome, uid: int | None = os.getuid()) -> list[str]:
    notifications = Notifications(uid)
    return [shown.summary for item in items if (shown := notifications.of(event(item)))]


@pytest.mark.parametrize(
    ("mode", "said"),
    [("enforce", "must give way"), ("advise", "should give way"), ("observe", "would have to give way")],
)
def test_a_notification_says_whether_anything_is_done(mode: str, said: str) -> None:
    assert summaries(replace(ENFORCED, mode=Mode(mode))) == [f"train.service {said}"]


def test_what_waits_for_a_word_names_the_command_that_gives_it() -> None:
    shown = Notifications(None).of(event(replace(ENFORCED, mode=Mode.ADVISE)))
    assert shown is not None
    assert shown.urgent
    assert f"resourcectl approve {ENFORCED.id}" in shown.body


def test_what_came_of_a_decision_follows_it() -> None:
    told = replace(ENDED, step=Step.NOTIFY)
    called_off = replace(ENDED, result="called_off")
    assert summaries(ENFORCED, told, called_off, ENDED)[1:] == ["train.service: terminate"]
    assert summaries(ENDED) == []


def test_the_things_of_others_are_shown_only_if_asked_for() -> None:
    theirs = replace(ENFORCED, target=replace(MINE, uid=os.getuid() + 1))
    assert summaries(theirs, ENDED) == []
    assert len(summaries(theirs, ENDED, uid=None)) == 2


def test_a_machine_that_is_short_concerns_everybody() -> None:
    assert summaries(replace(ENFORCED, target=None, reason="all are protected")) == [
        f"This machine is short: rule {ENFORCED.rule}"
    ]


def test_names_bring_neither_markup_nor_options_nor_control_characters() -> None:
    target = replace(MINE, name="--evil\x1b[2J<b>")
    shown = Notifications(None).of(event(replace(ENFORCED, target=target)))
    assert shown is not None
    words = command("/usr/bin/notify-send", replace(shown, body="<i>&"))
    assert words[words.index("--") + 1].startswith("--evil")
    assert "\x1b" not in "".join(words)
    assert words[-1] == "&lt;i&gt;&amp;"


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    lines = [f"event: {each.kind}\ndata: {json.dumps(each.data)}\n\n" for each in (event(ENFORCED), event(ENDED))]
    daemon.answers["GET /events"] = (200, "".join(lines).encode())
    return daemon


def desktop_of(directory: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let notify-send be a program of the test."""
    program = directory / "notify-send"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_the_desktop_is_told_by_its_own_program(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desktop_of(tmp_path, f'printf "%s\\n" "$*" >>{tmp_path}/shown', monkeypatch)

    assert run(("desktop", "--json", "--count", "2")) == Exit.OK

    first, second = (tmp_path / "shown").read_text().splitlines()
    assert "--urgency=" in first
    assert "train.service must give way" in first
    assert "train.service: terminate asked &lt;1&gt; process" in second
    printed: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["summary"] for each in printed] == ["train.service must give way", "train.service: terminate"]


def test_a_desktop_that_takes_nothing_does_not_end_it(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desktop_of(tmp_path, "exit 1", monkeypatch)

    assert run(("desktop", "--count", "2")) == Exit.OK

    assert capsys.readouterr().err.count("did not take a notification") == 2


def test_without_the_program_it_says_what_to_install(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert run(("desktop",)) == Exit.FAILED

    assert "libnotify-bin" in capsys.readouterr().err
