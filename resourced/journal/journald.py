"""Lines to systemd-journald over its own socket. A journald that is frozen, full or away costs a line, never time."""

import array
import contextlib
import errno
import fcntl
import os
import socket
import threading
from pathlib import Path
from typing import TextIO

from resourced.journal import events
from resourced.journal.protocol import encode, fields_of
from resourced.journal.record import Record

SOCKET = Path("/run/systemd/journal/socket")

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
"""journald accepts an entry in a memory file only with these, as it maps it."""


def is_journal_stream(stream: TextIO, journal_stream: str | None) -> bool:
    """Return whether a stream is the one that systemd connected to the journal.

    Args:
        stream: In general standard error.
        journal_stream: $JOURNAL_STREAM: device and inode, with a colon between.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or not a file at all
        return False
    return journal_stream == f"{status.st_dev}:{status.st_ino}"


class JournaldSink:
    """Sends lines as native entries, without ever waiting.

    Args:
        identifier: SYSLOG_IDENTIFIER.
        path: The socket of journald.
    """

    def __init__(self, identifier: str, path: Path = SOCKET) -> None:
        self._identifier = identifier
        self._path = os.fspath(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._lock = threading.Lock()
        self._untold = 0
        self.dropped = 0
        """Lines lost since the start."""

    def write(self, record: Record) -> None:
        sent = self._send(record)
        with self._lock:
            if not sent:
                self.dropped += 1
                self._untold += 1
                return
            lost, self._untold = self._untold, 0
        if lost and not self._send(events.record("lines_dropped", {"count": lost}, record.time)):
            with self._lock:
                self._untold += lost

    def close(self) -> None:
        self._socket.close()

    def _send(self, record: Record) -> bool:
        payload = encode(fields_of(record, self._identifier))
        try:
            self._socket.sendto(payload, self._path)
        except OSError as error:
            if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                return False
            return self._send_as_file(payload)
        return True

    def _send_as_file(self, payload: bytes) -> bool:
        """Send an entry that is too large for a datagram as a sealed file in memory."""
        with contextlib.ExitStack() as stack:
            try:
                descriptor = os.memfd_create("resourced-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
                stack.callback(os.close, descriptor)
                view = memoryview(payload)
                while view:
                    view = view[os.write(descriptor, view) :]
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
                self._socket.sendmsg([], [rights], 0, self._path)
            except OSError:
                return False
        return True
