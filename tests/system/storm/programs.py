"""Builds the programs of storms and nasty cases: static, so that the machine needs no compiler and no library."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.nvml.build import compiler
from tests.system.machine import Machine

STORM = ("bystander", "innocent", "runaway", "watch")
NASTY = ("nasty",)


def install(machine: Machine, directory: Path, names: Sequence[str]) -> None:
    """Compile programs in the directory and put them into the machine, as /usr/local/bin/storm-NAME."""
    for name in names:
        source = Path(__file__).with_name(f"{name}.c")
        options = ("-static", "-O2", "-pthread", "-Wall", "-Wextra", "-Werror")
        subprocess.run([compiler() or "gcc", *options, "-o", directory / name, source], check=True)
        machine.put(directory / name, f"/usr/local/bin/storm-{name}")
    machine.run("chmod 755 /usr/local/bin/storm-*")
