"""A registration held by tasks: for programs with an event loop."""

import asyncio
import inspect
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from typing import Self

from resourced.client.asynchronous import AsyncClient
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
from resourced.client.workloads import PruneRequest

_PARTING_SECONDS = 0.5
"""How long what is under way at the end may take before it is cut off."""


class AsyncLease(LeaseBase):
    """A registered workload; see `resourced.client.workload`.

    Belongs to one event loop.

    Args:
        settings: How it is held.
    """

    def __init__(self, settings: LeaseSettings) -> None:
        super().__init__(settings)
        self._client = AsyncClient(settings.target, token=settings.token, patience_seconds=0.0)
        self._asked = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._listening: set[asyncio.Task[None]] = set()
        self._endless: set[asyncio.Task[None]] = set()

    async def open(self) -> Self:
        """Register, and begin to listen.

        Raises:
            NotRunning: No daemon runs, and one is required.
            ApiError: The daemon refuses what is wished.
        """
        try:
            await self._catch_up()
        except ClientError as error:
            if self._settings.required or refused(error):
                await self._client.aclose()
                raise
            Absence.tell(error)
        self._listening.add(self._start(self._tasks, self._listen()))
        if self._settings.beat_seconds is not None:
            self._endless.add(self._start(self._tasks, self._beat(self._settings.beat_seconds)))
        return self

    async def close(self) -> None:
        """End the registration; a callback that runs is awaited."""
        await asyncio.gather(*(task for task in self._calls if task is not asyncio.current_task()))
        if self._ends_with_us:
            await self.release()
        # An answer is on its way, and who listens hears of the release and ends. Who is cancelled at the very moment at
        # which something comes leaves an error in the program's log, by anyio.
        going_on = self._endless if self._standing.released else self._endless | self._listening
        ending = self._tasks - going_on
        if ending:
            await asyncio.wait(ending, timeout=_PARTING_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def prune_requested(self) -> PruneRequest:
        """Wait until it is asked to give way, and return the request."""
        while True:
            await self._asked.wait()
            request = self.request
            if request is not None:
                return request
            self._asked.clear()  # or nobody else would ever run

    async def wait(self, timeout: float | None = None) -> PruneRequest | None:  # noqa: ASYNC109 - as without a loop
        """Like `prune_requested`, but None if the time is over first.

        Args:
            timeout: Seconds; without end if None.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await self.prune_requested()
        return None

    async def acknowledge(self) -> None:
        """Say that the request was understood; needed only with `acknowledge=False`."""
        mine = self.workload
        if mine is not None and mine.request is not None:
            with suppress(ClientError):  # it was withdrawn, or the daemon has gone
                await self._client.acknowledge(mine.id, mine.request.decision)

    async def release(self) -> None:
        """End the registration now: it has given way, or has nothing that could be given up any more."""
        mine, self._standing.released = self._standing.workload, True
        if mine is not None:
            with suppress(ClientError):
                await self._client.release_workload(mine.id)
        self._lose()

    def _see(self) -> None:
        if self._settings.acknowledges and self._standing.see() is not None:
            self._start(self._tasks, self.acknowledge())

    async def _listen(self) -> None:
        pause = FIRST_PAUSE_SECONDS

        async def begun() -> None:
            nonlocal pause
            await self._catch_up()
            pause = FIRST_PAUSE_SECONDS

        while not self._standing.released:
            try:
                async with aclosing(self._client.events(["workload"], connected=begun)) as events:
                    async for event in events:
                        self._heard(self._standing.hear(event.data))
                        if self._standing.workload is None:
                            break
            except ClientError as error:
                if refused(error):
                    logger.warning("resourced does not take this program in any more: %s", error)
                    return
                if pause >= LONGEST_PAUSE_SECONDS:  # a restart is over by then
                    Absence.tell(error)
                with suppress(ClientError):  # where there are too many streams, asking now and then must do
                    await self._catch_up()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _catch_up(self) -> None:
        """Ask how things stand, and register where the daemon knows nothing of it."""
        if self._standing.released:
            return
        identity = self._known_id
        if identity is not None:
            try:
                self._heard(self._standing.take(await self._client.workload(identity)))
            except ClientError as error:
                if not gone(error):
                    raise
                self._lose()
            else:
                return
        self._heard(self._standing.take(await self._client.register_workload(**self._settings.wishes)))

    def _lose(self) -> None:
        self._standing.lose()
        self._asked.clear()

    def _heard(self, request: PruneRequest | None) -> None:
        """Wake who waits if something is asked, and call back if it is new."""
        if self._standing.request is None:
            self._asked.clear()
        else:
            self._asked.set()
        if request is not None and self._settings.on_prune is not None:
            self._start(self._calls, self._call(request))

    async def _call(self, request: PruneRequest) -> None:
        self._see()
        callback = self._settings.on_prune
        try:
            if inspect.iscoroutinefunction(callback):
                await callback(request)
            elif callback is not None:
                await asyncio.to_thread(callback, request)
        except Exception:  # noqa: BLE001 - the border to the program's own code, which is told of its fault
            logger.exception("what is called when this program must give way has failed")

    async def _beat(self, every_seconds: float) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            if self.workload is not None:
                with suppress(ClientError):  # the listener notices, too
                    await self._client.heartbeat(self.workload.id)

    def _start(self, where: set[asyncio.Task[None]], coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        where.add(task)
        task.add_done_callback(where.discard)
        return task
