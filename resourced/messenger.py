"""Telling others of decisions: a webhook and a command, each with a deadline, in a thread that nobody waits for."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from queue import Full, Queue
from typing import Any
from urllib.parse import urlsplit

from resourced import __version__
from resourced.decision import Decision, Outcome

_MOST_WAITING = 100
"""What comes while so much waits is not told: it is in the history all the same."""


@dataclass(frozen=True, slots=True)
class MessengerSettings:
    """Who is told, and how long that may take."""

    webhook: str | None = None
    """URL that is told of each decision and outcome."""
    webhook_seconds: float = 5.0
    """How long telling it may take in all."""
    command: tuple[str, ...] = ()
    """Program and arguments that are run for each decision."""
    command_seconds: float = 10.0
    """How long it may take before it is ended."""

    @property
    def wanted(self) -> bool:
        """Whether anybody is to be told."""
        return self.webhook is not None or bool(self.command)


class Messenger:
    """Tells of decisions and outcomes, one after the other.

    Args:
        settings: Who is told.
        report: Called with the name and fields of what is worth a line in the log.
    """

    def __init__(self, settings: MessengerSettings, report: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._settings = settings
        self._report = report
        self._queue: Queue[Decision | Outcome | None] = Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._posted: _Post | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to tell, if anybody is to be told."""
        if self._settings.wanted:
            self._thread = threading.Thread(target=self._run, name="messenger", daemon=True)
            self._thread.start()

    def take(self, item: Any) -> None:
        """Take something to tell; never blocks."""
        if self._thread is None or not isinstance(item, (Decision, Outcome)):
            return
        try:
            self._queue.put_nowait(item)
        except Full:
            self._report("message_failed", {"receiver": "everybody", "reason": f"{_MOST_WAITING} messages wait"})

    def stop(self, timeout_seconds: float) -> bool:
        """End; what waits is not told any more. Return whether the thread has ended in time."""
        self._stopping = True
        if self._thread is None:
            return True
        with contextlib.suppress(Full):  # then it sees after the message under way that it is to end
            self._queue.put_nowait(None)
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            item = self._queue.get()
            if item is None:
                return
            kind = "decision" if isinstance(item, Decision) else "outcome"
            text = json.dumps({"kind": kind, kind: asdict(item)}, default=str).encode()
            if self._settings.webhook is not None:
                self._try(_place(self._settings.webhook), partial(self._post, self._settings.webhook, text))
            if self._settings.command and isinstance(item, Decision):
                self._try(self._settings.command[0], partial(self._execute, text))

    def _try(self, receiver: str, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001 - whatever fails once must not silence it for ever
            self._report("message_failed", {"receiver": receiver, "reason": f"{type(error).__name__}: {error}"})

    def _post(self, url: str, text: bytes) -> None:
        seconds = self._settings.webhook_seconds
        ends = time.monotonic() + seconds
        if self._posted is not None:
            self._posted.join(seconds)
            if self._posted.is_alive():
                raise TimeoutError("the message before, which was given up, has not ended yet")
        post = _Post(url, text, seconds)
        post.start()
        self._posted = post
        post.join(max(0.0, ends - time.monotonic()))
        if post.is_alive():
            post.give_up()
            raise TimeoutError(f"not told within {seconds:g} s")
        if post.fault is not None:
            raise post.fault

    def _execute(self, text: bytes) -> None:
        """Run the command that the owner of the machine configured, with an absolute path and without a shell."""
        process = subprocess.Popen(  # noqa: S603 - this very command was asked for in the configuration
            self._settings.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        try:
            process.communicate(text, timeout=self._settings.command_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        if process.returncode != 0:
            raise subprocess.SubprocessError(f"ended with {process.returncode}")


class _Post(threading.Thread):
    """One POST, in a thread of its own that can be given up.

    A socket's timeout is that of one read, which who drips never exceeds; and looking up a name has none at all.
    """

    def __init__(self, url: str, text: bytes, seconds: float) -> None:
        super().__init__(name="webhook", daemon=True)
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=seconds)
        self._path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        self._text = text
        self._given_up = False
        self.fault: Exception | None = None
        """Why it was not told, once the thread has ended."""

    def run(self) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": f"resourced/{__version__}"}
        try:
            self._connection.connect()
            if self._given_up:
                return  # or it would be told after it was said that it could not be
            self._connection.request("POST", self._path, self._text, headers)
            status = self._connection.getresponse().status
            if status >= 300:
                self.fault = http.client.HTTPException(f"answered {status}")
        except Exception as error:  # noqa: BLE001 - told by who waits for it
            self.fault = error
        finally:
            self._connection.close()

    def give_up(self) -> None:
        """Have the thread end as soon as it may."""
        self._given_up = True
        connected = self._connection.sock
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


def _place(url: str) -> str:
    """Return where a URL leads, without what may be a secret in it: what is told here is open to all who may read."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port is not None else ''}"
