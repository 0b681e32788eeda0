"""The whole daemon, as a process: started, asked, reloaded, hindered, killed."""

import asyncio
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import pytest

from resourced.api.health import HEALTH
from resourced.configfiles import load
from resourced.daemon import Daemon as DaemonInside
from resourced.errors import ConfigError
from tests.nvml.build import build, compiler
from tests.nvml.control import FakeNvml
from tests.running import Daemon, running, settings


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running(tmp_path) as daemon:
        yield daemon


def next_sample(daemon: Daemon, after: int | None = None) -> dict[str, Any]:
    """Return a sample newer than one that is known."""
    known = daemon.get("/resources/all")["sequence"] if after is None else after
    answer: dict[str, Any] = daemon.get(f"/resources/all?wait=20&after={known}")
    assert answer["sequence"] > known
    return answer


def test_both_listeners_give_the_same_sample(daemon: Daemon) -> None:
    with daemon.unix() as unix, daemon.tcp() as tcp:
        first, second = unix.get("/resources/all"), tcp.get("/resources/all")
        while first.headers["etag"] != second.headers["etag"]:  # a sample came between the two
            first, second = unix.get("/resources/all"), tcp.get("/resources/all")
        assert first.content == second.content
    assert daemon.socket.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "name",
    ["cpu", "memory", "network", "gpu", "disk", "pressure", "cgroups", "processes", "sensors", "filesystems", "all"],
)
def test_every_resource_is_served(daemon: Daemon, name: str) -> None:
    answer = daemon.get(f"/resources/{name}")
    assert answer["sequence"] >= 1
    assert answer["time"] == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize(
    "path", ["/prune", "/decisions", "/catalog", "/healthz", "/readyz", "/version", "/openapi.json"]
)
def test_every_document_is_served(daemon: Daemon, path: str) -> None:
    assert isinstance(daemon.get(path), dict)


def test_all_that_it_tells_of_itself_is_described(daemon: Daemon) -> None:
    assert next_sample(daemon)
    told = daemon.get("/healthz")

    jsonschema.Draft202012Validator(HEALTH).validate(told)
    assert set(told) - set(HEALTH["properties"]) == set(), "describe it in resourced/api/health.py"


def test_values_agree_with_proc_and_the_tools_of_the_system(daemon: Daemon) -> None:
    sample = next_sample(daemon)
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    memory = sample["memory"]
    assert memory["total_bytes"] == int(meminfo["MemTotal"].split()[0]) * 1024
    near = 0.05 * memory["total_bytes"]
    assert memory["available_bytes"] == pytest.approx(int(meminfo["MemAvailable"].split()[0]) * 1024, abs=near)
    assert sample["cpu"]["logical_count"] == len(re.findall(r"^cpu\d+ ", Path("/proc/stat").read_text(), re.MULTILINE))
    root = sample["filesystems"]["mounts"]["/"]
    space = os.statvfs("/")
    assert root["total_bytes"] == space.f_blocks * space.f_frsize
    assert root["available_bytes"] == pytest.approx(space.f_bavail * space.f_frsize, abs=0.05 * root["total_bytes"])
    sent = int(next(r for r in Path("/proc/net/dev").read_text().splitlines() if "lo:" in r).split(":")[1].split()[8])
    shown = sample["network"]["interfaces"]["lo"]["transmit_bytes"]
    assert 0 <= sent - shown < 64 * 1024**2
    listed = daemon.get("/resources/processes?limit=1000")["processes"]["items"]
    me = next(each for each in listed if each["pid"] == os.getpid())
    assert me["ppid"] == os.getppid()
    assert me["uid"] == os.getuid()
    assert daemon.process.pid in {each["pid"] for each in listed}


@pytest.mark.skipif(shutil.which("free") is None or shutil.which("df") is None, reason="needs free and df")
def test_values_agree_with_free_and_df(daemon: Daemon) -> None:
    sample = next_sample(daemon)
    free = subprocess.run(["free", "-b"], check=True, capture_output=True, text=True).stdout.splitlines()
    total, available = (int(free[1].split()[n]) for n in (1, 6))
    assert sample["memory"]["total_bytes"] == total
    assert sample["memory"]["available_bytes"] == pytest.approx(available, abs=0.05 * total)
    table = subprocess.run(["df", "-B1", "/"], check=True, capture_output=True, text=True).stdout.splitlines()
    size, used = (int(table[1].split()[n]) for n in (1, 2))
    root = sample["filesystems"]["mounts"]["/"]
    assert root["total_bytes"] == size
    assert root["used_bytes"] == pytest.approx(used, abs=0.05 * size)


def test_samples_are_remembered_and_can_be_asked_for(daemon: Daemon) -> None:
    sequence = next_sample(daemon)["sequence"]
    for _ in range(3):
        sequence = next_sample(daemon, sequence)["sequence"]
    answer = daemon.get("/history?metric=memory.available&points=10")
    assert any(value is not None for series in answer["series"] for value in series["values"])


def test_sigterm_ends_it_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        sequence = next_sample(daemon)["sequence"]
        assert sequence
        assert daemon.end(signal.SIGTERM) == 0
        daemon.await_told("STOPPING=1")
        assert not daemon.socket.exists()
        assert daemon.lines()[-1]["event"] == "daemon_stopped"
    store = sqlite3.connect(tmp_path / "state/history.db")
    assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_the_watchdog_is_fed_while_samples_are_fresh(tmp_path: Path) -> None:
    with running(tmp_path, environ={"WATCHDOG_USEC": "30000000"}) as daemon:
        for _ in range(3):
            daemon.await_told("WATCHDOG=1")


def test_a_second_one_on_the_same_socket_says_who_holds_it(daemon: Daemon) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "resourced", "run", "-c", str(daemon.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 78
    assert f"{daemon.socket}: process {daemon.process.pid} already listens there" in second.stderr
    assert daemon.get("/version")["name"] == "resourced"


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "run/resourced.sock"))
    with running(tmp_path) as daemon:
        assert daemon.get("/version")


def test_a_bad_configuration_at_start_names_file_line_and_key(tmp_path: Path) -> None:
    with running(tmp_path, text="[api]\nprot = 1\n[log]\nlevel = 'loud'\n", ready=False) as daemon:
        assert daemon.process.wait(30) == 78
    said = daemon.text()
    assert "resourced.toml:2: api.prot" in said
    assert "port" in said
    assert "resourced.toml:4: log.level" in said


def test_a_reload_puts_a_good_file_into_force_and_refuses_a_bad_one(daemon: Daemon) -> None:
    good = settings(daemon.directory, "[log]\nlevel = 'debug'\n[policy]\nprofile = 'none'\n")
    daemon.config.write_text(good.replace("port = 0", "port = 1"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.await_told("RELOADING=1")
    daemon.await_told("MONOTONIC_USEC=")
    daemon.await_told("READY=1")
    [told] = daemon.lines("daemon_reloaded")
    assert "log.level" in told["changed"]
    assert told["waits_for_restart"] == "api.port"
    before = daemon.get("/healthz")
    assert (before["log_level"], before["policy"]["rules"]) == ("debug", [])
    daemon.config.write_text("[sampling]\ninterval = '-1s'\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.await_told("RELOADING=1")
    daemon.await_told("READY=1")
    [refused] = daemon.lines("config_refused")
    assert "resourced.toml:2: sampling.interval" in refused["reason"]
    after = daemon.get("/healthz")
    assert (after["log_level"], after["policy"]) == (before["log_level"], before["policy"])
    assert next_sample(daemon)


def test_collectors_can_be_switched_off_and_on_while_running(daemon: Daemon) -> None:
    sequence = next_sample(daemon)["sequence"]
    daemon.config.write_text(settings(daemon.directory, "[collectors.processes]\nenabled = false\n"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.await_told("READY=1")
    sample = next_sample(daemon, sequence)
    sample = next_sample(daemon, sample["sequence"])
    assert sample["processes"] is None
    assert sample["collectors"]["processes"]["status"] == "off"


def test_the_level_of_the_log_changes_by_signal(daemon: Daemon) -> None:
    for number, level in ((signal.SIGUSR1, "debug"), (signal.SIGUSR2, "info")):
        daemon.process.send_signal(number)
        sequence = next_sample(daemon)["sequence"]
        assert next_sample(daemon, sequence)
        assert daemon.get("/healthz")["log_level"] == level


def test_the_level_of_the_log_and_a_reload_by_the_api(daemon: Daemon) -> None:
    with daemon.unix() as client:
        assert client.post("/log-level", json={"level": "warning"}).status_code < 300
        assert daemon.get("/healthz")["log_level"] == "warning"
        assert client.post("/log-level", json={"level": "loud"}).status_code == 422
        assert client.post("/reload").status_code < 300
        daemon.config.write_text("nonsense = 1\n")
        refused = client.post("/reload")
    assert refused.status_code in (409, 422)
    assert "nonsense" in refused.text
    with daemon.tcp() as client:
        assert client.post("/reload").status_code in (401, 403)


async def test_a_reload_that_meets_a_fault_is_told_and_over() -> None:
    told: list[str] = []
    reported: list[tuple[str, Mapping[str, Any]]] = []

    async def fault() -> None:
        raise ZeroDivisionError("nobody foresaw this")

    notifier = SimpleNamespace(reloading=lambda: told.append("reloading"), ready=told.append)
    daemon = SimpleNamespace(
        _reloading=asyncio.Lock(),
        _notifier=notifier,
        _reload=fault,
        _report=lambda event, fields: reported.append((event, fields)),
    )
    with pytest.raises(ConfigError, match="nobody foresaw this"):
        await DaemonInside.reload(cast("DaemonInside", daemon))

    assert told == ["reloading", "running; the configuration on disk was refused, see the log"]
    reason = "a fault in resourced: ZeroDivisionError: nobody foresaw this"
    assert reported == [("config_refused", {"reason": reason})]


async def test_a_reload_puts_settings_of_the_guard_into_force_though_nothing_else_has_changed() -> None:
    settled: list[Any] = []
    reported: list[tuple[str, Mapping[str, Any]]] = []
    before, after = (load([], environ={}, options=options) for options in ([], ["guard.low=7%", "guard.stall=100ms"]))
    daemon = SimpleNamespace(
        _loaded=before,
        _load=lambda: after,
        _front=SimpleNamespace(renew_certificate=lambda: False, set_access=lambda _: None),
        _manager=SimpleNamespace(interval_seconds=0.0, set_rules=lambda _: None),
        _acting=SimpleNamespace(settle=lambda *of: settled.append(of)),
        _lock_memory=lambda: None,
        _report=lambda event, fields: reported.append((event, fields)),
    )
    await DaemonInside._reload(cast("DaemonInside", daemon))

    [(_, guard)] = settled
    assert guard.low_share == 0.07
    told = {"changed": "guard.low, guard.stall", "waits_for_restart": "guard.stall"}
    assert reported == [("daemon_reloaded", told)]


def test_killed_it_loses_no_more_than_what_was_not_written_yet(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        sequence = next_sample(daemon)["sequence"]
        while not daemon.get("/healthz")["history"]["disk_bytes"]:
            sequence = next_sample(daemon, sequence)["sequence"]
        sample = next_sample(daemon, sequence)
        until = sample["sequence"] + 15  # three seconds, so that some are on disk
        while sample["sequence"] < until:
            sample = next_sample(daemon, sample["sequence"])
        assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        assert daemon.socket.exists(), "nobody could remove it"
    with running(tmp_path) as daemon:
        answer = daemon.get(f"/history?metric=memory.available&start={sample['time'] - 60}&end={sample['time']}&step=1")
        [series] = answer["series"]
        known = [t for t, v in zip(answer["times"], series["values"], strict=True) if v is not None]
        assert known, "what was written is there again"
        assert sample["time"] - max(known) <= 10
        assert daemon.lines("store_set_aside") == []


def test_a_state_directory_that_cannot_be_written_hinders_neither_sampling_nor_serving(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file stands where the directory should be")
    with running(tmp_path) as daemon:
        assert next_sample(daemon)
        assert daemon.get("/healthz")["history"]["problem"]
        assert daemon.lines("store_unwritable")
        assert daemon.get("/history?metric=memory.available")["series"] is not None


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_is_told_and_what_was_held_is_written_when_there_is_room(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(state)], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        filler = state / "filler"
        with running(tmp_path) as daemon, filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
            sequence = next_sample(daemon)["sequence"]
            while not daemon.lines("store_unwritable"):
                sequence = next_sample(daemon, sequence)["sequence"]
            while not daemon.get("/healthz")["history"]["problem"]:
                sequence = next_sample(daemon, sequence)["sequence"]
            filler.unlink()
            file.truncate(0)
            while not daemon.lines("store_writable"):
                sequence = next_sample(daemon, sequence)["sequence"]
            while daemon.get("/healthz")["history"]["problem"] is not None:
                sequence = next_sample(daemon, sequence)["sequence"]
    finally:
        subprocess.run(["umount", "-l", str(state)], check=False)


def test_a_corrupt_store_is_set_aside_and_said(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert next_sample(daemon)
    store = tmp_path / "state/history.db"
    store.write_bytes(b"this is no database at all" * 1000)
    with running(tmp_path) as daemon:
        assert next_sample(daemon)
        [told] = daemon.lines("store_set_aside")
        aside = Path(told["path"])
        assert aside.read_bytes().startswith(b"this is no database")
        assert "store_set_aside" in [each["event"] for each in daemon.get("/events/log")["events"]]


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler for the fake NVML")
def test_a_driver_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    library = tmp_path / "nvml"
    library.mkdir()
    build(library)
    fake = FakeNvml(library / "answers")
    environ = {"LD_LIBRARY_PATH": str(library), "RESOURCED_FAKE_NVML": str(library / "answers")}
    with running(tmp_path / "d", environ=environ) as daemon:
        sample = next_sample(daemon)
        assert len(sample["gpus"]["devices"]) == 2
        fake.all.hang = 1
        try:
            while sample["collectors"]["gpus"]["status"] == "ok":
                sample = next_sample(daemon, sample["sequence"])
            assert "no answer within" in sample["collectors"]["gpus"]["reason"]
            assert sample["collectors"]["cpu"]["status"] == "ok"
            assert daemon.lines("collector_stale")
        finally:
            fake.all.hang = 0
        while sample["collectors"]["gpus"]["status"] != "ok":
            sample = next_sample(daemon, sample["sequence"])
        assert daemon.lines("collector_recovered")


def test_lines_of_the_log_are_json_with_the_identity_of_the_event(daemon: Daemon) -> None:
    for line in daemon.lines():
        assert {"time", "level", "event", "message"} <= line.keys()
    [ready] = daemon.lines("daemon_ready")
    assert len(ready["message_id"]) == 32


def test_resourcectl_talks_to_it(daemon: Daemon) -> None:
    for verb in (["status"], ["top", "--once"], ["history", "memory.available"], ["decisions"], ["why", "1"]):
        done = subprocess.run(
            [sys.executable, "-m", "resourced.ctl", "--socket", str(daemon.socket), *verb],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), verb
        assert done.stdout
