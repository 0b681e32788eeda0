"""A journald that listens, and what its protocol means when read back."""

import array
import fcntl
import os
import socket
from pathlib import Path


def decode(payload: bytes) -> list[tuple[str, bytes]]:
    """Read an entry of the native protocol as journald does."""
    found, rest = [], payload
    while rest:
        line, _, after = rest.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
            rest = after
        else:
            name, size = line, int.from_bytes(after[:8], "little")
            value, rest = after[8 : 8 + size], after[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        found.append((name.decode(), value))
    return found


class FakeJournald:
    """Receives entries on a real datagram socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(5)
        self.seals: int | None = None

    def receive(self) -> dict[str, str]:
        """Return the next entry; one that came as a file is read from it, and its seals are kept."""
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for _, kind, content in ancillary:
            assert kind == socket.SCM_RIGHTS
            (descriptor,) = array.array("i", content)
            self.seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
            with os.fdopen(descriptor, "rb") as file:
                file.seek(0)
                data = file.read()
        return {name: value.decode() for name, value in decode(data)}

    def close(self) -> None:
        self.socket.close()
