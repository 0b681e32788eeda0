"""A TCP port that leads to a Unix socket, for programs that know only TCP."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def relay(path: Path) -> Iterator[int]:
    """Carry what comes to a port of the loopback to a Unix socket and back; yield the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        thread = threading.Thread(target=_accept, args=(server, path))
        thread.start()
        try:
            port: int = server.getsockname()[1]
            yield port
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(server: socket.socket, path: Path) -> None:
    while True:
        try:
            near, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(near, path), daemon=True).start()


def _serve(near: socket.socket, path: Path) -> None:
    with near, socket.socket(socket.AF_UNIX) as far:
        far.connect(str(path))
        there = threading.Thread(target=_carry, args=(near, far), daemon=True)
        there.start()
        _carry(far, near)
        there.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Carry what comes to its target; if that takes no more it is read all the same, or the answer would be lost."""
    takes = True
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            try:
                if takes:
                    target.sendall(data)
            except OSError:
                takes = False
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
