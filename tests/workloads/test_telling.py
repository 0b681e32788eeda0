"""How a workload is told: signals that reach whom they are meant for, files that only their owner reads."""

import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from resourced.errors import ActionFailed, ActionRefused
from resourced.workloads import Tell
from resourced.workloads.lease import signal_number
from tests.workloads.fakes import OTHER, STRANGER_UID, Kit, lines, readable, request, root


def test_a_signal_is_sent_once_for_each_request(kit: Kit) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGRTMIN + 2, lambda number, _: heard.append(number))
    try:
        lease = kit.register(tell=Tell.SIGNAL, signal="SIGRTMIN+2")
        kit.registry.ask(lease.id, request("d1"))
        kit.registry.ask(lease.id, request("d1"))
        kit.registry.withdraw(lease.id, "d1", "over")
        assert heard == [signal.SIGRTMIN + 2]
        kit.registry.ask(lease.id, request("d2"))
        assert heard == [signal.SIGRTMIN + 2] * 2
    finally:
        signal.signal(signal.SIGRTMIN + 2, before)


@root
def test_no_signal_reaches_a_process_that_has_become_somebody_else(
    kit: Kit, strangers: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = kit.register(applicant=OTHER, pid=strangers.pid, tell=Tell.SIGNAL, signal="SIGTERM")
    monkeypatch.setattr("resourced.workloads.registry.uids_of", lambda *_: (STRANGER_UID, 0, 0, 0))
    kit.registry.ask(lease.id, request())
    monkeypatch.undo()
    assert strangers.poll() is None

    kit.registry.ask(lease.id, request("d2"))
    assert strangers.wait(30) == -signal.SIGTERM


def test_only_signals_that_are_meant_for_programs_are_taken(kit: Kit) -> None:
    for name in ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGRTMIN-1", "SIGRTMAX+1", "9", "SIGRTMIN+99", ""):
        assert signal_number(name) is None
    assert signal_number("SIGRTMAX-1") == signal.SIGRTMAX - 1
    with pytest.raises(ActionRefused):
        kit.register(tell=Tell.SIGNAL, signal="SIGKILL")


def test_a_file_becomes_readable_with_each_request_and_its_end(kit: Kit) -> None:
    lease = kit.register(tell=Tell.FILE)
    assert lease.file is not None
    found = Path(lease.file).stat()
    assert (stat.S_ISFIFO(found.st_mode), stat.S_IMODE(found.st_mode), found.st_uid) == (True, 0o600, os.getuid())
    reader = os.open(lease.file, os.O_RDONLY | os.O_NONBLOCK)
    assert not readable(reader)

    kit.registry.ask(lease.id, request())
    assert readable(reader)
    [told] = lines(reader)
    assert told["change"] == "told"
    kit.registry.withdraw(lease.id, "d1", "the rule has recovered")
    assert [each["change"] for each in lines(reader)] == ["withdrawn"]

    kit.registry.release(lease.id, "released")
    assert not Path(lease.file).exists()
    os.close(reader)


def test_a_reader_who_never_reads_is_not_waited_for_and_gets_whole_lines(kit: Kit) -> None:
    lease = kit.register(tell=Tell.FILE)
    assert lease.file is not None
    for number in range(500):
        kit.registry.ask(lease.id, request(f"d{number}"))
        kit.registry.withdraw(lease.id, f"d{number}", "over")
    reader = os.open(lease.file, os.O_RDONLY | os.O_NONBLOCK)

    assert len(lines(reader)) > 50
    assert not readable(reader)
    os.close(reader)


def test_a_file_that_is_no_longer_wanted_is_removed(kit: Kit) -> None:
    lease = kit.register(tell=Tell.FILE)
    assert lease.file is not None
    again = kit.register(tell=Tell.NONE)
    assert (again.id, again.file, Path(lease.file).exists()) == (lease.id, None, False)


def test_where_no_file_can_be_made_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "workloads").write_text("in the way")
    for directory in (None, tmp_path):
        kit = Kit(directory)
        with pytest.raises(ActionFailed):
            kit.register(tell=Tell.FILE)
        assert kit.registry.leases == {}
        kit.registry.close()


def try_to_open(path: str, uid: int) -> int:
    """Return the error number that a user gets who opens a file for reading, 0 if none."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.open(path, os.O_RDWR | os.O_NONBLOCK)
            code = 0
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@root
@pytest.mark.parametrize("may_chown", [True, False])
def test_a_file_is_open_to_its_owner_and_to_nobody_else_also_where_nothing_can_be_given_away(
    strangers: subprocess.Popen[bytes], *, may_chown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path("/dev/shm") / f"resourced-{os.getpid()}"  # everybody may enter it, unlike pytest's
    directory.mkdir(mode=0o755)
    kit = Kit(directory)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not may_chown:
        monkeypatch.setattr(os, "fchown", refuse)
    try:
        lease = kit.register(applicant=OTHER, pid=strangers.pid, tell=Tell.FILE)
        assert lease.file is not None
        assert (Path(lease.file).stat().st_uid == STRANGER_UID) is may_chown
        assert try_to_open(lease.file, STRANGER_UID) == 0
        assert try_to_open(lease.file, 1000) == 13
        kit.registry.release(lease.id, "over")
    finally:
        kit.registry.close()
        for path in [*(directory / "workloads").iterdir(), *directory.glob("*.json")]:
            path.unlink()
        (directory / "workloads").rmdir()
        directory.rmdir()
