"""Space and inodes of mounted file systems: statvfs(2) for each mount that holds data.

A file system on this machine answers at once. One that depends on a server or a process may not answer for hours, so
each of these is asked by a thread of its own, which is not asked again before it has answered.
"""

import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from resourced.collectors.base import KeptFile, Roots
from resourced.collectors.mounts import Mount, choose, parse_mountinfo
from resourced.names import raw_of

Statvfs = Callable[[str], os.statvfs_result]


@dataclass(frozen=True, slots=True)
class SpaceSample:
    """What one file system answered. Types without a fixed number of inodes say 0."""

    total_bytes: int
    free_bytes: int
    available_bytes: int
    inodes_total: int
    inodes_free: int


@dataclass(frozen=True, slots=True)
class MountSample:
    """One mounted file system; either its space or the reason why it is unknown."""

    device: str
    type: str
    read_only: bool
    space: SpaceSample | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class FilesystemsSample:
    """All mounted file systems that hold data."""

    mounts: dict[str, MountSample]
    """Keyed by mount point, sorted."""


Answer = tuple[SpaceSample | None, str | None]


def ask(statvfs: Statvfs, path: str) -> Answer:
    """Return the space of the file system at `path`, or why it is unknown."""
    try:
        found = statvfs(os.fsdecode(raw_of(path)))
    except OSError as error:
        return None, f"statvfs of {path} failed: {error.strerror or error}"
    unit = found.f_frsize or found.f_bsize
    space = SpaceSample(
        total_bytes=found.f_blocks * unit,
        free_bytes=found.f_bfree * unit,
        available_bytes=found.f_bavail * unit,
        inodes_total=found.f_files,
        inodes_free=found.f_ffree,
    )
    return space, None


class _Question:
    """One question to one file system, put by a thread of its own that may never return."""

    def __init__(self, statvfs: Statvfs, path: str) -> None:
        self.answered = threading.Event()
        self._answer: Answer = (None, None)
        self._put_at = time.monotonic()
        # A thread that hangs in the kernel must not hold up the interpreter's exit.
        threading.Thread(target=self._put, args=(statvfs, path), name="resourced-statvfs", daemon=True).start()

    def _put(self, statvfs: Statvfs, path: str) -> None:
        try:
            self._answer = ask(statvfs, path)
        finally:
            self.answered.set()

    def answer(self) -> Answer:
        if self.answered.is_set():
            return self._answer
        return None, f"it has not answered for {time.monotonic() - self._put_at:.1f} s"


class FilesystemsCollector:
    """Asks the mounted file systems for their space.

    Args:
        roots: Where /proc is.
        patience_seconds: How long the remote ones together may take before they count as late.
        statvfs: Asks one file system.
    """

    name = "filesystems"

    def __init__(
        self,
        roots: Roots,
        patience_seconds: float = 0.5,
        statvfs: Statvfs = os.statvfs,
        exclude_types: Collection[str] = (),
    ) -> None:
        self._file = KeptFile(roots.proc / "self/mountinfo")
        self._patience_seconds = patience_seconds
        self._statvfs = statvfs
        self._exclude_types = frozenset(exclude_types)
        self._content: bytes | None = None
        self._mounts: list[Mount] = []
        self._late: dict[tuple[str, str], _Question] = {}

    def collect(self) -> FilesystemsSample:
        mounts = self._mounted()
        questions = self._ask_remote([mount for mount in mounts if mount.remote])
        samples = {}
        for mount in mounts:
            question = questions.get((mount.number, mount.path))
            space, reason = question.answer() if question else ask(self._statvfs, mount.path)
            samples[mount.path] = MountSample(mount.device, mount.type, mount.read_only, space, reason)
        return FilesystemsSample(samples)

    def _mounted(self) -> list[Mount]:
        content = self._file.read()
        if content != self._content:
            mounts = parse_mountinfo(content, str(self._file.path))
            self._mounts = choose(each for each in mounts if each.type not in self._exclude_types)
            self._content = content
        return self._mounts

    def _ask_remote(self, mounts: list[Mount]) -> dict[tuple[str, str], _Question]:
        """Return a question for each mount: the one that is still open, or a new one that was waited for."""
        deadline = time.monotonic() + self._patience_seconds
        questions, put = {}, []
        for mount in mounts:
            key = (mount.number, mount.path)
            question = self._late.get(key)
            if question is None or question.answered.is_set():
                question = _Question(self._statvfs, mount.path)
                put.append(question)
            questions[key] = question
        for question in put:
            question.answered.wait(max(0.0, deadline - time.monotonic()))
        self._late = {key: question for key, question in questions.items() if not question.answered.is_set()}
        return questions

    def close(self) -> None:
        self._file.close()
