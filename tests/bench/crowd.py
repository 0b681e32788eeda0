"""Callers who want to keep others out, as a process of its own: idle connections, and heads that never end.

Run: python -m tests.bench.crowd PORT SLOW IDLE. Says "there" when all have connected, and counts as JSON when its
standard input ends. Whoever is cut off connects again a second later.
"""

import asyncio
import contextlib
import json
import resource
import sys
from collections import Counter

_PAUSE_SECONDS = 1.0
_HEAD = b"GET /resources/all HTTP/1.1\r\nHost: localhost\r\nX: "


class Crowd:
    """So many connections to a port of loopback.

    Args:
        port: Of the daemon.
        slow: How many send a byte of a head each second.
        idle: How many send nothing.
    """

    def __init__(self, port: int, slow: int, idle: int) -> None:
        self._port = port
        self._kinds = [_HEAD] * slow + [b""] * idle
        self._missing = len(self._kinds)
        self._there = asyncio.Event()
        self.counts: Counter[str] = Counter()

    async def press(self) -> None:
        """Connect until the standard input ends; say when all have been there once."""
        for head in self._kinds:
            asyncio.create_task(self._again_and_again(head))  # noqa: RUF006 - they go on until the process ends
        await self._there.wait()
        print("there", flush=True)
        await asyncio.to_thread(sys.stdin.read)

    async def _again_and_again(self, head: bytes) -> None:
        first = True
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self.counts["not connected"] += 1
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self.counts["connected"] += 1
            if first:
                first = False
                self._missing -= 1
                if not self._missing:
                    self._there.set()
            self.counts[await self._linger(reader, writer, head)] += 1
            writer.transport.abort()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _linger(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> str:
        """Stay as long as one is let; return how it ended."""
        writer.write(head)
        drip = asyncio.create_task(self._drip(writer)) if head else None
        try:
            answer = await reader.read()
        except ConnectionError:
            return "reset"
        finally:
            if drip is not None:
                drip.cancel()
        return f"answered {answer.split()[1].decode()}" if answer else "closed"

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(_PAUSE_SECONDS)
                writer.write(b"a")
                await writer.drain()


async def main() -> None:
    """Press on the port that the command names."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, slow, idle = map(int, sys.argv[1:])
    crowd = Crowd(port, slow, idle)
    await crowd.press()
    print(json.dumps(crowd.counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
