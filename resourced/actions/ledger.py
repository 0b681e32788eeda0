"""What was changed and how it was before: on disk before the change is made, so that even a crash is put right.

One small file in the runtime directory, replaced whole and synced. Without a directory it is kept in memory only.
"""

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from resourced.actions.handles import CgroupHandle, ProcessHandle
from resourced.bootfile import BootFile
from resourced.collectors.base import Roots
from resourced.decision import Step
from resourced.errors import ActionFailed, TargetGone

VERSION = 1
IO_WEIGHTS = ("io.weight", "io.bfq.weight")
"""Files whose first line is what holds by default; those of single devices follow and are never changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that can be undone: a file of a cgroup, or a process that was stopped."""

    key: str
    """The target's identity."""
    target: str
    """What a person calls it."""
    decision: str
    """Id of the decision."""
    rule: str
    """Its rule."""
    instance: str
    """Which of several."""
    step: Step
    """The rung."""
    time: float
    """Wall time, seconds since the epoch."""
    boottime_seconds: float
    """The same moment on CLOCK_BOOTTIME."""
    expires_seconds: float
    """How long it may last."""
    path: str | None = None
    """The cgroup; null for a process."""
    inode: int | None = None
    """The cgroup's directory."""
    file: str | None = None
    """The file that was changed."""
    original: str | None = None
    """What was in it."""
    written: tuple[str, ...] = ()
    """What we wrote, the last two: the newest may not have been reached by the write when the daemon was killed."""
    pid: int | None = None
    """The process that was stopped; null for a cgroup."""
    start_time_ticks: int | None = None
    """Its start, clock ticks after boot."""

    @property
    def place(self) -> tuple[str | None, int | None, str | None, int | None, int | None]:
        """Return what was changed, apart from how."""
        return self.path, self.inode, self.file, self.pid, self.start_time_ticks

    def expired(self, boottime_seconds: float) -> bool:
        """Return whether it has lasted as long as it may."""
        return boottime_seconds - self.boottime_seconds >= self.expires_seconds


class Ledger:
    """The changes that are in force, and when targets were ended lately.

    Only one thread uses it, but for `changes`, which is replaced whole and may be read by any, and `restore`.

    Args:
        path: The file; None to remember in memory only.
        boot_id: Identity of this boot: what an earlier one changed is gone.
        roots: Where the kernel's trees are.
        report: Called with the reason when the file can't be written.
    """

    def __init__(self, path: Path | None, boot_id: str | None, roots: Roots, report: Callable[[str], None]) -> None:
        self.changes: tuple[Change, ...] = ()
        self.ended: tuple[float, ...] = ()
        """CLOCK_BOOTTIME of targets that were terminated or killed."""
        self.alone: dict[str, tuple[float, float]] = {}
        """Who is left alone because somebody said so: until when, CLOCK_MONOTONIC, and for how long."""
        self._file = BootFile(path, version=VERSION, boot_id=boot_id, report=report)
        self._roots = roots
        self._report = report
        self._dirty = False
        self._file.load(self._take)

    def remember(self, *changes: Change, anew: bool = False) -> None:
        """Keep changes that are about to be made. If a place was changed before, the original of then stays.

        Args:
            changes: Some that are about to be made.
            anew: Whether they are made for another decision than those before, and last as long as they may from now.

        Raises:
            ActionFailed: They can't be kept, and so must not be made.
        """
        kept = self.changes
        known = {each.place: each for each in kept}
        for change in changes:
            before = known.pop(change.place, None)  # what was changed last is put back first
            if before is not None:
                mine = not anew or change.original in before.written  # else somebody else has set it meanwhile
                original = before.original if mine else change.original
                written = (*before.written, *change.written)[-2:]
                change = replace(change if anew else before, original=original, written=written)  # noqa: PLW2901
            known[change.place] = change
        self.changes = tuple(known.values())
        try:
            self._save()
        except OSError as error:
            self.changes = kept
            raise ActionFailed(f"what it was before can't be kept, so it is not changed: {error.strerror}") from error

    def of(self, key: str) -> tuple[Change, ...]:
        """Return what is in force for a target, oldest first."""
        return tuple(each for each in self.changes if each.key == key)

    def open(self, change: Change) -> CgroupHandle:
        """Open the cgroup of a change.

        Raises:
            TargetGone: It has gone, or the change is one of a process.
            ActionFailed: The kernel says no.
        """
        if change.path is None or change.inode is None:
            raise TargetGone("it is no cgroup")
        return CgroupHandle(change.path, change.inode, self._roots)

    def find(self, key: str, file: str) -> Change | None:
        """Return what was changed in a file of a target's cgroup; None if it wasn't."""
        return next((each for each in self.of(key) if each.file == file), None)

    def put_back(self, change: Change) -> str:
        """Undo one change and forget it; return a sentence that tells how that went.

        It is not on disk before `flush`: a change that is already undone is undone again after a crash, which does
        nothing.

        Raises:
            ActionFailed: The kernel says no; the change is kept, to be tried again.
        """
        try:
            told = self.restore(change)
        except TargetGone:
            told = "it has gone meanwhile"
        self.changes = tuple(each for each in self.changes if each is not change)
        self._dirty = True
        return told

    def count_end(self, boottime_seconds: float, interval_seconds: float) -> None:
        """Count a target that is being terminated or killed, and forget those longer ago than the interval."""
        self.ended = (*self.recent(boottime_seconds, interval_seconds), boottime_seconds)
        self._dirty = True

    def leave_alone(self, alone: Mapping[str, tuple[float, float]]) -> None:
        """Keep who is left alone."""
        self.alone, self._dirty = dict(alone), True

    def recent(self, boottime_seconds: float, interval_seconds: float) -> tuple[float, ...]:
        """Return when targets were ended within an interval."""
        return tuple(each for each in self.ended if boottime_seconds - each < interval_seconds)

    def flush(self) -> None:
        """Bring to disk what was only forgotten or counted."""
        if self._dirty:
            try:
                self._save()
            except OSError as error:
                self._report(f"{self._file.path}: {error.strerror}")

    def restore(self, change: Change) -> str:
        """Undo one change without forgetting it, which any thread may do; return a sentence that tells how that went.

        Raises:
            TargetGone: It has gone.
            ActionFailed: The kernel says no.
        """
        if change.pid is not None:
            return self._thaw(change)
        if change.file is None or change.original is None:
            return "nothing is known of what was before"
        cgroup = self.open(change)
        try:
            now = cgroup.read(change.file)
            if change.file in IO_WEIGHTS and now is not None:
                now = now.partition("\n")[0]
            if now == change.original:
                return f"{change.file} is {change.original} as before"
            if now not in change.written:
                return f"{change.file} was set to {now} by somebody else, and stays so"
            cgroup.write(change.file, change.original)
        finally:
            cgroup.close()
        return f"{change.file} is {change.original} again"

    def _thaw(self, change: Change) -> str:
        process = ProcessHandle(change.pid or 0, change.start_time_ticks, self._roots)
        try:
            delivered = process.send(signal.SIGCONT)
        finally:
            process.close()
        return f"process {change.pid} {'runs on' if delivered else 'has gone meanwhile'}"

    def _take(self, saved: Mapping[str, Any]) -> None:
        """Take up what an earlier process of this boot has left."""
        changes = tuple(_change(each) for each in saved["changes"])
        self.changes, self.ended = changes, tuple(float(each) for each in saved["ended"])
        self.alone = {key: (float(until), float(span)) for key, (until, span) in saved.get("alone", {}).items()}

    def _save(self) -> None:
        self._dirty = False
        changes = json.dumps([asdict(each) for each in self.changes])
        about = {"changes": changes, "ended": json.dumps(self.ended), "alone": json.dumps(self.alone)}
        self._file.save(about, synced=True)


def _change(saved: dict[str, Any]) -> Change:
    names = {each.name for each in fields(Change)}
    known = {name: value for name, value in saved.items() if name in names}
    return Change(**known | {"step": Step(known["step"]), "written": tuple(known["written"])})
