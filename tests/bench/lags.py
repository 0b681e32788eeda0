"""How late samples are while something else happens: every one of them, not only that after it."""

import contextlib
import http.client
import json
import statistics
import threading
from collections.abc import Iterator

_PAUSE_SECONDS = 0.2


class Lags:
    """Reads from /healthz how late each sample was, while the block lasts.

    Args:
        port: Of the daemon, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self.milliseconds: dict[int, float] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[dict[int, float]]:
        """Yield what is found, keyed by the number of the sample; complete when the block ends."""
        self.milliseconds, self._stop = {}, threading.Event()
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield self.milliseconds
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            while not self._stop.wait(_PAUSE_SECONDS):
                connection.request("GET", "/healthz")
                told = json.load(connection.getresponse())["sampling"]
                self.milliseconds[told["sequence"]] = 1000 * told["lag_seconds"]


def spread(lags: dict[int, float]) -> str:
    """Return median and greatest as words."""
    return f"{statistics.median(lags.values()):.1f} and {max(lags.values()):.1f} ms"
