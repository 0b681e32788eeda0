"""What takes time to find out, for those who may not wait long: found once for all who ask, and good for a while."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Finds something in a thread, one at a time however many ask. For the event loop alone.

    Args:
        find: Finds it; may block.
        seconds: How long it is good for.
        patience_seconds: How long those who ask wait for it.
    """

    def __init__(self, find: Callable[[], T], *, seconds: float, patience_seconds: float) -> None:
        self._find = find
        self._seconds = seconds
        self._patience_seconds = patience_seconds
        self._found: T | None = None
        self._good_until = -math.inf
        self._finding: asyncio.Task[None] | None = None

    async def get(self) -> T | None:
        """Return it; if it is not found in time, what was found last, or None if nothing was."""
        if time.monotonic() >= self._good_until:
            if self._finding is None or self._finding.done():
                self._finding = asyncio.create_task(self._look())
            done, _ = await asyncio.wait({self._finding}, timeout=self._patience_seconds)
            for task in done:
                task.result()
        return self._found

    async def _look(self) -> None:
        self._found = await asyncio.to_thread(self._find)
        self._good_until = time.monotonic() + self._seconds
