"""File systems that become read-only."""

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resourced.history import store
from tests.history.fakes import Kit, decision


class ReadOnlyConnection(sqlite3.Connection):
    """Refuses to write while `refusing`, as SQLite does on a file system that was remounted read-only."""

    refusing = False

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        if ReadOnlyConnection.refusing and arguments[0].startswith(("BEGIN IMMEDIATE", "PRAGMA journal_mode")):
            raise sqlite3.OperationalError("attempt to write a readonly database")
        return super().execute(*arguments)


def test_a_remount_as_read_only_stops_neither_sampling_nor_answers_from_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, locked = sqlite3.connect, store._locked

    def locked_if_writable(path: Path) -> int:
        if ReadOnlyConnection.refusing:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return locked(path)

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **({"factory": ReadOnlyConnection} | k)))
    monkeypatch.setattr(store, "_locked", locked_if_writable)
    kit = Kit(tmp_path, window_seconds=600.0)
    kit.fill(3 * 3600)
    monkeypatch.setattr(ReadOnlyConnection, "refusing", True)
    kit.fill(1000)
    kit.history.record(decision())
    assert not kit.history.flush()

    assert kit.events == ["store_unwritable"]
    assert kit.history.stats().problem is not None
    assert len(kit.values()) == 3 * 3600 + 1000
    assert kit.history.decisions() == [decision()]
    monkeypatch.setattr(ReadOnlyConnection, "refusing", False)
    kit.clock.up += 60
    kit.fill(10)

    assert kit.events == ["store_unwritable", "store_writable"]
    kit.reopen()
    assert list(kit.values().values()) == [float(n) for n in range(1, 3 * 3600 + 1011)]
    assert kit.history.decisions() == [decision()]


MOUNTED = """
import ctypes, sys
from pathlib import Path
from tests.history.fakes import Kit
libc = ctypes.CDLL(None, use_errno=True)
place = Path(sys.argv[1])
MS_RDONLY, MS_REMOUNT = 1, 32
assert libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", 0, b"size=20m") == 0, "mount"
kit = Kit(place / "state")
kit.fill(100)
kit.history.close()
assert libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", MS_REMOUNT | MS_RDONLY, None) == 0, "remount"
other = Kit(place / "state")
other.clock.now = kit.clock.now
other.fill(100)
assert other.events == ["store_unwritable"], other.reports
assert len(other.values()) == 100, "what is in memory"
assert libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", MS_REMOUNT, b"size=20m") == 0, "back"
other.clock.up += 60
other.fill(10)
assert other.events == ["store_unwritable", "store_writable"], other.reports
assert len(other.values()) == 210
print("good")
"""


def test_a_start_on_a_read_only_file_system_waits_for_it_to_be_writable(tmp_path: Path) -> None:
    can = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if can.returncode != 0:
        pytest.skip("no mount namespaces here")

    command = ["unshare", "-rm", sys.executable, "-c", MOUNTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    if "AssertionError: mount" in done.stderr:
        pytest.skip("no file system may be mounted here")
    assert done.stdout == "good\n", done.stderr
