"""What is read of one process when somebody asks, and not at every sample."""

from resourced.collectors.base import Roots
from resourced.collectors.procstat import parse_stat
from resourced.errors import ParseError


def read_command_line(roots: Roots, pid: int, start_time_ticks: int) -> str | None:
    """Return the command line of a process, arguments joined by spaces; None if it has gone or may not be read.

    Args:
        roots: Where /proc is.
        pid: The process.
        start_time_ticks: Its start, so that nobody else's is returned when the pid is reused.
    """
    directory = roots.proc / str(pid)
    try:
        before = parse_stat((directory / "stat").read_bytes(), str(directory / "stat"))
        raw = (directory / "cmdline").read_bytes()
        after = parse_stat((directory / "stat").read_bytes(), str(directory / "stat"))
    except (OSError, ParseError):
        return None
    if not before.start_time_ticks == after.start_time_ticks == start_time_ticks:
        return None
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
