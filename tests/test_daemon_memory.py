"""The memory of the real daemon: in mode enforce it is kept out of swap, and out of the sight of the collector."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Daemon, running, settings

CAP_IPC_LOCK = 14
# Nothing is ever acted on: there is no rule.
ENFORCE = '[policy]\nprofile = "none"\nmode = "{mode}"'
# Read by the interpreter before it runs anything: it tells how many objects there are when they are frozen.
CUSTOM = """
import gc, pathlib
freeze = gc.freeze
gc.freeze = lambda: (freeze(), pathlib.Path({told!r}).write_text(str(gc.get_freeze_count())))
"""


@pytest.fixture
def unlimited() -> Iterator[None]:
    """As much locked memory as the service may have, or the capability for which the limit does not count."""
    before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        if not int(of_status("self", "CapEff"), 16) >> CAP_IPC_LOCK & 1:
            pytest.skip(f"no more than {before[1]} bytes of memory may be locked here")
    yield
    resource.setrlimit(resource.RLIMIT_MEMLOCK, before)


def of_status(pid: int | str, name: str) -> str:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [told] = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return told


def locked_kilobytes(daemon: Daemon) -> int:
    return int(of_status(daemon.process.pid, "VmLck"))


@pytest.mark.usefixtures("unlimited")
def test_memory_is_locked_where_somebody_may_have_to_be_ended(tmp_path: Path) -> None:
    with running(tmp_path, text=settings(tmp_path, ENFORCE.format(mode="enforce"))) as daemon:
        assert locked_kilobytes(daemon) > 0
        assert daemon.lines("guard_unavailable") == []


@pytest.mark.usefixtures("unlimited")
def test_memory_is_locked_as_soon_as_a_reload_lets_it_act(tmp_path: Path) -> None:
    with running(tmp_path, text=settings(tmp_path, ENFORCE.format(mode="observe"))) as daemon:
        assert locked_kilobytes(daemon) == 0
        daemon.config.write_text(settings(tmp_path, ENFORCE.format(mode="enforce")))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.await_told("RELOADING=1")
        daemon.await_told("READY=1")
        assert locked_kilobytes(daemon) > 0


def test_what_the_start_has_made_is_never_searched_for_garbage(tmp_path: Path) -> None:
    told = tmp_path / "frozen"
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom/sitecustomize.py").write_text(CUSTOM.format(told=str(told)))
    path = os.pathsep.join(part for part in (str(tmp_path / "custom"), os.environ.get("PYTHONPATH")) if part)
    with running(tmp_path, environ={"PYTHONPATH": path}):
        assert int(told.read_text()) > 10_000
