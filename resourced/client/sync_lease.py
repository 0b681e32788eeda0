"""A registration held by threads: for programs that compute, such as a training loop."""

import os
import threading
from contextlib import suppress
from typing import Self

from resourced.client.errors import ClientError
from resourced.client.lease import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Absence,
    LeaseBase,
    LeaseSettings,
    gone,
    logger,
    refused,
)
from resourced.client.sse import ServerEvent
from resourced.client.sync import Client
from resourced.client.workloads import PruneRequest, Workload

_RELEASE_SECONDS = 2.0
"""How long the end of a program may be held up by saying goodbye."""


class Lease(LeaseBase):
    """A registered workload; see `resourced.client.workload`.

    May be used by any thread. After a fork the child's copy knows nothing new, and ends nothing.

    Args:
        settings: How it is held.
    """

    def __init__(self, settings: LeaseSettings) -> None:
        super().__init__(settings)
        self._changed = threading.Condition()
        self._closing = False
        self._pid = os.getpid()
        self._unsaid: list[str] = []
        self._listener = Client(settings.target, token=settings.token, patience_seconds=0.0)
        self._threads = [
            threading.Thread(target=self._listen, name="resourced-listen", daemon=True),
            threading.Thread(target=self._speak, name="resourced-speak", daemon=True),
        ]
        self._calling: threading.Thread | None = None

    def open(self) -> Self:
        """Register, and begin to listen.

        Raises:
            NotRunning: No daemon runs, and one is required.
            ApiError: The daemon refuses what is wished.
        """
        try:
            self._catch_up()
        except ClientError as error:
            if self._settings.required or refused(error):
                self._listener.close()
                raise
            Absence.tell(error)
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        """End the registration; a callback that runs is awaited."""
        if os.getpid() != self._pid or self._closing:
            return
        calling = self._calling
        if calling is not None and calling is not threading.current_thread():
            calling.join()
        if self._ends_with_us:
            self.release()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._listener.interrupt()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_RELEASE_SECONDS)

    def wait(self, timeout: float | None = None) -> PruneRequest | None:
        """Wait until it is asked to give way, and return the request; None if the time is over first.

        Args:
            timeout: Seconds; without end if None.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._standing.request is not None or self._closing, timeout)
        return self.request

    def acknowledge(self) -> None:
        """Say that the request was understood; needed only with `acknowledge=False`. Never blocks."""
        with self._changed:
            request = self._standing.request
            if request is not None:
                self._unsaid.append(request.decision)
                self._changed.notify_all()

    def release(self) -> None:
        """End the registration now: it has given way, or has nothing that could be given up any more."""
        mine, self._standing.released = self._standing.workload, True
        if mine is None:
            return
        timeout = {"timeout_seconds": _RELEASE_SECONDS, "patience_seconds": 0.0}
        with Client(self._settings.target, token=self._settings.token, **timeout) as client, suppress(ClientError):
            client.release_workload(mine.id)
        with self._changed:
            self._standing.lose()
            self._changed.notify_all()

    def _see(self) -> None:
        if not self._settings.acknowledges or os.getpid() != self._pid:
            return
        with self._changed:
            decision = self._standing.see()
            if decision is not None:
                self._unsaid.append(decision)
                self._changed.notify_all()

    def _listen(self) -> None:
        pause = FIRST_PAUSE_SECONDS

        def begun() -> None:
            nonlocal pause
            self._catch_up()
            pause = FIRST_PAUSE_SECONDS

        while not self._closing and not self._standing.released:
            try:
                for event in self._listener.events(["workload"], connected=begun):
                    self._hear(event)
                    if self._standing.workload is None:
                        break
            except ClientError as error:
                if refused(error):
                    logger.warning("resourced does not take this program in any more: %s", error)
                    break
                if pause >= LONGEST_PAUSE_SECONDS:  # a restart is over by then
                    Absence.tell(error)
                with suppress(ClientError):  # where there are too many streams, asking now and then must do
                    self._catch_up()
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._listener.close()

    def _catch_up(self) -> None:
        """Ask how things stand, and register where the daemon knows nothing of it."""
        if self._closing or self._standing.released:
            return
        identity = self._known_id
        if identity is not None:
            try:
                self._take(self._listener.workload(identity))
            except ClientError as error:
                if not gone(error):
                    raise
                self._standing.lose()
            else:
                return
        self._take(self._listener.register_workload(**self._settings.wishes))

    def _hear(self, event: ServerEvent) -> None:
        with self._changed:
            request = self._standing.hear(event.data)
            self._changed.notify_all()
        if request is not None:
            self._call(request)

    def _take(self, found: Workload) -> None:
        with self._changed:
            request = self._standing.take(found)
            self._changed.notify_all()
        if request is not None:
            self._call(request)

    def _call(self, request: PruneRequest) -> None:
        callback = self._settings.on_prune
        if callback is None:
            return
        before = self._calling

        def call() -> None:
            if before is not None:
                before.join()  # one at a time
            self._see()
            try:
                callback(request)
            except Exception:  # noqa: BLE001 - the border to the program's own code, which is told of its fault
                logger.exception("what is called when this program must give way has failed")

        self._calling = threading.Thread(target=call, name="resourced-prune", daemon=True)
        self._calling.start()

    def _speak(self) -> None:
        """Acknowledge and give signs of life, so that neither holds up the program."""
        timeout = self._settings.beat_seconds
        with Client(self._settings.target, token=self._settings.token, patience_seconds=0.0) as client:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: bool(self._unsaid) or self._closing, timeout)
                    said, self._unsaid = self._unsaid, []
                    mine = self._standing.workload
                if mine is not None:
                    with suppress(ClientError):  # it was withdrawn, or the daemon has gone
                        for decision in said:
                            client.acknowledge(mine.id, decision)
                        if timeout is not None and not self._closing:
                            client.heartbeat(mine.id)
                if self._closing:
                    return
