import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.collectors.base import Roots
from resourced.collectors.filesystems import FilesystemsCollector
from tests.collectors.host_fakes import make_roots, space

MOUNTINFO = """1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:40 / /dead rw - nfs4 server:/dead rw
3 1 0:41 / /live rw - nfs4 server:/live rw
"""


class HangingServer:
    """A statvfs whose answer for /dead comes when it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []
        self.answered = threading.Semaphore(0)

    def __call__(self, path: str) -> os.statvfs_result:
        self.asked.append(path)
        if path == "/dead":
            self.released.wait(30)
        self.answered.release()
        return space()


@pytest.fixture
def server() -> Iterator[HangingServer]:
    server = HangingServer()
    yield server
    server.released.set()


def test_a_mount_that_hangs_is_not_asked_again_and_holds_up_none_of_the_others(
    tmp_path: Path, server: HangingServer
) -> None:
    roots = make_roots(tmp_path, {"proc/self/mountinfo": MOUNTINFO})
    collector = FilesystemsCollector(roots, patience_seconds=0.2, statvfs=server)

    for _ in range(3):
        mounts = collector.collect().mounts
        assert mounts["/dead"].space is None
        assert "has not answered" in (mounts["/dead"].reason or "")
        assert mounts["/"].space is not None
        assert mounts["/"].reason is None
    assert server.asked.count("/dead") == 1
    assert server.asked.count("/live") >= 1

    server.released.set()
    for thread in threading.enumerate():
        if thread.name == "resourced-statvfs":
            thread.join(10)
    answered = FilesystemsCollector.collect(collector).mounts["/dead"]
    collector.close()
    assert answered.reason is None
    assert server.asked.count("/dead") == 2


def test_a_hanging_mount_that_is_unmounted_is_forgotten(tmp_path: Path, server: HangingServer) -> None:
    roots = make_roots(tmp_path, {"proc/self/mountinfo": MOUNTINFO})
    collector = FilesystemsCollector(roots, patience_seconds=0.05, statvfs=server)
    collector.collect()
    (tmp_path / "proc/self/mountinfo").write_text(MOUNTINFO.splitlines()[0] + "\n")

    assert list(collector.collect().mounts) == ["/"]
    collector.close()


def test_a_refusal_is_the_reason(tmp_path: Path) -> None:
    def refuse(path: str) -> os.statvfs_result:
        raise PermissionError(13, "Permission denied", path)

    roots = make_roots(tmp_path, {"proc/self/mountinfo": MOUNTINFO})
    collector = FilesystemsCollector(roots, patience_seconds=5, statvfs=refuse)
    mounts = collector.collect().mounts
    collector.close()

    assert {path: found.reason for path, found in mounts.items()} == {
        path: f"statvfs of {path} failed: Permission denied" for path in ("/", "/dead", "/live")
    }


def test_this_machine_agrees_with_df() -> None:
    if shutil.which("df") is None:
        pytest.skip("df(1) of coreutils is not installed")
    collector = FilesystemsCollector(Roots())
    root = collector.collect().mounts["/"].space
    collector.close()
    answer = subprocess.run(["df", "-B1", "--output=size,avail", "/"], capture_output=True, text=True, check=True)
    size, available = map(int, answer.stdout.splitlines()[1].split())

    assert root is not None
    assert root.total_bytes == size
    assert root.available_bytes == pytest.approx(available, abs=2**30)


def test_types_that_are_excluded_are_left_out(tmp_path: Path) -> None:
    roots = make_roots(tmp_path, {"proc/self/mountinfo": MOUNTINFO})
    collector = FilesystemsCollector(roots, statvfs=lambda _path: space(), exclude_types=("nfs4",))
    assert list(collector.collect().mounts) == ["/"]
