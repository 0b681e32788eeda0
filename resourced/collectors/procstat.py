"""Parsers of the files below /proc/PID."""

from dataclasses import dataclass

from resourced.errors import ParseError
from resourced.names import name_of

KERNEL_THREAD = 0x00200000
"""PF_KTHREAD in the field `flags` of /proc/PID/stat."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What is used of /proc/PID/stat, see proc_pid_stat(5)."""

    pid: int
    name: str
    """Field 2, without the parentheses; bytes that are not UTF-8 are replaced."""
    state: str
    ppid: int
    session: int
    kernel_thread: bool
    major_faults: int
    cpu_ticks: int
    """User and system time together, clock ticks."""
    nice: int
    threads: int
    start_time_ticks: int
    virtual_bytes: int
    resident_pages: int


def parse_stat(raw: bytes, source: str) -> Stat:
    """Return the content of /proc/PID/stat. The command's name may hold spaces, parentheses and newlines.

    Raises:
        ParseError: It has another form.
    """
    left, right = raw.find(b" ("), raw.rfind(b") ")
    fields = raw[right + 2 :].split(None, 22)  # what comes behind is not used
    try:
        return Stat(
            int(raw[: max(left, 0)]),
            raw[left + 2 : right].decode(errors="replace"),
            fields[0].decode("ascii"),
            int(fields[1]),
            int(fields[3]),
            bool(int(fields[6]) & KERNEL_THREAD),
            int(fields[9]),
            int(fields[11]) + int(fields[12]),
            int(fields[16]),
            int(fields[17]),
            int(fields[19]),
            int(fields[20]),
            int(fields[21]),
        )
    except (ValueError, IndexError):
        raise ParseError(source, raw.decode(errors="replace"), "pid, (name), state and 22 numbers or more") from None


@dataclass(frozen=True, slots=True)
class Details:
    """What is told of a process in files other than stat; null where it can't be read."""

    uid: int | None = None
    swap_bytes: int | None = None
    cgroup: str | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    oom_score: int | None = None
    oom_score_adj: int | None = None


def parse_status(raw: bytes, source: str) -> tuple[int | None, int | None]:
    """Return real user id and swapped bytes (VmSwap, in kB there) of /proc/PID/status; null where it has no such line.

    Raises:
        ParseError: A line has another form.
    """
    return _number(raw, b"Uid:", source), _scaled(_number(raw, b"VmSwap:", source), 1024)


def parse_io(raw: bytes, source: str) -> tuple[int | None, int | None]:
    """Return read_bytes and write_bytes of /proc/PID/io: what it caused to be moved from and to devices.

    Raises:
        ParseError: A line has another form.
    """
    return _number(raw, b"read_bytes:", source), _number(raw, b"write_bytes:", source)


def parse_cgroup(raw: bytes) -> str | None:
    """Return the path in the v2 tree of /proc/PID/cgroup; None on a host with cgroup v1 alone."""
    for line in raw.split(b"\n"):  # a control group may have any other byte in its name, \r too
        if line.startswith(b"0::"):
            return name_of(line[3:].removesuffix(b" (deleted)"))
    return None


def parse_number(raw: bytes | None, source: str) -> int | None:
    """Return the whole number in a file such as oom_score; None for a file that could not be read.

    Raises:
        ParseError: It holds something else.
    """
    if raw is None:
        return None
    try:
        return int(raw)
    except ValueError:
        raise ParseError(source, raw.decode(errors="replace"), "a whole number") from None


def _number(raw: bytes, key: bytes, source: str) -> int | None:
    """Return the number in the line that begins with a key; never in the first one, where status has the name."""
    at = raw.find(b"\n" + key)
    if at < 0:
        return None
    begin = at + 1 + len(key)
    end = raw.find(b"\n", begin)
    line = raw[begin:] if end < 0 else raw[begin:end]
    try:
        return int(line.split(None, 1)[0])
    except (ValueError, IndexError):
        text = (key + line).decode(errors="replace")
        raise ParseError(source, text, "a whole number after the colon") from None


def _scaled(value: int | None, factor: int) -> int | None:
    return None if value is None else value * factor
