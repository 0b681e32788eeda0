"""Who a process is: pinned by pidfd and start time, with its owner and its control group as the kernel tells them."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from resourced.actions.handles import CgroupHandle, ProcessHandle
from resourced.collectors.base import Roots
from resourced.collectors.procstat import parse_cgroup
from resourced.errors import ActionFailed, ActionRefused, NotYours, TargetGone
from resourced.snapshot.units import unit_of

_WHOLE_UNITS = (".service", ".scope")
_OVERFLOW_UID = "sys/kernel/overflowuid"


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that is held, so that its number means nobody else."""

    process: ProcessHandle
    uids: frozenset[int]
    """Real, effective, saved and file system user; several for a program that changes its user."""
    uid: int
    """The real user."""
    cgroup: str | None
    unit: str | None


def identify(pid: int, roots: Roots) -> Identity:
    """Pin a process and say who it is; the caller closes it.

    Raises:
        TargetGone: There is no such process.
        ActionRefused: It is a thread of the kernel.
        ActionFailed: The kernel refuses to name it.
    """
    process = ProcessHandle(pid, None, roots)
    uids, cgroup = uids_of(pid, roots), cgroup_of(pid, roots)
    # What was read belongs to the one that is held, if that one had its number all the time.
    if not uids or not process.alive:
        process.close()
        raise TargetGone(f"process {pid} has gone")
    if process.was_kernel_thread:
        process.close()
        raise ActionRefused(f"process {pid} is a thread of the kernel")
    return Identity(process, frozenset(uids), uids[0], cgroup, None if cgroup is None else unit_of(cgroup))


def uids_of(pid: int, roots: Roots) -> tuple[int, ...]:
    """Return real, effective, saved and file system user of a process; nothing if it has gone."""
    with contextlib.suppress(OSError, ValueError):
        for line in (roots.proc / str(pid) / "status").read_text(errors="replace").splitlines():
            if line.startswith("Uid:"):
                return tuple(int(each) for each in line.split()[1:])
    return ()


def cgroup_of(pid: int, roots: Roots) -> str | None:
    """Return the control group of a process in the v2 tree; None if there is none, or the process has gone."""
    try:
        return parse_cgroup((roots.proc / str(pid) / "cgroup").read_bytes())
    except OSError:
        return None


def whole_unit(identity: Identity, roots: Roots, *, of: int | None) -> str:
    """Return the path of the service or scope in which a process lives.

    Args:
        identity: The process.
        roots: Where the trees are.
        of: Whose each process in it must be; None if that doesn't matter.

    Raises:
        ActionRefused: It lives in none, or that can't be looked at.
        NotYours: Somebody else's process lives in it too.
    """
    unit, cgroup = identity.unit, identity.cgroup
    if unit is None or cgroup is None or not unit.endswith(_WHOLE_UNITS):
        raise ActionRefused(f"process {identity.process.pid} lives in no service and no scope of its own")
    path = cgroup[: cgroup.rindex(f"/{unit}") + len(unit) + 1]
    try:
        handle = CgroupHandle(path, Path(roots.of_cgroup(path)).stat().st_ino, roots)
    except (OSError, TargetGone, ActionFailed) as error:
        raise ActionRefused(f"{path} can't be looked at: {error}") from error
    try:
        pids = handle.pids()
    finally:
        handle.close()
    foreign = next((pid for pid in pids if of is not None and set(uids_of(pid, roots)) - {of}), None)
    if foreign is not None:
        raise NotYours(f"{unit} holds process {foreign}, which belongs to somebody else")
    return path


def vouched_for(uid: int, roots: Roots) -> bool:
    """Return whether a user id means one user: in a user namespace all whom it doesn't know look like one."""
    try:
        overflow = int((roots.proc / _OVERFLOW_UID).read_text())
        known = (roots.proc / "self/uid_map").read_text().split()
    except (OSError, ValueError):
        return True
    return uid != overflow or known == ["0", "0", str(2**32 - 1)]
