"""Command lines, read when somebody asks for them, though a process may hold up whoever reads its own."""

import asyncio
import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from resourced.collectors.base import Roots
from resourced.collectors.oneprocess import read_command_line

_MOST_HANGING = 4
"""Threads that may hang; after that no command lines are read until one has come back."""
_PATIENCE_SECONDS = 1.0
"""How long is waited for the lines that one has asked for; those of 500 processes take some 20 ms."""


@dataclass(slots=True)
class _Reading:
    """One thread's work."""

    wanted: Mapping[int, int]
    """Start of each process by its pid."""
    lines: dict[int, str | None] = field(default_factory=dict)
    at: int = 0
    """The process that is being read."""
    given_up: bool = False
    """Whether nobody waits any more."""
    ended: bool = False


class CommandLines:
    """Reads command lines in threads of its own, for one who asks after the other. For the event loop alone.

    A process whose memory is locked, as that of one that waits for a dead file server, keeps a thread that reads its
    command line for as long. It is not read again until it has answered, so that it holds one thread and no more; such
    a thread doesn't keep the interpreter from ending.

    Args:
        roots: Where /proc is.
        patience_seconds: How long is waited for what one has asked for.
    """

    def __init__(self, roots: Roots, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._roots = roots
        self._patience_seconds = patience_seconds
        self._turn = asyncio.Lock()
        self._lock = threading.Lock()
        self._hanging: set[int] = set()

    async def read(self, started: Mapping[int, int]) -> dict[int, str | None]:
        """Return the command lines of processes, None for those that have gone or can't be read now.

        Args:
            started: Start of each process by its pid, in clock ticks since boot, so that nobody else's is returned.
        """
        lines: dict[int, str | None] = dict.fromkeys(started)
        async with self._turn:
            if started and len(self._hanging) < _MOST_HANGING:
                lines |= await self._found(started)
        return lines

    async def _found(self, started: Mapping[int, int]) -> dict[int, str | None]:
        loop, done, reading = asyncio.get_running_loop(), asyncio.Event(), _Reading(started)

        def run() -> None:
            try:
                self._read(reading)
            finally:
                with self._lock:
                    reading.ended = True
                    if reading.given_up:
                        self._hanging.discard(reading.at)
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(done.set)

        threading.Thread(target=run, name="command-lines", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_seconds):
                await done.wait()
        with self._lock:
            if not reading.ended:
                reading.given_up = True
                self._hanging.add(reading.at)
            return dict(reading.lines)

    def _read(self, reading: _Reading) -> None:
        for pid, start_time_ticks in reading.wanted.items():
            with self._lock:
                if reading.given_up:
                    return
                if pid in self._hanging:
                    continue
                reading.at = pid
            reading.lines[pid] = read_command_line(self._roots, pid, start_time_ticks)
