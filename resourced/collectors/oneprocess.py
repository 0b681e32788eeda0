"""What is read of one process when somebody asks, and not at every sample."""

from resourced.collectors.base import Roots
from resourced.collectors.procstat import parse_stat


def read_command_line(roots: Roots, pid: int, start_time_ticks: int) -> str | None:
    """Return the command line of a process, arguments joined by spaces; None if it has gone or may not be read.

    Args:
        roots: Where /proc is.
        pid: The process.
        start_time_ticks: Its start, so that nobody else's is returned when the pid is reused.
    """
    raw = _of_same(roots, pid, start_time_ticks, "cmdline")
    return None if raw is None else raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def read_pss(roots: Roots, pid: int, start_time_ticks: int) -> int | None:
    """Return the proportional set size in bytes (/proc/PID/smaps_rollup); see `read_command_line`."""
    raw = _of_same(roots, pid, start_time_ticks, "smaps_rollup")
    for line in (raw or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _of_same(roots: Roots, pid: int, start_time_ticks: int, file: str) -> bytes | None:
    """Read a file of a process that is the same before and after."""
    directory = roots.proc / str(pid)
    try:
        before = parse_stat((directory / "stat").read_bytes(), str(directory / "stat"))
        raw = (directory / file).read_bytes()
        after = parse_stat((directory / "stat").read_bytes(), str(directory / "stat"))
    except OSError:
        return None
    return raw if before.start_time_ticks == after.start_time_ticks == start_time_ticks else None
