"""Identity: who is pinned is who was meant, or nobody."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from resourced.actions.handles import CgroupHandle, ProcessHandle, members_of
from resourced.actions.target import Target
from resourced.collectors.base import Roots
from resourced.decision import Candidate, Scope
from resourced.errors import ActionFailed, ActionRefused, TargetGone
from resourced.policy import Myself
from tests.actions.fakes import cgroup_of, process_candidate, program, start_of

ROOTS = Roots()


def test_a_process_is_pinned_by_number_and_start() -> None:
    with program() as process:
        handle = ProcessHandle(process.pid, start_of(process.pid), ROOTS)

        assert handle.alive
        assert handle.send(signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
        assert not handle.send(signal.SIGKILL)
        handle.close()


def test_a_number_that_is_anothers_by_now_is_nobody() -> None:
    with program() as process, pytest.raises(TargetGone, match="another process by now"):
        ProcessHandle(process.pid, start_of(process.pid) - 1, ROOTS)


def test_a_process_that_has_gone_is_nobody() -> None:
    with program() as process:
        start = start_of(process.pid)
        process.kill()
        process.wait()

        with pytest.raises(TargetGone):
            ProcessHandle(process.pid, start, ROOTS)


def test_a_zombie_does_not_live() -> None:
    with program() as process:
        handle = ProcessHandle(process.pid, None, ROOTS)
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert not handle.alive
        assert handle.state(ROOTS) == "Z"
        with pytest.raises(TargetGone):
            Target.open(process_candidate(process.pid), _of(process.pid), roots=ROOTS, myself=Myself(os.getpid()))
        handle.close()


def test_memory_of_a_dying_process_is_released_and_of_a_living_one_never() -> None:
    with program() as process:
        handle = ProcessHandle(process.pid, None, ROOTS)

        assert not handle.release_memory()
        assert process.poll() is None
        handle.close()


def test_a_cgroup_is_pinned_by_inode(tmp_path: Path) -> None:
    inode = int(cgroup_of(tmp_path, "a.service").key.rpartition(":")[2])
    roots = Roots(cgroup=tmp_path)
    handle = CgroupHandle("/a.service", inode, roots)

    (tmp_path / "a.service").rename(tmp_path / "old")
    cgroup_of(tmp_path, "a.service", memory__high="max")

    handle.write("cgroup.freeze", "1")
    assert (tmp_path / "old/cgroup.freeze").read_text().startswith("1")
    assert (tmp_path / "a.service/cgroup.freeze").read_text() == "0\n"
    with pytest.raises(TargetGone, match="new cgroup"):
        CgroupHandle("/a.service", inode, roots)


def test_a_cgroup_that_was_removed_has_gone(tmp_path: Path) -> None:
    inode = int(cgroup_of(tmp_path, "a.service").key.rpartition(":")[2])
    handle = CgroupHandle("/a.service", inode, Roots(cgroup=tmp_path))
    for file in (tmp_path / "a.service").iterdir():
        file.unlink()
    (tmp_path / "a.service").rmdir()

    assert not handle.populated or handle.read("cgroup.events") is None
    with pytest.raises(TargetGone):
        handle.write("cgroup.freeze", "1")
    with pytest.raises(TargetGone):
        CgroupHandle("/a.service", inode, Roots(cgroup=tmp_path))


def test_what_the_kernel_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    inode = int(cgroup_of(tmp_path, "a.service").key.rpartition(":")[2])
    (tmp_path / "a.service/memory.high").mkdir()
    handle = CgroupHandle("/a.service", inode, Roots(cgroup=tmp_path))

    with pytest.raises(ActionFailed, match="EISDIR"):
        handle.write("memory.high", "1")


def test_members_of_a_cgroup_are_found_at_every_depth(tmp_path: Path) -> None:
    with program() as first, program() as second:
        candidate = cgroup_of(tmp_path, "pod.scope", cgroup__procs=str(first.pid))
        cgroup_of(tmp_path / "pod.scope", "inner", cgroup__procs=f"{second.pid}\n999999999\n0")
        handle = CgroupHandle("/pod.scope", int(candidate.key.rpartition(":")[2]), Roots(cgroup=tmp_path))

        found = [each.pid for batch in members_of(handle, Roots(cgroup=tmp_path)) for each in batch]

        assert found == [first.pid, second.pid]


@pytest.mark.parametrize("who", [lambda: 1, os.getpid, os.getppid], ids=["the first", "own", "parent"])
def test_nothing_that_holds_us_is_ever_opened(tmp_path: Path, who: Callable[[], int]) -> None:
    pid = who()
    candidate = cgroup_of(tmp_path, "a.service", cgroup__procs=str(pid))
    myself = Myself(os.getpid(), frozenset({os.getppid()}))

    with pytest.raises(ActionRefused, match="must never be touched"):
        Target.open(candidate, (), roots=Roots(cgroup=tmp_path), myself=myself)
    with pytest.raises(ActionRefused, match="must never be touched"):
        Target.open(process_candidate(pid), _of(pid), roots=ROOTS, myself=myself)


def test_neither_the_root_of_the_tree_nor_our_own_cgroup_is_opened(tmp_path: Path) -> None:
    inside = Myself(os.getpid(), cgroup="/system.slice/resourced.service")
    for path in ("/", "/system.slice", "/system.slice/resourced.service"):
        candidate = Candidate(Scope.SLICE, f"{path}:{tmp_path.stat().st_ino}", path, cgroup=path)
        with pytest.raises(ActionRefused):
            Target.open(candidate, (), roots=Roots(cgroup=tmp_path), myself=inside)


def _of(pid: int) -> tuple[tuple[int, int], ...]:
    return ((pid, start_of(pid)),)


def nested(top: Path, names: list[str]) -> None:
    """Make directories one in the other, each with a process; the whole path may be of any length."""
    directory = os.open(top, os.O_RDONLY)
    for number, name in enumerate(names, 1000):
        os.mkdir(name, dir_fd=directory)
        inner = os.open(name, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = inner
        file = os.open("cgroup.procs", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=directory)
        os.write(file, f"{number}\n".encode())
        os.close(file)
    os.close(directory)


def gone(top: Path) -> None:
    """Remove a tree that is too deep for those who go by paths."""
    subprocess.run(["rm", "-rf", str(top)], check=True)


@pytest.mark.parametrize("names", [["a"] * 1500, ["b" * 250] * 20], ids=["deep", "longer than a path may be"])
def test_nobody_hides_however_deep(tmp_path: Path, names: list[str]) -> None:
    candidate = cgroup_of(tmp_path, "a.service", cgroup__procs="999")
    handle = CgroupHandle("/a.service", int(candidate.key.rpartition(":")[2]), Roots(cgroup=tmp_path))
    nested(tmp_path / "a.service", names)
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())

    try:
        assert handle.pids() == [999, *range(1000, 1000 + len(names))]
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= before
    finally:
        gone(tmp_path / "a.service")
        handle.close()


def test_one_below_that_lists_nobody_does_not_hide_the_others(tmp_path: Path) -> None:
    candidate = cgroup_of(tmp_path, "a.scope", cgroup__procs="999")
    for name in ("emulator", "vcpu0", "vcpu1"):
        (tmp_path / "a.scope" / name).mkdir()
    # As of a threaded cgroup: there is the file, and reading it fails.
    (tmp_path / "a.scope/vcpu0/cgroup.procs").mkdir()
    (tmp_path / "a.scope/vcpu1/cgroup.procs").write_text("1001\n")
    handle = CgroupHandle("/a.scope", int(candidate.key.rpartition(":")[2]), Roots(cgroup=tmp_path))

    assert handle.pids() == [999, 1001]
    handle.close()


def test_one_whose_own_processes_can_not_be_listed_is_not_touched(tmp_path: Path) -> None:
    candidate = cgroup_of(tmp_path, "a.scope")
    (tmp_path / "a.scope/cgroup.procs").unlink()
    (tmp_path / "a.scope/cgroup.procs").mkdir()
    handle = CgroupHandle("/a.scope", int(candidate.key.rpartition(":")[2]), Roots(cgroup=tmp_path))

    with pytest.raises(ActionFailed, match="EISDIR"):
        handle.pids()
    handle.close()
