"""What systemd is told of the daemon's life (sd_notify); nothing at all where systemd did not start it."""

import os
import time

import sdnotify


class Notifier:
    """Tells the service manager, without waiting. Safe for use by several threads.

    NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of the environment say whether and how.
    """

    def __init__(self) -> None:
        self._connection = sdnotify.SystemdNotifier() if os.environ.get("NOTIFY_SOCKET") else None
        if self._connection is not None and self._connection.socket is not None:
            self._connection.socket.settimeout(0)
        self._watchdog = _watchdog_seconds()

    @property
    def active(self) -> bool:
        """Whether somebody listens."""
        return self._connection is not None and self._connection.socket is not None

    @property
    def watchdog_seconds(self) -> float | None:
        """Seconds within which `alive` must be called again; None if systemd does not watch."""
        return self._watchdog

    def ready(self, status: str) -> None:
        """Say that the daemon serves, after the start or a reload."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, text: str) -> None:
        """Say in one line what the daemon is doing."""
        self._send(f"STATUS={_line(text)}")

    def alive(self, status: str | None = None) -> None:
        """Say that the daemon does its work, and optionally how it stands, in one datagram."""
        lines = ["WATCHDOG=1"] if self._watchdog is not None else []
        if status is not None:
            lines.append(f"STATUS={_line(status)}")
        if lines:
            self._send(*lines)

    def reloading(self, status: str = "reloading the configuration") -> None:
        """Say that a reload begins; `ready` ends it, whether it worked or not."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", f"STATUS={_line(status)}")

    def stopping(self, status: str = "stopping") -> None:
        """Say that the daemon ends."""
        self._send("STOPPING=1", f"STATUS={_line(status)}")

    def close(self) -> None:
        """Let go of the socket."""
        if self._connection is not None and self._connection.socket is not None:
            self._connection.socket.close()
        self._connection = None

    def _send(self, *lines: str) -> None:
        if self._connection is not None:
            self._connection.notify("\n".join(lines))


def _line(text: str) -> str:
    """Return the text on one line, in the characters that sdnotify can send."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")


def _watchdog_seconds() -> float | None:
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
        pid = int(os.environ.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and pid == os.getpid() else None
