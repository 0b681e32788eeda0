"""What may be amiss on a machine, seen from outside the daemon: checks of the kernel's trees and of answers."""

import ctypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from resourced.collectors.base import Roots, read_text
from resourced.collectors.procstat import parse_cgroup
from resourced.rivals import killer_of

RIVALS = {
    "systemd-oomd": "systemctl disable --now systemd-oomd.service systemd-oomd.socket",
    "earlyoom": "systemctl disable --now earlyoom.service",
    "nohang": "systemctl disable --now nohang.service nohang-desktop.service",
    "oomd": "systemctl disable --now oomd.service",
    "below-oom": "systemctl disable --now below-oom.service",
    "low-memory-moni": "systemctl disable --now low-memory-monitor.service",
    "psi-monitor": "systemctl disable --now psi-monitor.service",
}
"""Other killers by the name of their process (/proc/PID/comm, at most 15 bytes), and how they are switched off.

One that is a script has the name of its interpreter, and is known by its unit."""

CAPABILITIES = {
    1: ("CAP_DAC_OVERRIDE", "limits and freezing of control groups"),
    5: ("CAP_KILL", "signals to the processes of others"),
    19: ("CAP_SYS_PTRACE", "what processes of others read and write"),
    24: ("CAP_SYS_RESOURCE", "the kernel's pressure triggers"),
}
"""What the daemon uses, by number, and what for."""

_CONTROLLERS = ("cpu", "io", "memory", "pids")
_STALE_SECONDS = 10.0
_LAG_SECONDS = 0.5
_UNSYNCHRONISED = 5
"""adjtimex(2): TIME_ERROR."""


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing need be done."""
    WARNING = "warning"
    """It works, with less than it could."""
    FAULT = "fault"
    """Something that resourced is there for does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    """The thing that was looked at."""
    level: Level
    text: str
    """A sentence: what is so."""
    advice: str | None = None
    """What to do about it; None if nothing need be done."""


def pressure(roots: Roots) -> Iterator[Finding]:
    """Look whether the kernel tells how long work waits (PSI)."""
    try:
        text = (roots.proc / "pressure/memory").read_text(encoding="ascii")
    except FileNotFoundError:
        yield Finding(
            "psi",
            Level.FAULT,
            "This kernel has no pressure stall information.",
            "Boot a kernel with CONFIG_PSI=y.",
        )
    except OSError:
        yield Finding(
            "psi",
            Level.FAULT,
            "Pressure stall information is off.",
            "Add psi=1 to the kernel's command line and boot.",
        )
    else:
        known = "some" in text and "full" in text
        yield Finding("psi", Level.OK if known else Level.WARNING, "The kernel tells how long work waits.")


def cgroups(roots: Roots) -> Iterator[Finding]:
    """Look which version of control groups is mounted, and which controllers reach the services."""
    text = read_text(roots.cgroup / "cgroup.controllers")
    if text is None:
        yield Finding(
            "cgroup version",
            Level.FAULT,
            f"{roots.cgroup} is not the one tree of cgroup version 2.",
            "Boot with systemd.unified_cgroup_hierarchy=1; units are neither measured nor throttled before.",
        )
        return
    yield Finding("cgroup version", Level.OK, f"Version 2, with {' '.join(text.split())}.")
    for path in ("", "system.slice", "user.slice"):
        passed = read_text(roots.cgroup / path / "cgroup.subtree_control")
        if passed is None or not any(each.is_dir() for each in (roots.cgroup / path).iterdir()):
            continue  # there is no such slice, or nothing in it
        missing = [each for each in _CONTROLLERS if each in text.split() and each not in passed.split()]
        name = path or "the root"
        if missing:
            accounting = " ".join(f"Default{_ACCOUNTING[each]}Accounting=yes" for each in missing)
            yield Finding(
                "delegation",
                Level.WARNING,
                f"{name} does not pass {', '.join(missing)} on: units below it are not measured by it.",
                f"Set {accounting} in /etc/systemd/system.conf and run systemctl daemon-reexec.",
            )
        else:
            yield Finding("delegation", Level.OK, f"{name} passes {', '.join(_CONTROLLERS)} on.")


_ACCOUNTING = {"cpu": "CPU", "io": "IO", "memory": "Memory", "pids": "Tasks"}


def rivals(roots: Roots) -> Iterator[Finding]:
    """Look for other programs that kill when memory is short."""
    found = False
    for path in roots.proc.glob("[0-9]*/comm"):
        name = (read_text(path) or "").strip()
        if name not in RIVALS:
            name = killer_of(name, parse_cgroup((read_text(path.parent / "cgroup") or "").encode())) or ""
        if name in RIVALS:
            found = True
            yield Finding(
                "rivals",
                Level.WARNING,
                f"{name} runs as well (pid {path.parent.name}) and follows rules of its own.",
                f"Leave one of the two in charge: {RIVALS[name]}; or let resourced observe only.",
            )
    if not found:
        yield Finding("rivals", Level.OK, "No other killer runs.")


def clock(state: int | None) -> Iterator[Finding]:
    """Look whether the wall clock is kept right, from what `clock_state` says."""
    if state is None:
        yield Finding("clock", Level.NOTE, "The kernel does not tell whether the clock is kept right.")
    elif state == _UNSYNCHRONISED:
        yield Finding(
            "clock",
            Level.WARNING,
            "The wall clock is not synchronised: the history's times may be off, and jump.",
            "Run timedatectl set-ntp true, or install chrony or systemd-timesyncd.",
        )
    else:
        yield Finding("clock", Level.OK, "The wall clock is synchronised.")


def clock_state() -> int | None:
    """Return what adjtimex(2) says of the clock; None if it can't be asked."""
    room = ctypes.create_string_buffer(512)  # struct timex, all zero: nothing is set; it has about 208 bytes
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(room)
    except (OSError, AttributeError):
        return None
    return state if state >= 0 else None


def capabilities(roots: Roots, pid: int) -> Iterator[Finding]:
    """Look which capabilities the daemon has, if its process can be seen."""
    for line in (read_text(roots.proc / str(pid) / "status") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            held = int(value, 16)
            lacking = [(name, what) for number, (name, what) in CAPABILITIES.items() if not held >> number & 1]
            if not lacking:
                yield Finding("permissions", Level.OK, "The daemon has the capabilities that it uses.")
            elif len(lacking) == len(CAPABILITIES):
                yield Finding(
                    "permissions",
                    Level.NOTE,
                    "The daemon has no capability: it only watches, and sees of others what everybody may.",
                    "If it is to act, run resourced.service instead of resourced-readonly.service.",
                )
            else:
                for name, what in lacking:
                    yield Finding(
                        "permissions",
                        Level.WARNING,
                        f"The daemon lacks {name}: no {what}.",
                        f"Add {name} to AmbientCapabilities= and CapabilityBoundingSet= of its unit.",
                    )


def sampling(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Look whether samples are taken, and in time."""
    told = status.get("sampling") or {}
    age, lag = told.get("age_seconds"), told.get("lag_seconds") or 0.0
    if age is None or age > max(_STALE_SECONDS, 5 * told.get("interval_seconds", 1.0)):
        since = "never" if age is None else f"{age:.0f} s ago"
        yield Finding(
            "sampling", Level.FAULT, f"The last sample was taken {since}.", "See journalctl -u resourced -p warning."
        )
    elif lag > _LAG_SECONDS:
        yield Finding(
            "sampling",
            Level.WARNING,
            f"Samples come {lag:.1f} s late.",
            "Raise CPUWeight= of its unit, or sampling.interval.",
        )
    else:
        yield Finding("sampling", Level.OK, f"A sample every {told.get('interval_seconds', 0):g} s.")


def collectors(all_: Mapping[str, Any], roots: Roots) -> Iterator[Finding]:
    """Look which collectors deliver; NVML among them."""
    for name, health in (all_.get("collectors") or {}).items():
        status, reason = health.get("status"), health.get("reason")
        if name == "gpus" and status == "absent" and (roots.proc / "driver/nvidia/version").exists():
            yield Finding(
                "gpus",
                Level.FAULT,
                f"NVIDIA's driver is loaded and the daemon can't use it: {reason}.",
                "Install the libnvidia-ml.so.1 of the same version as the driver, and restart resourced.",
            )
        elif status in {"ok", "absent", "off"}:
            level = Level.OK if status == "ok" else Level.NOTE
            yield Finding(name, level, "Delivers." if status == "ok" else f"{str(status).capitalize()}: {reason}.")
        else:
            yield Finding(
                name,
                Level.FAULT,
                f"{str(status).capitalize()}: {reason}.",
                "It is tried again by itself; see journalctl -u resourced RESOURCED_COLLECTOR=" + name,
            )


def store(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Look whether the history is written."""
    told = status.get("history") or {}
    if told.get("problem"):
        yield Finding(
            "store",
            Level.FAULT,
            f"Nothing is written: {told['problem']}.",
            f"Check space and permissions of {told.get('path')}.",
        )
    elif told.get("path") is None:
        yield Finding("store", Level.NOTE, "The history is in memory only.", "Set history.enabled = true to keep it.")
    elif told.get("lost_ticks"):
        yield Finding(
            "store",
            Level.WARNING,
            f"{told['lost_ticks']} samples were lost since the start.",
            f"Is the disk of {told['path']} overloaded?",
        )
    else:
        yield Finding("store", Level.OK, f"Written to {told['path']}, {told.get('disk_bytes', 0) / 2**20:.1f} MiB.")


def free_space(directory: Path, free_bytes: int, wanted_bytes: int) -> Iterator[Finding]:
    """Look whether the file system of the history has room for it."""
    if free_bytes < wanted_bytes:
        yield Finding(
            "space",
            Level.WARNING,
            f"{directory} has {free_bytes / 2**20:.0f} MiB left; the history may grow by {wanted_bytes / 2**20:.0f}.",
            "Free some space there, or lower history.max_size.",
        )
