"""Each thing that may be amiss, on trees of files that have it, and the verb on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resourced.collectors.base import Roots
from resourced.ctl import Exit, checks
from resourced.ctl.checks import CAPABILITIES, Finding, Level
from resourced.ctl.run import run
from tests.running import running

# httpcore leaves a Unix socket whose connection failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


def roots(directory: Path, files: dict[str, str]) -> Roots:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Roots(directory / "proc", directory / "sys", directory / "cgroup")


def only(findings: list[Finding]) -> Finding:
    [found] = findings
    return found


def test_a_kernel_without_pressure_information_is_a_fault(tmp_path: Path) -> None:
    missing = only(list(checks.pressure(roots(tmp_path, {}))))
    assert missing.level is Level.FAULT
    assert "CONFIG_PSI" in str(missing.advice)
    (tmp_path / "proc/pressure/memory").mkdir(parents=True)  # reading fails, as where it is switched off
    assert "psi=1" in str(only(list(checks.pressure(roots(tmp_path, {})))).advice)


def test_pressure_information_is_found(tmp_path: Path) -> None:
    text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    assert only(list(checks.pressure(roots(tmp_path, {"proc/pressure/memory": text})))).level is Level.OK


def test_the_old_version_of_control_groups_is_a_fault(tmp_path: Path) -> None:
    found = only(list(checks.cgroups(roots(tmp_path, {"cgroup/memory/tasks": ""}))))
    assert (found.level, "unified" in str(found.advice)) == (Level.FAULT, True)


def test_controllers_that_do_not_reach_the_services_are_named(tmp_path: Path) -> None:
    files = {
        "cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
        "cgroup/cgroup.subtree_control": "cpu io memory pids\n",
        "cgroup/system.slice/cgroup.subtree_control": "memory pids\n",
        "cgroup/system.slice/a.service/cgroup.procs": "",
        "cgroup/user.slice/cgroup.subtree_control": "",
    }
    found = list(checks.cgroups(roots(tmp_path, files)))
    assert [each.level for each in found] == [Level.OK, Level.OK, Level.WARNING]
    assert "cpu, io" in found[2].text
    assert "DefaultCPUAccounting=yes DefaultIOAccounting=yes" in str(found[2].advice)


@pytest.mark.parametrize("rival", checks.RIVALS)
def test_another_killer_is_found_by_its_process(tmp_path: Path, rival: str) -> None:
    assert len(rival) <= 15  # as long as the kernel keeps names
    found = only(list(checks.rivals(roots(tmp_path, {"proc/7/comm": f"{rival}\n", "proc/8/comm": "bash\n"}))))
    assert (found.level, "pid 7" in found.text) == (Level.WARNING, True)
    assert only(list(checks.rivals(roots(tmp_path, {"proc/7/comm": "bash\n"})))).level is Level.OK


@pytest.mark.parametrize(("unit", "level"), [("nohang-desktop.service", Level.WARNING), ("web.service", Level.OK)])
def test_another_killer_that_is_a_script_is_found_by_its_unit(tmp_path: Path, unit: str, level: Level) -> None:
    files = {"proc/7/comm": "python3\n", "proc/7/cgroup": f"0::/system.slice/{unit}\n"}
    found = only(list(checks.rivals(roots(tmp_path, files))))
    assert (found.level, "nohang runs as well (pid 7)" in found.text) == (level, level is Level.WARNING)


def test_a_clock_that_nobody_keeps_right_is_warned_of() -> None:
    assert [only(list(checks.clock(state))).level for state in (0, 5, None)] == [Level.OK, Level.WARNING, Level.NOTE]
    assert checks.clock_state() in {None, 0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("held", "levels"),
    [
        (sum(1 << number for number in CAPABILITIES), [Level.OK]),
        (0, [Level.NOTE]),
        ((1 << 5) + (1 << 19) + (1 << 24), [Level.WARNING]),
    ],
)
def test_capabilities_that_the_daemon_lacks_are_named(tmp_path: Path, held: int, levels: list[Level]) -> None:
    found = list(checks.capabilities(roots(tmp_path, {"proc/9/status": f"Name:\tx\nCapEff:\t{held:016x}\n"}), 9))
    assert [each.level for each in found] == levels
    assert list(checks.capabilities(roots(tmp_path, {}), 10)) == []  # a process that can't be seen


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ({"age_seconds": 0.4, "lag_seconds": 0.0, "interval_seconds": 1.0}, Level.OK),
        ({"age_seconds": 0.4, "lag_seconds": 2.0, "interval_seconds": 1.0}, Level.WARNING),
        ({"age_seconds": 40.0, "lag_seconds": 0.0, "interval_seconds": 1.0}, Level.FAULT),
        (None, Level.FAULT),
    ],
)
def test_samples_that_are_late_or_missing_are_told(told: dict[str, float] | None, level: Level) -> None:
    assert only(list(checks.sampling({"sampling": told}))).level is level


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ({"path": "/x/history.db", "disk_bytes": 2**20}, Level.OK),
        ({"path": "/x/history.db", "lost_ticks": 3}, Level.WARNING),
        ({"path": "/x/history.db", "problem": "the disk is full"}, Level.FAULT),
        ({"path": None}, Level.NOTE),
    ],
)
def test_a_history_that_is_not_written_is_told(told: dict[str, object], level: Level) -> None:
    assert only(list(checks.store({"history": told}))).level is level


def test_room_for_the_history_is_looked_at() -> None:
    assert list(checks.free_space(Path("/x"), 10, 10)) == []
    assert only(list(checks.free_space(Path("/x"), 9, 10))).level is Level.WARNING


def test_a_driver_that_cannot_be_asked_is_a_fault(tmp_path: Path) -> None:
    told = {
        "collectors": {
            "gpus": {"status": "absent", "reason": "no library"},
            "cpu": {"status": "stale", "reason": "late"},
        }
    }
    without = list(checks.collectors(told, roots(tmp_path, {})))
    assert [each.level for each in without] == [Level.NOTE, Level.FAULT]
    loaded = list(checks.collectors(told, roots(tmp_path, {"proc/driver/nvidia/version": "570"})))
    assert loaded[0].level is Level.FAULT


def test_without_a_daemon_it_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--socket", str(tmp_path / "none")]) == Exit.FAILED
    assert "systemctl start resourced" in capsys.readouterr().out


def test_it_looks_at_a_daemon_that_runs(tmp_path: Path) -> None:
    with running(tmp_path / "d") as daemon:
        command = [sys.executable, "-m", "resourced.ctl", "doctor", "--json", "--socket", str(daemon.socket)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    told = json.loads(done.stdout)
    found = {each["check"]: each["level"] for each in told["findings"]}
    assert {"daemon", "sampling", "cpu", "processes", "store", "rivals", "clock"} <= found.keys()
    assert (found["daemon"], found["sampling"], found["store"]) == ("ok", "ok", "ok")
    assert told["healthy"] == (done.returncode == Exit.OK)
