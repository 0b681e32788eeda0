"""What every collector is made of: where the kernel's trees stand, how a file is read, what a sample is."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from resourced.errors import Unavailable
from resourced.names import raw_of

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

_READ_SIZE = 65536


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the kernel's file trees are mounted; nothing else in resourced knows these paths."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    cgroup: Path = Path("/sys/fs/cgroup")

    def of_cgroup(self, path: str) -> str:
        """Return where a cgroup is, as functions of the system take it.

        Args:
            path: Below the root of the tree, as `names.name_of` writes it.
        """
        if path.isascii():  # as nearly all are, hundreds of times a sample
            return f"{self.cgroup}{path}".rstrip("/")
        return os.fsdecode(os.fsencode(self.cgroup) + raw_of(path)).rstrip("/")


@dataclass(frozen=True, slots=True)
class Taken(Generic[S]):
    """A raw sample with the moment at which it was taken.

    Attributes:
        sample: What the collector read: counters as the kernel gives them, in base units.
        monotonic_seconds: CLOCK_MONOTONIC when the reading began.
        time: Wall time when the reading began, seconds since the epoch.
        duration_seconds: How long the reading took.
    """

    sample: S
    monotonic_seconds: float
    time: float
    duration_seconds: float

    def seconds_since(self, before: "Taken[S] | None") -> float:
        """Return the monotonic seconds since an earlier sample, or 0 if there is none: rates over 0 s are unknown."""
        return 0.0 if before is None else self.monotonic_seconds - before.monotonic_seconds


class Collector(Protocol[S_co]):
    """Reads one interface once; keeps no history, knows no threshold and takes no decision.

    A collector may keep descriptors open between calls. It is only ever called by one thread at a time.
    """

    name: str

    def collect(self) -> S_co:
        """Read the interface now.

        Raises:
            Unavailable: The host doesn't have it; the text says why.
            ParseError: The kernel's answer did not have the expected form.
            OSError: A read failed.
        """
        ...

    def close(self) -> None:
        """Give back what is kept open. A later `collect` opens it again."""
        ...


class KeptFile:
    """A file below /proc or /sys that is opened once and read whole, from the start, at each `read`.

    Files there report a size of 0 or 4096 whatever they hold, so the size is never asked for. A file that vanished
    (a device unplugged, a process gone) raises OSError, and is opened anew at the next call.

    The kernel gives a file of several records (mountinfo, diskstats, net/dev) about a page at a time, cut between two
    records: how much a read gave doesn't tell whether there is more. Only an empty read does.

    Args:
        path: The file.
        one_record: Whether the kernel writes it as one record, as all attributes below /sys, so that a read gives as
            much as it may.
    """

    __slots__ = ("_fd", "_one_record", "path")

    def __init__(self, path: Path, *, one_record: bool = False) -> None:
        self.path = path
        self._one_record = one_record
        self._fd = -1

    def read(self) -> bytes:
        """Return the whole content.

        Raises:
            Unavailable: There is no such file.
            OSError: The kernel refused the read.
        """
        if self._fd < 0:
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise Unavailable(f"{self.path} does not exist") from error
        try:
            content = os.pread(self._fd, _READ_SIZE, 0)
            if len(content) == _READ_SIZE or (content and not self._one_record):
                content = self._read_rest(content)
        except OSError:
            self.close()
            raise
        return content

    def _read_rest(self, start: bytes) -> bytes:
        parts, position = [start], len(start)
        while part := os.pread(self._fd, _READ_SIZE, position):
            parts.append(part)
            position += len(part)
        return b"".join(parts) if len(parts) > 1 else start

    def close(self) -> None:
        """Close the descriptor, if one is open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


def read_text(path: Path) -> str | None:
    """Return the stripped content of a small file, or None if it can't be read: absent, refused, unplugged."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """Return the whole number in a small file, or None if it can't be read or holds something else ("max")."""
    text = read_text(path)
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None
