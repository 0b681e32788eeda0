"""Builds the library that answers as libnvidia-ml.so.1."""

import shutil
import subprocess
from pathlib import Path

LIBRARY = "libnvidia-ml.so.1"


def compiler() -> str | None:
    """Return the C compiler, or None where there is none."""
    return shutil.which("gcc") or shutil.which("cc")


def build(directory: Path) -> Path:
    """Compile the library into the directory and return its path; put the directory into LD_LIBRARY_PATH to use it."""
    library = directory / LIBRARY
    source = Path(__file__).with_name("fake.c")
    options = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{LIBRARY}")
    subprocess.run([compiler() or "gcc", *options, "-o", library, source], check=True, capture_output=True, text=True)
    return library
