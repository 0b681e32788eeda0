"""Small files of the kernel, read without letting go of the interpreter.

`os.open`, `os.read`, `os.close`, `os.getxattr` and each step of `os.listdir` let go of it, and a busy thread that takes
it keeps it for a switch interval or until it waits itself. Beside 500 processes over a thousand such waits lay between
the guard and its victim; here there are none. All else in the process stands still during a call, so this is for files
that the kernel makes up in microseconds and without a lock that it holds for long, and for the moment when nothing else
counts.
"""

import ctypes
import os
from collections.abc import Iterator

_SIZE = 65536
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_FIRST_NAME = 19
"""Where the name begins in a struct linux_dirent64: after inode (8), offset (8), length (2) and type (1)."""
_LENGTH = 16
_ATTRIBUTE_SIZE = 16
"""Longest value of an extended attribute: the kernel reserves as much for each question."""
# Unlike CDLL, PyDLL keeps the interpreter during a call.
_libc = ctypes.PyDLL(None)


class UnyieldingReader:
    """Reads files and lists directories; for one thread at a time."""

    def __init__(self) -> None:
        self._open, self._read, self._close = _libc.open, _libc.read, _libc.close
        self._buffer = ctypes.create_string_buffer(_SIZE)
        self._view = memoryview(self._buffer)
        self._address = ctypes.addressof(self._buffer)
        self._entries = getattr(_libc, "getdents64", None)
        self._getxattr = _libc.getxattr
        self._read.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
        self._read.restype = ctypes.c_ssize_t
        self._getxattr.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
        self._getxattr.restype = ctypes.c_ssize_t
        if self._entries is not None:
            self._entries.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
            self._entries.restype = ctypes.c_ssize_t

    def read(self, path: bytes) -> bytes | None:
        """Return the beginning of a file, 64 KiB at most, by one read; None if it can't be read.

        That is all of a file that the kernel writes as one record; of others (mountinfo, cgroup.procs) it is a page.
        """
        descriptor = self._open(path, _FLAGS)
        if descriptor < 0:
            return None
        count = self._read(descriptor, self._address, _SIZE)
        self._close(descriptor)
        return None if count < 0 else self._view[:count].tobytes()

    def attribute(self, path: bytes, name: bytes) -> bytes | None:
        """Return an extended attribute of a file, 16 bytes at most; None if there is none or it can't be read."""
        count = self._getxattr(path, name, self._address, _ATTRIBUTE_SIZE)
        return None if count < 0 else self._view[:count].tobytes()

    def names(self, path: bytes) -> list[bytes]:
        """Return the names in a directory, without order; none if it can't be read."""
        if self._entries is None:  # not glibc
            return [os.fsencode(name) for name in _listed(path)]
        descriptor = self._open(path, _FLAGS | os.O_DIRECTORY)
        if descriptor < 0:
            return []
        found: list[bytes] = []
        while (count := self._entries(descriptor, self._address, _SIZE)) > 0:
            found += _names_of(self._view[:count].tobytes())
        self._close(descriptor)
        return found


def _listed(path: bytes) -> list[bytes]:
    try:
        return os.listdir(path)  # noqa: PTH208 - names, not a thousand objects
    except OSError:
        return []


def _names_of(entries: bytes) -> Iterator[bytes]:
    at, end = 0, len(entries)
    while at < end:
        length = int.from_bytes(entries[at + _LENGTH : at + _LENGTH + 2], "little")
        first = at + _FIRST_NAME
        yield entries[first : entries.index(0, first)]
        at += length
