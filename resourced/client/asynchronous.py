"""The client for programs with an event loop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from resourced.client import calls
from resourced.client.answers import Explained, Resource, Table, Top
from resourced.client.base import BUSY, ClientBase, check, limit_silence, read, repeatable, stream_query
from resourced.client.calls import Call
from resourced.client.download import new_file
from resourced.client.errors import ApiError
from resourced.client.sse import EventParser, ServerEvent
from resourced.client.workloads import Workload
from resourced.decision import Decision, Verdict

if TYPE_CHECKING:
    import httpx

    from resourced.snapshot import Snapshot

T = TypeVar("T")


class AsyncClient(ClientBase):
    """Asks a daemon.

    Belongs to one event loop.

    Example:
        async with AsyncClient() as client:
            if await client.should_prune():
                save_and_exit()
    """

    _http: "httpx.AsyncClient | None" = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def get(self, path: str, **params: Any) -> Any:
        """Return the decoded JSON of any path."""
        return await self.do(calls.get(path, **params))

    async def resources(self, name: str, *, fresh: bool = False) -> Resource:
        """Return one section of the newest snapshot, such as cpu, memory or gpu.

        Args:
            name: Name of the section.
            fresh: Whether to take a sample now instead of the newest one.
        """
        return await self.do(calls.resource(name, fresh=fresh))

    async def all(self, *, fresh: bool = False, full: bool = False) -> "Snapshot":
        """Return the newest snapshot of the whole machine.

        Args:
            fresh: Whether to take a sample now instead of the newest one.
            full: Whether to list all processes and cgroups, not only the largest.
        """
        return await self.do(calls.everything(fresh=fresh, full=full))

    async def should_prune(self, *, fresh: bool = False) -> Verdict:
        """Return whether something must give way now, with the reasons; true in a boolean context if so."""
        return await self.do(calls.should_prune(fresh=fresh))

    async def prune(
        self, *, pid: int | None = None, unit: str | None = None, workload: str | None = None
    ) -> dict[str, Any]:
        """Return whether this process, unit or workload would have to give way, and how near it is."""
        return await self.do(calls.prune(pid, unit, workload))

    async def history(
        self,
        metrics: Sequence[str],
        *,
        start: float | str | None = None,
        end: float | str | None = None,
        step: float | str | None = None,
        points: int | None = None,
        aggregate: str | None = None,
    ) -> Table:
        """Return series from the history.

        Args:
            metrics: Names or patterns of series.
            start: Seconds since the epoch, or a time as the API takes it ("8h" for eight hours ago, "03:12").
            end: Likewise; now if not given.
            step: Seconds between rows, or a duration ("1min").
            points: About how many rows, instead of a step.
            aggregate: How values of one row become one: mean, min, max, last, count, sum, rate, or p99 and the like.
        """
        return await self.do(calls.history(metrics, start, end, step, points, aggregate))

    async def at(self, time: float | str) -> dict[str, Any]:
        """Return a past moment as a whole: the newest snapshot's JSON, null where nothing was recorded.

        Args:
            time: Seconds since the epoch, or a time as the API takes it ("03:12", "2h").
        """
        return await self.do(calls.at(time))

    async def top(
        self,
        of: str = "unit",
        *,
        by: str = "memory",
        start: float | str | None = None,
        end: float | str | None = None,
        order: str = "peak",
        limit: int = 10,
    ) -> Top:
        """Return who used most over a time.

        Args:
            of: unit, slice, cgroup, process, command or user; or a label of the series in `by`.
            by: cpu, memory, swap, io or gpu_memory; with a label, a series.
            start: Begin; an hour before the end if not given.
            end: End; now if not given.
            order: What is compared: peak, mean or last.
            limit: At most so many.
        """
        return await self.do(calls.top(of, by=by, start=start, end=end, order=order, limit=limit))

    async def export(self, path: Path, *, start: float | str | None = None, end: float | str | None = None) -> int:
        """Write a recording of some time to a new file and return its size in bytes.

        Args:
            path: The file, which must not exist.
            start: Begin; an hour before the end if not given.
            end: End; now if not given.

        Raises:
            FileExistsError: There is such a file.
            OSError: It can't be written.
        """
        with new_file(path) as file:
            async for chunk in self._chunks(calls.export(start, end)):
                file.write(chunk)
            return file.tell()

    async def decisions(self, **filters: Any) -> list[Decision]:
        """Return decisions, newest first; filters are since, until, rule, unit, user and limit."""
        return await self.do(calls.decisions(**filters))

    async def decision(self, identity: str) -> Explained:
        """Return one decision with what came of it."""
        return await self.do(calls.decision(identity))

    async def status(self) -> dict[str, Any]:
        """Return how the daemon itself is."""
        found: dict[str, Any] = await self.do(calls.get("/healthz"))
        return found

    async def catalog(self) -> Any:
        """Return what each metric means."""
        return await self.do(calls.get("/catalog"))

    async def set_log_level(self, level: str) -> Any:
        """Change the level of the daemon's log."""
        return await self.do(calls.set_log_level(level))

    async def reload(self) -> Any:
        """Let the daemon read its configuration again."""
        return await self.do(calls.reload())

    async def approve(self, identity: str) -> Any:
        """Agree to a decision that waits."""
        return await self.do(calls.answer(identity, "approve"))

    async def veto(self, identity: str) -> Any:
        """Call a decision off, whether it waits or is under way; what can be undone is undone."""
        return await self.do(calls.answer(identity, "veto"))

    async def thaw(self, identity: str) -> Any:
        """Let what a decision has frozen run on."""
        return await self.do(calls.answer(identity, "thaw"))

    async def register_workload(self, **wishes: Any) -> Workload:
        """Register this process, or another of the same user, as a workload that is told before it must give way.

        Args:
            wishes: name, pid, scope, priority, tell, signal, grace_seconds, restartable, heartbeat_seconds; the daemon
                has a default for each.
        """
        return await self.do(calls.register_workload(**wishes))

    async def workloads(self) -> list[Workload]:
        """Return the caller's own workloads; for those who may change things, all."""
        return await self.do(calls.workloads())

    async def workload(self, identity: str, *, wait: float | None = None) -> Workload:
        """Return one workload.

        Args:
            identity: Its id.
            wait: For how many seconds, 60 at most, to wait until something changes about it.
        """
        return await self.do(calls.workload(identity, wait))

    async def heartbeat(self, identity: str) -> None:
        """Give a sign of life of a workload that was registered with `heartbeat_seconds`."""
        await self.do(calls.heartbeat(identity))

    async def acknowledge(self, identity: str, decision: str | None = None) -> None:
        """Say that a workload was told and now gives way, so that it gets the time that it wants.

        Args:
            identity: Its id.
            decision: The request that is meant; the present one if not given.
        """
        await self.do(calls.acknowledge(identity, decision))

    async def release_workload(self, identity: str) -> None:
        """End a registration: nothing more is asked of it, and nothing more is done to it for what was asked."""
        await self.do(calls.release_workload(identity))

    async def events(
        self,
        kinds: Sequence[str] | None = None,
        *,
        since: float | str | None = None,
        connected: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncGenerator[ServerEvent, None]:
        """Yield what happens, for ever; a break of the connection is bridged while patience lasts, each anew.

        A server that is silent for 30 seconds longer than it says that it ever is counts as a break.

        Args:
            kinds: Which kinds of events; all but samples if not given.
            since: Begin with what was recorded since this time.
            connected: Awaited whenever the stream has begun: whatever happens from then on is yielded, so that asking
                how things stand now leaves no gap.
        """
        import httpx  # noqa: PLC0415 - imported when the first question is asked

        parser = EventParser()
        pauses = self._pauses()
        while True:
            try:
                async with aclosing(self._stream(parser, stream_query(kinds, since), connected)) as stream:
                    async for heard in stream:
                        pauses = self._pauses()
                        for event in heard:
                            yield event
                failure: Exception = httpx.RemoteProtocolError("the stream ended")
            except httpx.TransportError as error:
                failure = error
            except ApiError as error:
                if error.status != BUSY:
                    raise
                failure = error
            pause = next(pauses, None)
            if pause is None:
                raise self._failure(failure) from failure
            await asyncio.sleep(pause)

    async def do(self, call: Call[T]) -> T:
        """Ask, and ask again while the daemon restarts.

        Raises:
            NotRunning: Nobody answers.
            NotAllowed: This user may not connect.
            ApiError: The daemon said no.
        """
        import httpx  # noqa: PLC0415 - imported when the first question is asked

        pauses = self._pauses()
        while True:
            try:
                return read(call, await self._open().request(**self._request(call)))
            except httpx.TransportError as error:
                pause = next(pauses, None) if repeatable(error, call.method) else None
                if pause is None:
                    raise self._failure(error) from error
            await asyncio.sleep(pause)

    async def _stream(
        self, parser: EventParser, query: dict[str, Any], connected: Callable[[], Awaitable[None]] | None
    ) -> AsyncGenerator[list[ServerEvent], None]:
        """Yield the events of each piece that comes, none if it was a sign of life."""
        asked = self._open().stream(**self._stream_request(parser, query))
        async with asked as response:
            if not response.is_success:
                await response.aread()
                check(response)
            limit_silence(response)
            if connected is not None:
                await connected()
            parser.begin()
            async for piece in response.aiter_bytes():
                yield parser.feed(piece)

    async def _chunks(self, call: Call[Any]) -> AsyncIterator[bytes]:
        """Yield the body of an answer that is no JSON; it is asked for once, and may take its time."""
        import httpx  # noqa: PLC0415 - imported when the first question is asked

        try:
            async with self._open().stream(**self._long_request(call)) as response:
                if not response.is_success:
                    await response.aread()
                    check(response)
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx.TransportError as error:
            raise self._failure(error) from error

    def _open(self) -> "httpx.AsyncClient":
        if self._http is None:
            import httpx  # noqa: PLC0415 - imported when the first question is asked

            transport = httpx.AsyncHTTPTransport(uds=self.target.socket) if self.target.socket else None
            self._http = httpx.AsyncClient(transport=transport, **self._settings())
        return self._http
