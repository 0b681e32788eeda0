"""Readers of /events beside a measurement, each of which must have received every sample."""

import contextlib
import json
import selectors
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

from resourced.api.events import KINDS

_PATIENCE_SECONDS = 30.0
_PATH = "/events?" + "&".join(f"kind={kind}" for kind in KINDS)


class Listener:
    """One reader: what it received, and the numbers of the samples in it.

    Args:
        port: Of the daemon, on loopback.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)
        self.socket.sendall(f"GET {_PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.sequences: list[int] = []
        self.events = 0
        self.ended = False
        self._head = True
        self._rest = b""

    def read(self) -> None:
        """Take what has come."""
        data = self.socket.recv(1 << 16)
        self.ended = not data
        self._rest += data
        if self._head and b"\r\n\r\n" in self._rest:
            head, _, self._rest = self._rest.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"no stream: {head.decode()}")
            self._head = False
        *blocks, self._rest = self._rest.split(b"\n\n") if not self._head else [self._rest]
        for block in blocks:
            self._take(block)

    def _take(self, block: bytes) -> None:
        lines = [line for line in block.splitlines() if line.startswith((b"event: ", b"data: "))]
        self.events += bool(lines)
        if b"event: sample" in lines:
            [data] = [line for line in lines if line.startswith(b"data: ")]
            self.sequences.append(json.loads(data.removeprefix(b"data: "))["sequence"])


class Listeners:
    """So many readers in one thread.

    Args:
        port: Of the daemon, on loopback.
        count: How many.
    """

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._count = count
        self._stop = threading.Event()
        self.all: list[Listener] = []

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Read while the block lasts; then every reader must have every sample from its first to the newest.

        Raises:
            RuntimeError: Some reader was cut off, or lacks a sample.
        """
        self.all = [Listener(self._port) for _ in range(self._count)]
        thread = threading.Thread(target=self._read)
        thread.start()
        try:
            first = self._newest()
            self._await(first + 1)
            yield
            self._await(last := self._newest())
            self._check(first + 1, last)
        finally:
            self._stop.set()
            thread.join()
            for each in self.all:
                each.socket.close()

    def _newest(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/healthz") as answer:
            newest: int = json.load(answer)["sampling"]["sequence"]
            return newest

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in self.all:
                selector.register(each.socket, selectors.EVENT_READ, each)
            while not self._stop.is_set():
                for key, _ in selector.select(0.2):
                    key.data.read()
                    if key.data.ended:
                        selector.unregister(key.fileobj)

    def _await(self, sequence: int) -> None:
        """Return when every reader has this sample, or has waited long for it."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while any(not each.sequences or each.sequences[-1] < sequence for each in self.all):
            if any(each.ended for each in self.all) or time.monotonic() > end:
                raise RuntimeError(f"sample {sequence} has not come to every reader")
            time.sleep(0.05)

    def _check(self, first: int, last: int) -> None:
        for each in self.all:
            wanted = list(range(first, last + 1))
            if [number for number in each.sequences if first <= number <= last] != wanted:
                raise RuntimeError(f"a reader received {each.sequences} where {wanted} were wanted")
