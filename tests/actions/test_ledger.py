"""The ledger: what was changed is known after a crash, and put back once."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resourced.actions import Ledger
from resourced.actions.claims import Claims
from resourced.actions.ledger import Change
from resourced.collectors.base import Roots
from resourced.decision import Step
from resourced.errors import ActionFailed
from tests.actions.fakes import await_stopped, cgroup_of, program, start_of


def change(root: Path, **more: Any) -> Change:
    candidate = cgroup_of(root, "a.service", memory__high="max")
    inode = int(candidate.key.rpartition(":")[2])
    made = Change(
        candidate.key, "a.service", "d1", "low", "", Step.THROTTLE, 1.0, 10.0, 60.0, "/a.service", inode,
        "memory.high", "max", ("4096",),
    )  # fmt: skip
    return replace(made, **more)


def ledger(root: Path, boot_id: str = "boot", told: list[str] | None = None) -> Ledger:
    return Ledger(root / "actions.json", boot_id, Roots(cgroup=root), (told if told is not None else []).append)


def test_what_was_changed_is_known_to_the_next_process_and_put_back(tmp_path: Path) -> None:
    ledger(tmp_path).remember(change(tmp_path))
    (tmp_path / "a.service/memory.high").write_text("4096\n")

    after = ledger(tmp_path)
    [left] = after.changes
    assert after.put_back(left) == "memory.high is max again"
    after.flush()

    assert (tmp_path / "a.service/memory.high").read_text().startswith("max")
    assert ledger(tmp_path).changes == ()


def test_a_change_that_was_kept_and_not_made_does_no_harm(tmp_path: Path) -> None:
    ledger(tmp_path).remember(change(tmp_path))

    after = ledger(tmp_path)

    assert after.put_back(after.changes[0]) == "memory.high is max as before"


def test_a_crash_between_two_lowerings_puts_back_the_first_original(tmp_path: Path) -> None:
    before = ledger(tmp_path)
    first = change(tmp_path)
    before.remember(first)
    before.remember(replace(first, original="4096", written=("2048",)))
    (tmp_path / "a.service/memory.high").write_text("4096\n")  # the second was kept, and never written

    after = ledger(tmp_path)
    assert after.put_back(after.changes[0]) == "memory.high is max again"


def test_after_a_boot_nothing_is_left_to_put_back(tmp_path: Path) -> None:
    ledger(tmp_path).remember(change(tmp_path))

    assert ledger(tmp_path, "another").changes == ()


def test_a_unit_that_was_started_anew_is_not_touched(tmp_path: Path) -> None:
    kept = ledger(tmp_path)
    kept.remember(change(tmp_path))
    (tmp_path / "a.service").rename(tmp_path / "old")
    cgroup_of(tmp_path, "a.service", memory__high="4096")

    assert kept.put_back(kept.changes[0]) == "it has gone meanwhile"
    assert (tmp_path / "a.service/memory.high").read_text() == "4096\n"


def test_a_stopped_process_is_known_by_its_start(tmp_path: Path) -> None:
    with program() as process:
        process.send_signal(signal.SIGSTOP)
        assert await_stopped(process.pid)
        plain: dict[str, Any] = {"path": None, "inode": None, "file": None, "original": None, "written": ()}
        stopped = change(tmp_path, **plain, pid=process.pid, start_time_ticks=start_of(process.pid))
        kept = ledger(tmp_path)
        kept.remember(replace(stopped, start_time_ticks=1))
        assert kept.put_back(kept.changes[0]) == "it has gone meanwhile"
        assert await_stopped(process.pid)

        kept.remember(stopped)
        again = ledger(tmp_path)
        assert again.put_back(again.changes[0]) == f"process {process.pid} runs on"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99, "boot_id": "boot"}', '{"version": 1}', "\0\0"])
def test_a_damaged_file_is_told_and_passed_over(tmp_path: Path, text: str) -> None:
    told: list[str] = []
    (tmp_path / "actions.json").write_text(text)

    assert ledger(tmp_path, told=told).changes == ()
    assert bool(told) == ("99" not in text)


def test_what_cannot_be_written_is_not_remembered(tmp_path: Path) -> None:
    kept = ledger(tmp_path)
    (tmp_path / "actions.json.new").mkdir()

    with pytest.raises(ActionFailed):
        kept.remember(change(tmp_path))
    assert kept.changes == ()


def test_targets_that_were_ended_are_counted_over_a_restart(tmp_path: Path) -> None:
    before = ledger(tmp_path)
    for moment in (10.0, 500.0, 700.0):
        before.count_end(moment, 600.0)
    before.flush()

    assert ledger(tmp_path).recent(710.0, 600.0) == (500.0, 700.0)
    assert json.loads((tmp_path / "actions.json").read_text())["ended"] == [500.0, 700.0]
    assert (tmp_path / "actions.json").stat().st_mode & 0o777 == 0o600


def test_who_was_refused_stays_safe_over_a_restart(tmp_path: Path) -> None:
    claims, before = Claims(), ledger(tmp_path)
    claims.backoff.leave("a:1", 10.0, 900.0)
    claims.backoff.leave("b:1", 10.0, 5.0)
    before.leave_alone(claims.backoff.kept(20.0))
    before.flush()

    later = Claims()
    later.backoff.keep(ledger(tmp_path).alone)
    assert [later.backoff.left_alone(key, 30.0) for key in ("a:1", "b:1")] == [True, False]


def test_a_file_of_an_older_release_names_nobody_who_is_safe(tmp_path: Path) -> None:
    before = ledger(tmp_path)
    before.count_end(10.0, 600.0)
    before.flush()
    path = tmp_path / "actions.json"
    saved = json.loads(path.read_text())
    del saved["alone"]
    path.write_text(json.dumps(saved))

    assert (ledger(tmp_path).alone, ledger(tmp_path).ended) == ({}, (10.0,))
