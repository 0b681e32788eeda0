"""What the policy must know besides the sample: who resourced is, what owners of cgroups asked for, who registered."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from resourced.collectors.base import Roots, read_text
from resourced.decision import LoggedEvent
from resourced.policy import Myself, Preference, Workload

_XATTRS = (
    ("omit", b"trusted.oomd_omit"),
    ("omit", b"user.oomd_omit"),
    ("avoid", b"trusted.oomd_avoid"),
    ("avoid", b"user.oomd_avoid"),
)
"""What systemd writes on the cgroup of a unit with ManagedOOMPreference=, and Meta's oomd besides."""


SURROUNDINGS = "policy_surroundings"
"""Name of the event by which they are recorded."""

_INFO = 6
_SET = (b"1", b"1\0", b"true")


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


def read_attribute(path: bytes, name: bytes) -> bytes | None:
    """Return an extended attribute of a file; None if there is none or it can't be read."""
    try:
        return os.getxattr(path, name)
    except OSError:
        return None


class Preferences(Mapping[str, Preference]):
    """What owners of cgroups ask for by extended attributes, by path; those that ask for nothing are not in it.

    One is made for each moment. A cgroup is read when it is first asked for, so that nobody is chosen by what he wished
    some time ago, and remembered, so that what is recorded is what was judged by.

    Args:
        roots: Where the cgroup tree is.
        paths: Paths below it that are known to exist, as in the snapshot; others may be asked for.
        attribute: Reads an extended attribute.
    """

    __slots__ = ("_attribute", "_paths", "_read", "_root_owner", "_roots")

    def __init__(
        self,
        roots: Roots,
        paths: Collection[str] = (),
        attribute: Callable[[bytes, bytes], bytes | None] = read_attribute,
    ) -> None:
        self._roots = roots
        self._root_owner: int | None = None
        self._paths = paths
        self._attribute = attribute
        self._read: dict[str, Preference | None] = {}

    def __getitem__(self, path: str) -> Preference:
        if path not in self._read:
            self._read[path] = self._preference(path)
        found = self._read[path]
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return (path for path in self._paths if path in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _preference(self, path: str) -> Preference | None:
        directory = self._roots.of_cgroup(path)
        encoded = os.fsencode(directory)
        kind = next((kind for kind, name in _XATTRS if self._attribute(encoded, name) in _SET), None)
        owner = _owner(directory) if kind else None
        if kind is None or owner is None:
            return None
        if self._root_owner is None:
            self._root_owner = _owner(str(self._roots.cgroup)) or 0
        return Preference(kind, owner, self._root_owner)


def _parent(roots: Roots, pid: int) -> int | None:
    text = read_text(roots.proc / str(pid) / "stat")
    if text is None:
        return None
    return int(text.rpartition(")")[2].split()[1])


def _owner(path: str) -> int | None:
    try:
        return Path(path).stat().st_uid
    except OSError:
        return None
