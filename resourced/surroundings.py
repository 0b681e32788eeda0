"""What the policy must know besides the sample: who resourced is, what owners of cgroups asked for, who registered."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from resourced.collectors.base import Roots, read_text
from resourced.decision import LoggedEvent
from resourced.policy import Myself, Preference, Workload

_XATTRS = (
    ("omit", "trusted.oomd_omit"),
    ("omit", "user.oomd_omit"),
    ("avoid", "trusted.oomd_avoid"),
    ("avoid", "user.oomd_avoid"),
)
"""What systemd writes on the cgroup of a unit with ManagedOOMPreference=, and Meta's oomd besides."""


SURROUNDINGS = "policy_surroundings"
"""Name of the event by which they are recorded."""

_INFO = 6


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the policy knows besides the sample."""

    myself: Myself | None = None
    """Who resourced is."""
    preferences: Mapping[str, Preference] = field(default_factory=dict)
    """What owners of cgroups asked for, by path."""
    workloads: tuple[Workload, ...] = ()
    """Registered workloads."""


def surroundings_event(
    time: float, myself: Myself, preferences: Mapping[str, Preference], workloads: tuple[Workload, ...] = ()
) -> LoggedEvent:
    """Return an event that says what the policy knows besides the sample."""
    fields = {
        "pid": myself.pid,
        "ancestors": sorted(myself.ancestors),
        "cgroup": myself.cgroup,
        "preferences": {path: [p.kind, p.owner_uid, p.ancestor_uid] for path, p in preferences.items()},
        "workloads": [asdict(each) for each in workloads],
    }
    told = (
        f"resourced is process {myself.pid}; owners of {len(preferences)} control groups have wishes;"
        f" registered workloads: {len(workloads)}"
    )
    return LoggedEvent(time, SURROUNDINGS, _INFO, told, fields)


def read_surroundings(fields: Mapping[str, Any]) -> Surroundings:
    """Return what such an event says; those of older releases know of no workloads."""
    preferences = {path: Preference(*wish) for path, wish in fields["preferences"].items()}
    workloads = tuple(Workload(**each) for each in fields.get("workloads", ()))
    return Surroundings(Myself(fields["pid"], frozenset(fields["ancestors"]), fields["cgroup"]), preferences, workloads)


def read_myself(roots: Roots) -> Myself:
    """Return this process's identity: /proc/PID/stat up to PID 1, and the v2 line of /proc/self/cgroup."""
    pid = os.getpid()
    ancestors: set[int] = set()
    parent = _parent(roots, pid)
    while parent and parent not in ancestors:
        ancestors.add(parent)
        parent = _parent(roots, parent)
    lines = (read_text(roots.proc / "self/cgroup") or "").splitlines()
    cgroup = next((line[3:] for line in lines if line.startswith("0::")), None)
    return Myself(pid, frozenset(ancestors), cgroup)


def read_preferences(roots: Roots, paths: Iterable[str]) -> dict[str, Preference]:
    """Return what the extended attributes of cgroups ask for, by path; those that ask for nothing are left out.

    Args:
        roots: Where the cgroup tree is.
        paths: Paths below it, as in the snapshot.
    """
    root_owner = _owner(str(roots.cgroup))
    found: dict[str, Preference] = {}
    for path in paths:
        directory = f"{roots.cgroup}{path}"
        kind = next((kind for kind, name in _XATTRS if _is_set(directory, name)), None)
        owner = _owner(directory) if kind else None
        if kind is not None and owner is not None:
            found[path] = Preference(kind, owner, root_owner or 0)
    return found


def _parent(roots: Roots, pid: int) -> int | None:
    text = read_text(roots.proc / str(pid) / "stat")
    if text is None:
        return None
    return int(text.rpartition(")")[2].split()[1])


def _is_set(directory: str, name: str) -> bool:
    try:
        return os.getxattr(directory, name) in (b"1", b"1\0", b"true")
    except OSError:
        return False


def _owner(path: str) -> int | None:
    try:
        return Path(path).stat().st_uid
    except OSError:
        return None
