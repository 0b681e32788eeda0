"""What happens, as it happens: server-sent events, and waiting for the next sample."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from resourced.api.access import Caller, may_see
from resourced.api.answers import SECURITY_HEADERS, to_json
from resourced.api.limits import Limits
from resourced.api.problem import Problem
from resourced.api.service import Service, StateView
from resourced.decision import Decision, Outcome, Phase
from resourced.workloads import LeaseChange

KINDS = ("sample", "decision", "outcome", "rule", "collector", "event", "workload")
"""Kinds of events; samples come only if they are asked for."""
USUAL = KINDS[1:]
_QUEUE = 256
LATE_SECONDS = 60.0
"""A record may be told so long after its own time: a decision only once the whole sample is judged, one of the guard's
only once the thread that acts has let go of its step, and the machine may stand still meanwhile."""
_ENDS_OF_LINES = {"\u0085": b"\\u0085", "\u2028": b"\\u2028", "\u2029": b"\\u2029"}
"""What some readers of streams take for the end of a line, though it is none, and how JSON may write it instead."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, written as it is sent."""

    kind: str
    time: float
    id: str | None
    text: bytes
    uid: int | None = None
    """To whom alone it is sent, besides admins; None for everybody."""


def make_event(kind: str, time: float, value: Any, *, resumable: bool = False, uid: int | None = None) -> Event:
    """Return an event; one that can be resumed from carries an id that sorts by time."""
    data = to_json(value)
    for character, written in _ENDS_OF_LINES.items():
        data = data.replace(character.encode(), written)
    identity = f"{time:.6f}-{zlib.crc32(data):08x}" if resumable else None
    head = f"event: {kind}\n" + (f"id: {identity}\n" if identity else "")
    return Event(kind, time, identity, head.encode() + b"data: " + data + b"\n\n", uid)


class Stream:
    """One reader: what it wants, what it may see and what waits for it.

    Args:
        kinds: Kinds of events that it wants.
        caller: Who it is.
        abort: Cuts the connection.
        begin: The moment from which it is told, seconds since the epoch; None if it goes on with an earlier stream.
    """

    def __init__(
        self,
        kinds: frozenset[str],
        caller: Caller,
        abort: Callable[[], None] | None,
        begin: float | None = None,
    ) -> None:
        self.kinds = kinds
        self.caller = caller
        self.begin = begin
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue(_QUEUE)
        self.request: Scope | None = None
        self._abort = abort

    def put(self, event: Event) -> bool:
        """Hand an event over; returns False and cuts the reader off if too much waits already."""
        if event.kind not in self.kinds or (event.uid is not None and not may_see(self.caller, event.uid)):
            return True
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.end(abort=True)
            return False
        return True

    def end(self, *, abort: bool = False) -> None:
        """End the stream: after what waits, or at once."""
        if abort or self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
        self.queue.put_nowait(None)
        if abort and self._abort is not None:
            self._abort()


class Hub:
    """Takes states and records from the daemon's threads and hands them to readers on the event loop.

    Args:
        service: Where they come from.
        limits: How many may listen or wait at once, and how often the silent ones hear something.
    """

    def __init__(self, service: Service, limits: Limits) -> None:
        self._service = service
        self._limits = limits
        self._streams: set[Stream] = set()
        self._waiting = 0
        self._next: asyncio.Event = asyncio.Event()
        self._last: StateView | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsubscribe: list[Callable[[], None]] = []
        self.closing = False

    def attach(self) -> None:
        """Begin to listen to the daemon, on the running loop; a second call does nothing."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._last = self._service.state
            self._unsubscribe = [self._service.subscribe(self._from_any_thread(self._on_state))]
            self._unsubscribe.append(self._service.follow(self._from_any_thread(self._on_record)))

    def close(self) -> None:
        """End all streams and let all who wait go."""
        self.closing = True
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []
        for stream in list(self._streams):
            stream.end()
        self._wake()

    def review(self, identified: Callable[[Scope], Caller | None]) -> None:
        """Go by what readers may see by now, and end at once the streams of those who may not read any more.

        Args:
            identified: Returns who sent a request, with the right that he has now; None if he may not read.
        """
        for stream in list(self._streams):
            caller = identified(stream.request) if stream.request is not None else stream.caller
            if caller is not None:
                stream.caller = caller
                continue
            self._streams.discard(stream)
            stream.end(abort=True)
            self._service.audit("api_stream_dropped", {"reason": "the reader may not read any more"})

    def _from_any_thread(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        def hand_over(value: Any) -> None:
            loop = self._loop
            if loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(callback, value)

        return hand_over

    def _wake(self) -> None:
        waiting, self._next = self._next, asyncio.Event()
        waiting.set()

    def _on_state(self, state: StateView) -> None:
        before, self._last = self._last, state
        self._wake()
        if not self._streams:
            return
        snapshot = state.snapshot
        if any("sample" in stream.kinds for stream in self._streams):
            about = {"sequence": snapshot.sequence, "time": snapshot.time}
            self._publish(make_event("sample", snapshot.time, about))
        for kind, value in changes(before, state):
            self._publish(make_event(kind, snapshot.time, value))

    def _on_record(self, item: Any) -> None:
        if isinstance(item, LeaseChange):
            self._wake()
        if self._streams:
            self._publish(record_event(item))

    def _publish(self, event: Event) -> None:
        for stream in list(self._streams):
            if not stream.put(event):
                self._streams.discard(stream)
                self._service.audit("api_stream_dropped", {"reason": f"the reader was {_QUEUE} events behind"})

    @contextlib.contextmanager
    def _place(self) -> Any:
        if self._waiting >= self._limits.streams or self.closing:
            detail = f"{self._limits.streams} streams and waiting callers are served already; ask again later"
            raise Problem(503, detail, headers={"retry-after": "5"}, refusal=not self.closing)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def wait(self, seconds: float, done: Callable[[StateView], bool]) -> None:
        """Return when a state is as wanted, after `seconds`, or when the server ends.

        Raises:
            Problem: 503 if too many wait already.
        """
        self.attach()
        with self._place(), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.closing:
                    state, upcoming = self._service.state, self._next
                    if state is not None and done(state):
                        return
                    await upcoming.wait()

    async def follow(self, stream: Stream, past: list[Event]) -> AsyncIterator[bytes]:
        """Yield the text of a stream: from where to go on after a break, what was missed, then what happens."""
        position = "" if stream.begin is None else f"id: {stream.begin:.6f}\n"
        yield f"retry: 2000\n{position}\n".encode()
        sent = {event.id for event in past}
        for event in past:
            yield event.text
        while True:
            try:
                async with asyncio.timeout(self._limits.heartbeat_seconds):
                    waiting = [await stream.queue.get()]
            except TimeoutError:
                yield b": still here\n\n"
                continue
            while not stream.queue.empty():  # what came together is one write, and one packet
                waiting.append(stream.queue.get_nowait())
            new = [event.text for event in waiting if event is not None and (event.id is None or event.id not in sent)]
            if new:
                yield b"".join(new)
            if None in waiting:
                return

    async def serve(self, stream: Stream, scope: Scope, receive: Receive, send: Send, past: Any) -> None:
        """Send a stream until the reader leaves or the server ends.

        Args:
            stream: The reader.
            scope: Of the request.
            receive: Of the request.
            send: Of the request.
            past: Called when the stream is joined to what happens; returns the events that were missed.
        """
        self.attach()
        with self._place():
            stream.request = scope
            self._streams.add(stream)
            try:
                missed = await past()
                headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), *SECURITY_HEADERS]
                headers.append((b"heartbeat-seconds", f"{self._limits.heartbeat_seconds:g}".encode()))
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                if scope["method"] != "HEAD":
                    await self._pump(stream, missed, receive, send)
                await send({"type": "http.response.body", "body": b""})
            finally:
                self._streams.discard(stream)

    async def _pump(self, stream: Stream, missed: list[Event], receive: Receive, send: Send) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            stream.end(abort=True)

        watcher = asyncio.create_task(watch())
        try:
            async for text in self.follow(stream, missed):
                await send({"type": "http.response.body", "body": text, "more_body": True})
        finally:
            watcher.cancel()


def record_event(item: Any) -> Event:
    """Return the event of a Decision, an Outcome, a LoggedEvent or a LeaseChange."""
    if isinstance(item, LeaseChange):
        return make_event("workload", item.workload.heard, item, uid=item.workload.uid)
    kind = "decision" if isinstance(item, Decision) else "outcome" if isinstance(item, Outcome) else "event"
    return make_event(kind, item.time, item, resumable=True)


def changes(before: StateView | None, now: StateView) -> list[tuple[str, Any]]:
    """Return what differs between two states: rules that changed phase, collectors that changed status."""
    found: list[tuple[str, Any]] = []
    old = {(r.rule, r.instance): r.phase for r in before.verdict.rules} if before and before.verdict is not None else {}
    rules = now.verdict.rules if now.verdict is not None else ()
    found += [("rule", r) for r in rules if old.get((r.rule, r.instance), Phase.INACTIVE) != r.phase]
    had = {name: health.status for name, health in before.snapshot.collectors.items()} if before else {}
    for name, health in now.snapshot.collectors.items():
        if had.get(name, health.status) != health.status:
            found.append(("collector", {"collector": name, "health": health}))
    return found


def resume_time(last_event_id: str) -> float:
    """Return from which moment on a reader is told what it missed.

    After an event, what happened shortly before it is told again: it may have been told after it, and so not at all. At
    the beginning of a stream nothing was told yet.

    Args:
        last_event_id: The id of an event, or with which a stream began.

    Raises:
        Problem: 422 if it isn't an id of ours.
    """
    time, _, of_event = last_event_id.partition("-")
    try:
        moment = float(time)
    except ValueError:
        moment = -1.0
    if not 0 <= moment < 1e12:
        raise Problem(422, "the Last-Event-ID is not one of this server's", parameter="Last-Event-ID")
    return moment - LATE_SECONDS if of_event else moment
