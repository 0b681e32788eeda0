"""Tables of measurements: printed, and kept in docs/benchmarks.md with date, machine and command."""

import os
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent.parent / "docs/benchmarks.md"
_HEAD = """# Benchmarks

What was measured, by whom it can be measured again, and on what. Each section is from one run, written by the command
that it names. The machines are small and shared: compare the rows of a table with each other, not with those of
another machine.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def machine() -> str:
    """Return what the measurement was made on."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    total = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    memory = f"{int(total[1]) / 1024**2:.0f} GiB" if total else "unknown memory"
    return (
        f"{os.cpu_count()} processors ({names[0] if names else platform.machine()}), {memory},"
        f" Linux {platform.release()}, Python {platform.python_version()}"
    )


def keep(title: str, command: str, body: str) -> None:
    """Print a section and put it into the document in place of the one of the same title."""
    section = f"## {title}\n\n{time.strftime('%Y-%m-%d')}, {machine()}, `{command}`\n\n{body}\n"
    print(section)
    text = DOCUMENT.read_text() if DOCUMENT.exists() else _HEAD
    parts = re.split(r"(?m)^(?=## )", text)
    kept = [part.rstrip() + "\n" for part in parts if not part.startswith(f"## {title}\n")]
    DOCUMENT.write_text("\n".join([*kept, section]))
