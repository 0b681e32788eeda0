"""The FIFOs by which workloads are told: each readable by its owner alone, kept open here, never waited for."""

import contextlib
import errno
import fcntl
import os
import stat
import struct
import termios
from pathlib import Path

from resourced.errors import ActionFailed

_CAPACITY = 65536
"""What a pipe takes at least; a reader so far behind is told no more."""
_ACL = "system.posix_acl_access"
_ACL_VERSION = 2
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_READ, _WRITE = 4, 2
_NOBODY = 0xFFFFFFFF


class Fifos:
    """The folder of FIFOs.

    Whoever owns a workload may open its FIFO and nobody else may. A daemon that may not give files away, as the
    confined service, grants that by an access control list instead: it stays the owner, and the file looks like 0660.
    It may be opened for writing too, for who does so does not see an end while the daemon is started again.

    Args:
        directory: The folder; it is made when the first is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self, name: str, uid: int) -> tuple[int, Path]:
        """Make a FIFO, or take the one that an earlier process left; return descriptor and path.

        Raises:
            ActionFailed: It can't be made, or not given to its owner.
        """
        path = self.directory / name
        try:
            self.directory.mkdir(mode=0o711, exist_ok=True)
            self.directory.chmod(0o711)
            with contextlib.suppress(FileExistsError):
                os.mkfifo(path, 0o600)
            # Both ends, so that there is always a reader and writing never fails for want of one.
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                _give(descriptor, uid)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            raise ActionFailed(f"{path} can't be made for user {uid}: {error.strerror}") from error
        return descriptor, path

    def remove(self, name: str) -> None:
        """Remove a FIFO, if it is there."""
        with contextlib.suppress(OSError):
            (self.directory / name).unlink()

    def sweep(self, kept: frozenset[str]) -> None:
        """Remove what belongs to nobody any more."""
        with contextlib.suppress(OSError):
            for path in self.directory.iterdir():
                if path.name not in kept:
                    self.remove(path.name)


def write_line(descriptor: int, line: bytes) -> bool:
    """Write a line whole or not at all; return whether there was room for it."""
    try:
        [waiting] = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))
        return waiting + len(line) <= _CAPACITY and os.write(descriptor, line) == len(line)
    except OSError:
        return False


def _give(descriptor: int, uid: int) -> None:
    """Let a user open what is open here; if it belongs to that user already nothing has to be done."""
    found = os.fstat(descriptor)
    if not stat.S_ISFIFO(found.st_mode):
        raise OSError(errno.EEXIST, "something that is no FIFO is in its place")
    if found.st_uid == uid:
        return
    try:
        os.fchown(descriptor, uid, -1)
    except PermissionError:
        os.setxattr(descriptor, _ACL, _acl(uid))


def _acl(uid: int) -> bytes:
    """Return an access control list: the file's owner and one user read and write, nobody else does anything."""
    entries = (
        (_USER_OBJ, _READ | _WRITE, _NOBODY),
        (_USER, _READ | _WRITE, uid),
        (_GROUP_OBJ, 0, _NOBODY),
        (_MASK, _READ | _WRITE, _NOBODY),
        (_OTHER, 0, _NOBODY),
    )
    return struct.pack("<I", _ACL_VERSION) + b"".join(struct.pack("<HHI", *each) for each in entries)
