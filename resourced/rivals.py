"""Other programs that kill when memory is short: whoever runs two of them should know."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from resourced.snapshot.processes import Process
from resourced.snapshot.units import unit_of

KILLERS = ("systemd-oomd", "earlyoom", "nohang", "oomd")
"""Command names, as the kernel keeps them."""

_SERVICES = {"nohang.service": "nohang", "nohang-desktop.service": "nohang"}
"""Units of killers that are scripts, whose command name is that of their interpreter."""

_UNITS = tuple(
    f"{base}/{kind}"
    for base in ("etc/systemd", "run/systemd", "usr/lib/systemd", "lib/systemd")
    for kind in ("system", "system.control", "user", "user.control")
)
_SUFFIXES = (".conf", ".scope", ".service", ".slice")
_KILLS = re.compile(r"^\s*ManagedOOM(?:Swap|MemoryPressure)\s*=\s*kill\s*$", re.MULTILINE)
_MOST_FILES = 5000


@dataclass(frozen=True, slots=True)
class Rival:
    """A killer that is active."""

    name: str
    """Its command name."""
    about: str
    """What it may kill, as far as that can be told; empty if it can't."""

    def __str__(self) -> str:
        return f"{self.name} ({self.about})" if self.about else self.name


def killer_of(name: str, cgroup: str | None) -> str | None:
    """Return what a process is called as a killer, by its command name or else by its unit; None if it is none."""
    if name in KILLERS:
        return name
    return _SERVICES.get(unit_of(cgroup) or "") if cgroup is not None else None


def killers_of(processes: Iterable[Process]) -> frozenset[str]:
    """Return which killers are among processes."""
    found = (killer_of(each.name, each.cgroup) for each in processes)
    return frozenset(each for each in found if each is not None)


def describe_rivals(names: Iterable[str], root: Path = Path("/")) -> tuple[Rival, ...]:
    """Return what is known of killers that run. It reads unit files: not for where it must be quick.

    Args:
        names: Their command names.
        root: Where the machine's files begin.
    """
    return tuple(Rival(name, _managed(root) if name == "systemd-oomd" else "") for name in sorted(names))


def _managed(root: Path) -> str:
    """systemd-oomd kills only below units that ask for it."""
    units = sorted({_unit_of(path) for path in _unit_files(root) if _asks(path)})
    if not units:
        return "no unit asks it to kill"
    shown = ", ".join(units[:5])
    return f"ManagedOOM units: {shown}{f' and {len(units) - 5} more' if len(units) > 5 else ''}"


def _unit_files(root: Path) -> Iterator[Path]:
    count = 0
    for directory in _UNITS:
        for path in (root / directory).rglob("*"):
            if path.suffix not in _SUFFIXES:
                continue
            count += 1
            if count > _MOST_FILES:
                return
            yield path


def _unit_of(path: Path) -> str:
    """A drop-in belongs to the unit after which its folder is named."""
    return path.parent.name.removesuffix(".d") if path.suffix == ".conf" else path.name


def _asks(path: Path) -> bool:
    try:
        return _KILLS.search(path.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False
