"""Builds the programs of a storm: static, so that the machine needs no compiler and no library for them."""

import subprocess
from pathlib import Path

from tests.nvml.build import compiler
from tests.system.machine import Machine

PROGRAMS = ("bystander", "innocent", "runaway", "watch")


def build(directory: Path) -> None:
    """Compile the programs into the directory."""
    for name in PROGRAMS:
        source = Path(__file__).with_name(f"{name}.c")
        options = ("-static", "-O2", "-Wall", "-Wextra", "-Werror")
        subprocess.run([compiler() or "gcc", *options, "-o", directory / name, source], check=True)


def install(machine: Machine, directory: Path) -> None:
    """Put the programs into the machine, as /usr/local/bin/storm-NAME."""
    for name in PROGRAMS:
        machine.put(directory / name, f"/usr/local/bin/storm-{name}")
    machine.run("chmod 755 /usr/local/bin/storm-*")
