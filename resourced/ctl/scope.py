"""A transient scope of systemd, and the limits that it can have."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from resourced.client.target import runtime_of
from resourced.quantities import parse_size

_BOOTED = Path("/run/systemd/system")
"""Exists where systemd is what runs the machine (sd_booted(3))."""
_PERCENT = re.compile(r"\d+(\.\d+)?%")


def size_or_share(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Return an amount of memory, or a share of the machine's, as systemd takes it.

    Raises:
        click.BadParameter: It is neither.
    """
    del context, option
    if value is None or value == "infinity" or _PERCENT.fullmatch(value):
        return value
    try:
        return str(parse_size(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@dataclass(frozen=True, slots=True)
class Limits:
    """What a scope may have; false where nothing is limited."""

    memory_high: str | None = None
    memory_max: str | None = None
    cpu_weight: int | None = None

    def __bool__(self) -> bool:
        return bool(self.properties())

    def properties(self) -> dict[str, str]:
        """Return the limits by the names of systemd's properties."""
        found = {"MemoryHigh": self.memory_high, "MemoryMax": self.memory_max, "CPUWeight": self.cpu_weight}
        return {name: str(value) for name, value in found.items() if value is not None}


def unavailable(manager: str, environ: Mapping[str, str]) -> str | None:
    """Return why there can be no scope here; None if there can.

    Args:
        manager: user or system.
        environ: Where variables stand.
    """
    if not _BOOTED.is_dir():
        return "systemd does not run this machine"
    if shutil.which("systemd-run", path=environ.get("PATH")) is None:
        return "systemd-run is not installed"
    if manager == "user" and not os.path.isdir(runtime_of(environ) / "systemd"):  # noqa: PTH112 - may be another user's
        return "this user's service manager does not run (loginctl enable-linger starts it)"
    return None


def arguments(limits: Limits, manager: str, name: str, command: list[str]) -> list[str]:
    """Return the command that makes the scope and then becomes `command`.

    Args:
        limits: What it may have.
        manager: user or system.
        name: What the scope is called, beside the pid.
        command: What runs in it.
    """
    unit = re.sub(r"[^A-Za-z0-9:_.]", "_", name)[:100]
    properties = [f"--property={key}={value}" for key, value in limits.properties().items()]
    return [
        "systemd-run",
        f"--{manager}",
        "--scope",
        "--quiet",
        "--collect",
        f"--unit=run-{unit}-{os.getpid()}.scope",
        f"--description={name}",
        *properties,
        "--",
        *command,
    ]


def environment() -> dict[str, str]:
    """Return what a session of ssh or cron lacks to find its user's manager."""
    runtime = runtime_of(os.environ)
    return {"XDG_RUNTIME_DIR": str(runtime)} if os.getuid() != 0 and os.access(runtime, os.X_OK) else {}
