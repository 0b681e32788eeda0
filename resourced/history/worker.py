"""The history's thread: flushes on time and when asked to hurry, and packs and removes in between."""

import threading

from resourced.history.keeper import Keeper

_STEP_PAUSE_SECONDS = 0.05


class Worker:
    """Runs a keeper.

    Args:
        keeper: What does the work.
        flush_seconds: How often samples are written.
    """

    def __init__(self, keeper: Keeper, flush_seconds: float) -> None:
        self._keeper = keeper
        self._flush_seconds = flush_seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="resourced-history", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Flush now."""
        self._wake.set()

    def stop(self) -> None:
        """End, once the work in progress is done."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._flush_seconds)
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - whatever fails, samples must go on being written once they can
                self._keeper.fault(error)

    def _work(self) -> None:
        self._keeper.flush()
        while not self._stopping.is_set() and self._keeper.step():
            if self._wake.wait(_STEP_PAUSE_SECONDS):
                self._wake.clear()
                self._keeper.flush()
