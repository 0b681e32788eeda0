import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.journal import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@resourced-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("\0" + name[1:] if name.startswith("@") else name)
        bound.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield bound


def test_the_life_of_a_daemon_is_told(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier()
    assert notifier.active
    assert notifier.watchdog_seconds == 20.0
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.ready("all\nwell")
    notifier.alive()
    notifier.alive("12 samples …")
    notifier.status("busy")
    notifier.reloading("again")
    notifier.stopping()
    told = [systemd.recv(4096).decode("latin-1").split("\n") for _ in range(6)]
    stamp = int(told[4].pop(1).removeprefix("MONOTONIC_USEC="))
    assert before <= stamp <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert told == [
        ["READY=1", "STATUS=all well"],
        ["WATCHDOG=1"],
        ["WATCHDOG=1", "STATUS=12 samples ?"],
        ["STATUS=busy"],
        ["RELOADING=1", "STATUS=again"],
        ["STOPPING=1", "STATUS=stopping"],
    ]
    notifier.close()
    assert not notifier.active


def test_a_systemd_that_does_not_listen_delays_nobody(systemd: socket.socket) -> None:
    notifier = Notifier()
    for _ in range(2000):
        notifier.status("x" * 1000)
    notifier.close()


def test_nothing_happens_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    notifier = Notifier()
    notifier.ready("x")
    notifier.alive()
    assert not notifier.active
    assert notifier.watchdog_seconds is None
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert Notifier().watchdog_seconds is None
