"""Questions to the history: answered by threads of their own, and only so many callers wait for one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from starlette.requests import ClientDisconnect

from resourced.api.problem import Problem

P = ParamSpec("P")
T = TypeVar("T")


class Turns:
    """Lets questions be answered in the order in which they came. For the event loop alone.

    What changes something uses other threads: no question, however slow, may delay a workload that says it gives way.

    Args:
        threads: Questions that are answered at once.
        waiting: Questions that may wait meanwhile.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "query")
        self._free = asyncio.Semaphore(threads)
        self._most = waiting
        self._waiting = 0

    async def take(self, gone: Callable[[], bool], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what some work gives, which is done in a thread when its turn comes.

        Args:
            gone: Returns whether the caller has left; the work is not begun then.
            work: May block.
            args: For the work.
            kwargs: Likewise.

        Raises:
            Problem: 503 if too many wait already.
            ClientDisconnect: The caller left before it was his turn.
        """
        if self._free.locked() and self._waiting >= self._most:
            detail = f"{self._most} questions to the history wait already; ask again later"
            raise Problem(503, detail, headers={"retry-after": "5"}, refusal=True)
        must_wait = self._free.locked()
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            # Who only closed his own side, having said all, looks as if he had left; he is answered as fast as may be.
            if must_wait and gone():
                raise ClientDisconnect
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, partial(work, *args, **kwargs))
        finally:
            self._free.release()
