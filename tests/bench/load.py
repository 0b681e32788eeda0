"""What troubles a daemon: processes, callers, streams that are cut off, questions, reloads; all come and go.

Takes nothing but Python's own library, so that it can be copied to where the daemon is:
python3 load.py /run/resourced/resourced.sock --pace 10 --reload 'systemctl reload resourced'.
"""

import argparse
import contextlib
import random
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path


class Load:
    """Several threads that each trouble the daemon in a way of its own, from `start` to `stop`.

    Args:
        path: The daemon's Unix socket.
        reload: Makes it read its configuration again.
        pace: How many times longer each of them rests; more than 1 where processors are slow.
    """

    def __init__(self, path: Path, reload: Callable[[], object], pace: float = 1.0) -> None:
        self._path = path
        self._reload = reload
        self._pace = pace
        self._over = threading.Event()
        two = (self._questions, self._questions)
        kinds = (self._processes, self._callers, self._callers, self._streams, *two, self._reloads)
        self._threads = [threading.Thread(target=self._repeat, args=(kind,), daemon=True) for kind in kinds]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it and wait until it has ended."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, kind: Callable[[], None]) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                kind()
            self._over.wait(self._pace * random.uniform(0.05, 1.0))

    def _processes(self) -> None:
        started = [subprocess.Popen(["sleep", "60"]) for _ in range(random.randint(5, 60))]
        self._over.wait(random.uniform(0.2, 3))
        for each in started:
            each.kill()
            each.wait()

    def _callers(self) -> None:
        paths = ("/resources/all", "/resources/processes", "/prune", "/metrics", "/events?limit=1", "/nothing")
        for path in random.choices(paths, k=random.randint(1, 40)):
            self._ask(path)

    def _streams(self) -> None:
        """Follow the events for a moment, and go without a word."""
        for _ in range(random.randint(1, 8)):
            with self._connect() as sock:
                sock.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                sock.recv(4096)

    def _questions(self) -> None:
        self._ask("/history?metric=memory.available&since=1h&points=500")
        self._ask("/decisions")

    def _reloads(self) -> None:
        self._over.wait(5 * self._pace)
        self._reload()

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(str(self._path))
        return sock

    def _ask(self, path: str) -> None:
        with self._connect() as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            sock.settimeout(2)
            while sock.recv(65536):
                pass


def main() -> None:
    """Trouble a daemon until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--reload", default="true", help="command that makes the daemon read its configuration again")
    chosen = parser.parse_args()
    command = shlex.split(chosen.reload)
    load = Load(chosen.socket, lambda: subprocess.run(command, check=False), chosen.pace)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    load.start()
    signal.sigwait((signal.SIGTERM, signal.SIGINT))
    load.stop()


if __name__ == "__main__":
    main()
