"""A pressure trigger: the kernel wakes whoever polls it when tasks have waited for memory for too long.

https://docs.kernel.org/accounting/psi.html: the kernel looks ten times a window, and tells once a window at most.
"""

import os

from resourced.collectors.base import Roots
from resourced.errors import Unavailable

_COARSE_SECONDS = 2.0
"""Without CAP_SYS_RESOURCE a window must be a multiple of this (Linux 6.5); before, it may not be set at all."""


class PressureTrigger:
    """A registered trigger.

    Args:
        roots: Where /proc is.
        stall_seconds: Time that some task must have waited within the window.
        window_seconds: The window, 0.5 to 10 s.

    Raises:
        Unavailable: The kernel has none, or does not give it to us; the text says why.
    """

    def __init__(self, roots: Roots, stall_seconds: float, window_seconds: float) -> None:
        path = roots.proc / "pressure/memory"
        coarse = -(-window_seconds // _COARSE_SECONDS) * _COARSE_SECONDS
        refused = ""
        for window in dict.fromkeys((window_seconds, coarse)):
            try:
                self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                raise Unavailable(f"{path}: {error.strerror}; memory is looked at by period alone") from error
            stall = stall_seconds * window / window_seconds
            try:
                os.write(self._descriptor, f"some {round(stall * 1e6)} {round(window * 1e6)}\0".encode())
            except OSError as error:
                refused = str(error.strerror)
                self.close()
                continue
            self.window_seconds = window
            return
        raise Unavailable(f"{path}: no trigger can be set: {refused}; memory is looked at by period alone")

    def fileno(self) -> int:
        """Return the descriptor: POLLPRI when it fires, POLLERR when it is no more."""
        return self._descriptor

    def close(self) -> None:
        """Give it back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
