"""ResourceMonitor: every collector once, each with its deadline; a stuck one is not asked again until it returns."""

import asyncio
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from resourced.clock import Clock, SystemClock, read_boot_id
from resourced.collectors.base import Taken
from resourced.errors import ResourcedError, Unavailable
from resourced.snapshot import Health, Snapshot
from resourced.snapshot.cgroups import Cgroups
from resourced.snapshot.cpu import Cpu
from resourced.snapshot.disk import Disk
from resourced.snapshot.filesystems import Filesystems
from resourced.snapshot.gpus import Gpus
from resourced.snapshot.memory import Memory
from resourced.snapshot.network import Network
from resourced.snapshot.pressure import Pressure
from resourced.snapshot.processes import Processes
from resourced.snapshot.sensors import Sensors
from resourced.sources import Source, sources_of

S = TypeVar("S")

_SLACK_SECONDS = 0.02
"""A source whose interval ends within this time of the tick is asked now rather than a whole tick later."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a worker says of one reading."""

    name: str
    taken: Taken[Any] | None
    section: Any
    error: BaseException | None


class _Worker:
    """A thread that reads one source when it is asked to, and never two readings at a time."""

    def __init__(self, source: Source, clock: Clock, answers: SimpleQueue[_Answer]) -> None:
        self.source = source
        self.busy = False
        self.section: Any = None
        self.taken: Taken[Any] | None = None
        self.due_seconds = 0.0
        self.asked_seconds = 0.0
        self.health = Health("stale", "not read yet")
        self._clock = clock
        self._answers = answers
        self._questions: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"collect-{source.name}", daemon=True)
        self._thread.start()

    def ask(self, now: float) -> None:
        self.busy = True
        self.asked_seconds = now
        self._questions.put("read")

    def stop(self, timeout_seconds: float) -> bool:
        """Let the thread end after its present reading; return whether it did."""
        self._questions.put(None)
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        before: Taken[Any] | None = None
        section: Any = None
        while self._questions.get():
            error: BaseException | None = None
            taken = None
            try:
                monotonic, wall = self._clock.monotonic(), self._clock.wall()
                sample = self.source.collector.collect()
                taken = Taken(sample, monotonic, wall, self._clock.monotonic() - monotonic)
                section = self.source.derive(before, taken, section)
                before = taken
            except Exception as raised:  # noqa: BLE001 - the border: whatever a collector raises makes its section stale
                error, taken = raised, None
            self._answers.put(_Answer(self.source.name, taken, section, error))
        with suppress(OSError):
            self.source.collector.close()

    def accept(self, answer: _Answer, now: float) -> None:
        """Take in an answer, in time or late, and decide when to ask again."""
        self.busy = False
        if answer.taken is not None:
            self.taken, self.section = answer.taken, answer.section
            self.health = Health("ok")
            self.due_seconds = answer.taken.monotonic_seconds + self.source.interval_seconds
        elif isinstance(answer.error, Unavailable):
            self.taken, self.section = None, None
            self.health = Health("absent", str(answer.error))
            self.due_seconds = now + self.source.absent_retry_seconds
        else:
            self._failed(_reason(answer.error), now)

    def overran(self, now: float) -> None:
        """Note that the reading under way is late; it is left alone until it returns."""
        self._failed(f"no answer within {self.source.deadline_seconds:g} s", now)

    def _failed(self, reason: str, now: float) -> None:
        failures = self.health.failures + 1
        pause = min(self.source.interval_seconds * 2 ** min(failures - 1, 16), self.source.retry_limit_seconds)
        self.health = Health("stale", reason, failures=failures)
        self.due_seconds = now + pause

    def report(self, time: float, now: float) -> Health:
        """Return the health as of a snapshot taken at wall time `time`, monotonic `now`."""
        taken, health = self.taken, self.health
        status, reason = health.status, health.reason
        if status == "ok" and self.busy:
            status, reason = "stale", "still being read"
        retry = None if status == "ok" or self.busy else max(0.0, self.due_seconds - now)
        if taken is None:
            return Health(status, reason, failures=health.failures, retry_in_seconds=retry)
        age = max(0.0, now - taken.monotonic_seconds)
        return Health(status, reason, time - age, age, taken.duration_seconds, health.failures, retry)


def _reason(error: BaseException | None) -> str:
    if isinstance(error, ResourcedError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


class ResourceMonitor:
    """Watches the machine: `sample()` reads every source that is due and returns a snapshot.

    Each source is read by a thread of its own, all of them at the same time. One that raises or overruns its deadline
    is reported stale with the reason and the age of its last value, and is tried again with growing pauses; one that
    hangs is not asked again until it returns. Calls from several threads follow each other.

    Args:
        sources: What to read; None stands for everything on this machine with default settings.
        clock: Tells the time.
        boot_id: Identity of this boot; read from /proc if None.
        off: Sections switched off by the configuration, with the reason to show.
    """

    def __init__(
        self,
        sources: Iterable[Source] | None = None,
        *,
        clock: Clock | None = None,
        boot_id: str | None = None,
        off: dict[str, str] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._boot_id = boot_id or read_boot_id()
        self._off = dict(off or {})
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        self._workers = {
            s.name: _Worker(s, self._clock, self._answers) for s in (sources_of() if sources is None else sources)
        }
        self._lock = threading.Lock()
        self._sequence = 0
        self._last_seconds: float | None = None
        self._closed = False

    def sample(self) -> Snapshot:
        """Read every source that is due and return the snapshot; takes no longer than the longest deadline.

        Raises:
            ResourcedError: The monitor is closed.
        """
        with self._lock:
            now = self._clock.monotonic()
            self._read(w for w in self._workers.values() if w.due_seconds <= now + _SLACK_SECONDS)
            return self._snapshot()

    async def asample(self) -> Snapshot:
        """Like `sample`, without blocking the event loop."""
        return await asyncio.to_thread(self.sample)

    def cpu(self) -> Cpu:
        """Read the processors now; rates are over the time since the reading before, null at the first.

        Raises:
            Unavailable: The host has none of it, or nothing could be read; the text says why.
        """
        return self._one("cpu", Cpu)

    def memory(self) -> Memory:
        """Read memory and swap now; see `cpu` for rates and errors."""
        return self._one("memory", Memory)

    def pressure(self) -> Pressure:
        """Read pressure stall information now; see `cpu` for rates and errors."""
        return self._one("pressure", Pressure)

    def network(self) -> Network:
        """Read interfaces and sockets now; see `cpu` for rates and errors."""
        return self._one("network", Network)

    def disk(self) -> Disk:
        """Read block devices now; see `cpu` for rates and errors."""
        return self._one("disk", Disk)

    def filesystems(self) -> Filesystems:
        """Read mounted file systems now; see `cpu` for errors."""
        return self._one("filesystems", Filesystems)

    def sensors(self) -> Sensors:
        """Read temperatures, fans and batteries now; see `cpu` for errors."""
        return self._one("sensors", Sensors)

    def gpus(self) -> Gpus:
        """Read the GPUs now; see `cpu` for rates and errors."""
        return self._one("gpus", Gpus)

    def cgroups(self) -> Cgroups:
        """Read the control groups now; see `cpu` for rates and errors."""
        return self._one("cgroups", Cgroups)

    def processes(self) -> Processes:
        """Read the processes now; see `cpu` for rates and errors."""
        return self._one("processes", Processes)

    def reconfigure(self, sources: Iterable[Source], off: dict[str, str] | None = None) -> None:
        """Read other sources from the next sample on; the numbers of samples go on, the rates begin anew.

        Args:
            sources: What to read from now on.
            off: Sections switched off by the configuration, with the reason to show.
        """
        with self._lock:
            before = self._workers
            self._answers = SimpleQueue()
            self._workers = {s.name: _Worker(s, self._clock, self._answers) for s in sources}
            self._off = dict(off or {})
            for worker in before.values():
                worker.stop(0.0)

    def close(self, timeout_seconds: float = 1.0) -> tuple[str, ...]:
        """End the threads and return the names of the sources that are stuck and keep theirs.

        A thread that is stuck in the kernel can't be ended; the interpreter must then be left by `os._exit`.
        """
        with self._lock:
            self._closed = True
            deadline = self._clock.monotonic() + timeout_seconds
            return tuple(
                name
                for name, worker in self._workers.items()
                if not worker.stop(max(0.0, deadline - self._clock.monotonic()) if not worker.busy else 0.0)
            )

    def _one(self, name: str, kind: type[S]) -> S:
        worker = self._workers.get(name)
        if worker is None:
            raise Unavailable(self._off.get(name, f"{name} is not among the sources of this monitor"))
        with self._lock:
            self._read([worker])
        if not isinstance(worker.section, kind):
            raise Unavailable(f"{name}: {worker.health.reason}")
        return worker.section

    def _read(self, workers: Iterable[_Worker]) -> None:
        """Ask those that are not busy and wait until each has answered or is late. Late answers of before count too."""
        if self._closed:
            raise ResourcedError("this monitor is closed")
        while True:
            try:
                late = self._answers.get_nowait()
            except Empty:
                break
            self._workers[late.name].accept(late, self._clock.monotonic())
        pending: dict[str, float] = {}
        for worker in workers:
            if not worker.busy:
                now = self._clock.monotonic()
                worker.ask(now)
                pending[worker.source.name] = now + worker.source.deadline_seconds
        while pending:
            try:
                answer = self._answers.get(timeout=max(0.0, min(pending.values()) - self._clock.monotonic()))
            except Empty:
                now = self._clock.monotonic()
                for name in [name for name, deadline in pending.items() if deadline <= now]:
                    del pending[name]
                    self._workers[name].overran(now)
                continue
            pending.pop(answer.name, None)
            self._workers[answer.name].accept(answer, self._clock.monotonic())

    def _snapshot(self) -> Snapshot:
        time, now = self._clock.wall(), self._clock.monotonic()
        interval = None if self._last_seconds is None else now - self._last_seconds
        self._sequence += 1
        self._last_seconds = now
        health = {name: Health("off", reason) for name, reason in self._off.items()}
        health |= {name: worker.report(time, now) for name, worker in self._workers.items()}
        sections = {name: worker.section for name, worker in self._workers.items()}
        return Snapshot(self._sequence, time, now, interval, self._boot_id, collectors=health, **sections)
