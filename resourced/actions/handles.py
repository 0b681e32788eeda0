"""Identity that survives reuse: a process by pidfd and start time, a cgroup by a descriptor of its directory and inode.

Everything that is done to a target goes through what was opened and verified here, never through a number or a path
again, so that nobody who has inherited a pid or a path is ever touched.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from resourced.collectors.base import Roots
from resourced.collectors.procstat import Stat, parse_cgroup, parse_stat
from resourced.errors import ActionFailed, ParseError, TargetGone

_PROCESS_MRELEASE = 448
"""Number of the system call on every architecture (Linux 5.15)."""
_READ_SIZE = 65536
_BATCH = 256
"""Most processes of a cgroup that are pinned at once."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.ESRCH)
_syscall = ctypes.CDLL(None, use_errno=True).syscall


class ProcessHandle:
    """One process, pinned: signals reach it or nobody.

    Args:
        pid: Its number.
        start_time_ticks: Clock ticks after boot at which it started; None to take it whoever it is now.
        roots: Where /proc is.

    Raises:
        TargetGone: There is no such process any more; its number may be another's.
        ActionFailed: The kernel refuses a descriptor.
    """

    __slots__ = ("fd", "name", "pid", "start_time_ticks", "was_kernel_thread")

    def __init__(self, pid: int, start_time_ticks: int | None, roots: Roots) -> None:
        self.fd = -1
        self.pid = pid
        try:
            self.fd = os.pidfd_open(pid)
        except ProcessLookupError:
            raise TargetGone(f"process {pid} has gone") from None
        except OSError as error:
            raise ActionFailed(f"process {pid} can't be opened: {error.strerror}") from error
        # In this order: what stat says now belongs to whoever has the number now. If it is the one who was meant, it
        # had the number all the time, and so it is the one that the descriptor names.
        found = _stat(roots, pid)
        if found is None or (start_time_ticks is not None and found.start_time_ticks != start_time_ticks):
            self.close()
            raise TargetGone(f"process {pid} has gone" if found is None else f"pid {pid} is another process by now")
        self.start_time_ticks = found.start_time_ticks
        self.name = found.name
        self.was_kernel_thread = found.kernel_thread

    @property
    def alive(self) -> bool:
        """Whether it runs still; a zombie does not, even if nobody has waited for it."""
        if self.fd < 0:
            return False
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return not poll.poll(0)

    def state(self, roots: Roots) -> str | None:
        """Return the letter of its state; None if it has gone."""
        found = _stat(roots, self.pid)
        same = found is not None and found.start_time_ticks == self.start_time_ticks
        return found.state if found is not None and same else None

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; return whether it was delivered, False if it has gone meanwhile.

        Raises:
            ActionFailed: The kernel refuses.
        """
        try:
            signal.pidfd_send_signal(self.fd, number)
        except ProcessLookupError:
            return False
        except OSError as error:
            raise ActionFailed(f"{number.name} to process {self.pid} was refused: {error.strerror}") from error
        return True

    def release_memory(self) -> bool:
        """Free the memory of one that is dying at once (process_mrelease); return whether the kernel did."""
        return bool(_syscall(_PROCESS_MRELEASE, self.fd, 0) == 0)

    def cgroup(self, roots: Roots) -> str | None:
        """Return the path of the cgroup that it is in; None if it has gone or that can't be told."""
        try:
            return parse_cgroup(Path(f"{roots.proc}/{self.pid}/cgroup").read_bytes())
        except OSError:
            return None

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()


class CgroupHandle:
    """One cgroup, pinned by its directory.

    Args:
        path: Below the root of the tree.
        inode: Inode of the directory; a unit that was restarted has another.
        roots: Where the tree is.

    Raises:
        TargetGone: There is no such cgroup any more, or it is a new one.
        ActionFailed: It may not be opened.
    """

    __slots__ = ("fd", "path")

    def __init__(self, path: str, inode: int, roots: Roots) -> None:
        self.fd = -1
        self.path = path
        try:
            self.fd = os.open(roots.of_cgroup(path), _DIRECTORY)
        except OSError as error:
            if error.errno in _GONE:
                raise TargetGone(f"{path} has gone") from None
            raise ActionFailed(f"{path} can't be opened: {error.strerror}") from error
        if os.fstat(self.fd).st_ino != inode:
            self.close()
            raise TargetGone(f"{path} is a new cgroup by now")

    def has(self, name: str) -> bool:
        """Return whether it has a file of this name that can be written."""
        try:
            os.close(os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self.fd))
        except OSError:
            return False
        return True

    def read(self, name: str) -> str | None:
        """Return the content of a file; None if there is no such file.

        Raises:
            TargetGone: The cgroup was removed.
            ActionFailed: The kernel refuses; the text names its reason.
        """
        return self._read(name, self.fd)

    def _read(self, name: str, directory: int) -> str | None:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(name, error) from error
        parts: list[bytes] = []
        try:
            while part := os.read(descriptor, _READ_SIZE):
                parts.append(part)
        except OSError as error:
            raise self._failed(name, error) from error
        finally:
            os.close(descriptor)
        return b"".join(parts).decode(errors="replace").strip()

    def read_int(self, name: str) -> int | None:
        """Return the number in a file; None if there is no such file or it says "max"."""
        text = self.read(name)
        return int(text) if text is not None and text.isdecimal() else None

    def write(self, name: str, text: str) -> None:
        """Write a file, in one write.

        Raises:
            TargetGone: The cgroup was removed.
            ActionFailed: The kernel refuses; the text names its reason.
        """
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self.fd)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._failed(name, error) from error

    def pids(self) -> list[int]:
        """Return the processes in it and below, of each level those of the parent first.

        What lies below is its owner's to arrange. A cgroup there that lists no processes (a threaded one lists them in
        the one above; one that was removed lists none) must not hide the others.

        Raises:
            ActionFailed: The kernel does not list those of its own.
        """
        found: list[int] = []
        for depth, directory in self._directories():
            try:
                text = self._read("cgroup.procs", directory) or ""
            except (TargetGone, ActionFailed) as error:
                if depth == 0 and isinstance(error, ActionFailed):
                    raise
                continue
            # What is outside of our pid namespace is shown as 0: it can be named by nobody here.
            found += [int(line) for line in text.split() if line.isdecimal() and line != "0"]
        return found

    @property
    def populated(self) -> bool:
        """Whether any process lives in it or below; a zombie does not count."""
        try:
            events = self.read("cgroup.events")
        except TargetGone:
            return False
        return events is None or "populated 0" not in events

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()

    def _directories(self) -> Iterator[tuple[int, int]]:
        """Yield depth and descriptor of it and of all below, parents first; a descriptor is closed when it is left.

        They are opened one from the other, so that neither a path that is longer than the kernel takes nor a depth that
        is greater than the interpreter takes hides anybody.
        """
        entered: list[tuple[int, Iterator[str]]] = []
        try:
            yield 0, self.fd
            entered.append((os.dup(self.fd), iter(_children(self.fd))))
            while entered:
                parent, names = entered[-1]
                name = next(names, None)
                if name is None:
                    os.close(entered.pop()[0])
                    continue
                try:
                    child = os.open(name, _DIRECTORY, dir_fd=parent)
                except OSError:  # it was removed meanwhile
                    continue
                entered.append((child, iter(_children(child))))
                yield len(entered) - 1, child
        finally:
            for descriptor, _ in entered:
                os.close(descriptor)

    def _failed(self, name: str, error: OSError) -> TargetGone | ActionFailed:
        if error.errno in _GONE and not self._exists():
            return TargetGone(f"{self.path} has gone")
        return ActionFailed(f"{self.path}/{name}: {errno.errorcode.get(error.errno or 0, '')} {error.strerror}")

    def _exists(self) -> bool:
        """A removed cgroup's directory can still be looked at by descriptor, and has no links left."""
        try:
            return os.fstat(self.fd).st_nlink > 0 and os.access("cgroup.procs", os.F_OK, dir_fd=self.fd)
        except OSError:
            return False


def _children(directory: int) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


class Members(list[ProcessHandle]):
    """Processes that are held together and let go of together."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all."""
        for each in self:
            each.close()


def members_of(cgroup: CgroupHandle, roots: Roots) -> Iterator[Members]:
    """Yield the processes that live in a cgroup and below now, pinned, some at a time; they are let go of after use.

    A fork bomb has more members than the daemon may have descriptors.
    """
    pids = cgroup.pids()
    for first in range(0, len(pids), _BATCH):
        with Members() as held:
            for pid in pids[first : first + _BATCH]:
                with contextlib.suppress(TargetGone):
                    held.append(ProcessHandle(pid, None, roots))
            # Read again once all are pinned: a number that was reused in between belongs to someone who isn't listed.
            still = set(cgroup.pids())
            for each in [each for each in held if each.pid not in still]:
                held.remove(each)
                each.close()
            yield held


def _stat(roots: Roots, pid: int) -> Stat | None:
    path = f"{roots.proc}/{pid}/stat"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return parse_stat(os.read(descriptor, 4096), path)
        finally:
            os.close(descriptor)
    except (OSError, ParseError):
        return None


def whole_pages(size: int) -> int:
    """Round up to whole pages, as the kernel does with a limit, so that what is read back is what was written."""
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
