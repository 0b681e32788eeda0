"""The thread that sees registered processes end and heartbeats lapse, and serves the socket for memory pressure."""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterable

from resourced.workloads.pressure import PressureSocket
from resourced.workloads.registry import Registry

_FAULT_SECONDS = 1.0


class Watch:
    """Tends registry and socket in a thread of its own.

    Args:
        registry: Who is registered.
        report: Called with the reason when something fails.
    """

    def __init__(self, registry: Registry, report: Callable[[str], None]) -> None:
        self._registry = registry
        self._report = report
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._pressure: PressureSocket | None = None

    def wake(self) -> None:
        """Look again; may be called from any thread."""
        os.eventfd_write(self._event, 1)

    def start(self, pressure: PressureSocket) -> None:
        """Begin."""
        self._pressure = pressure
        self._thread = threading.Thread(target=self._run, args=(pressure,), name="workloads", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; leases stay written down for the next process."""
        self._stopping = True
        self.wake()
        if self._thread is not None:
            self._thread.join(1.0)
        if self._pressure is not None:
            self._pressure.close()
        self._registry.close()

    def _run(self, pressure: PressureSocket) -> None:
        wait: float | None = 0.0
        while not self._stopping:
            sources = [self._event, *self._registry.descriptors(), *pressure.descriptors()]
            ready = _readable(sources, wait)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._event)
            try:
                waits = (pressure.tend(ready, time.monotonic()), self._registry.tend())
                wait = min((each for each in waits if each is not None), default=None)
            except Exception as error:  # noqa: BLE001 - the border of this thread: whatever fails, others are told still
                self._report(f"{type(error).__name__}: {error}")
                wait = _FAULT_SECONDS


def _readable(descriptors: Iterable[int], seconds: float | None) -> list[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(None if seconds is None else max(0.0, seconds) * 1000)]
