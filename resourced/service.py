"""What the API may ask of the daemon: the one object that knows all parts, behind the interface in api.service."""

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from resourced import __version__, journal
from resourced.api.service import HistoryView, WorkloadsView
from resourced.collectors.base import Roots
from resourced.collectors.oneprocess import read_command_line
from resourced.decision import LoggedEvent
from resourced.errors import ConfigError
from resourced.history import HistoryStats
from resourced.journal import EVENTS, Priority
from resourced.manager import State
from resourced.policy import Judgement, outlook
from resourced.process import own_usage

_STALE_INTERVALS = 5
"""Samples older than so many intervals are not fresh."""


class Ticking(Protocol):
    """What brings new states: the manager that samples this machine, or the player of a recording."""

    @property
    def state(self) -> State | None:
        """The newest state; None before the first."""
        ...

    interval_seconds: float
    """Time from one state to the next."""

    async def fresh(self) -> State:
        """Return a state that is as new as can be."""
        ...

    def compared(self) -> tuple[Judgement, Judgement | None] | None:
        """Return the newest judgement and one about half a minute older."""
        ...

    def subscribe(self, callback: Callable[[State], None]) -> Callable[[], None]:
        """Call back with each new state; returns what ends it."""
        ...

    def follow(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back with each decision and event; returns what ends it."""
        ...

    def tell(self, item: Any) -> None:
        """Hand something to those who follow."""
        ...


class Remembered(HistoryView, Protocol):
    """What the service asks of a history besides questions."""

    def record(self, item: LoggedEvent) -> None:
        """Keep an event."""
        ...

    def stats(self) -> HistoryStats:
        """Return what it holds and costs."""
        ...


class Deeds(Protocol):
    """What the service asks of who acts."""

    async def approve(self, decision_id: str, who: str) -> None:
        """Let a decision that waits be carried out; raises ActionRefused."""
        ...

    async def veto(self, decision_id: str, who: str) -> None:
        """Call a decision off; raises ActionRefused."""
        ...

    async def thaw(self, decision_id: str, who: str) -> None:
        """Let what a decision has frozen run on; raises ActionRefused."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return what is under way, what can be undone, and who else may kill."""
        ...

    def rivals(self) -> list[str]:
        """Return who else may kill on this machine, a line each."""
        ...


class DaemonService:
    """The daemon as the API sees it.

    Args:
        manager: Brings new states.
        history: Remembers.
        acting: Takes the steps of decisions.
        workloads: Who is registered.
        reload: Reads the configuration again and puts it into force.
        describe: What else is told of the daemon in /healthz: configuration, listeners.
        configuration: What is in force, and where each value was said.
        roots: Where the kernel's trees are mounted.
    """

    version = __version__

    def __init__(
        self,
        manager: Ticking,
        history: Remembered,
        *,
        acting: Deeds,
        workloads: WorkloadsView,
        reload: Callable[[], Awaitable[None]],
        describe: Callable[[], Mapping[str, Any]],
        configuration: Callable[[], Mapping[str, Any]],
        roots: Roots | None = None,
    ) -> None:
        self.history = history
        self.workloads = workloads
        self._manager = manager
        self._acting = acting
        self._reload = reload
        self._describe = describe
        self._configuration = configuration
        self._roots = roots or Roots()
        self._began = time.monotonic()

    @property
    def state(self) -> State | None:
        """The newest state."""
        return self._manager.state

    def now(self) -> float:
        """Return the present moment, seconds since the epoch."""
        return time.time()

    async def fresh(self) -> State:
        """Sample now; concurrent callers share one sample."""
        return await self._manager.fresh()

    def status(self) -> dict[str, Any]:
        """Return how the daemon does."""
        state, used = self.state, own_usage()
        uptime = time.monotonic() - self._began
        told: dict[str, Any] = {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_seconds": round(uptime, 3),
            "cpu_seconds": round(used.cpu_seconds, 3),
            "memory_bytes": used.memory_bytes,
            "threads": used.threads,
            "descriptors": used.descriptors,
            "log_level": journal.get_level(),
            "log_lines_dropped": journal.lines_dropped(),
            "workloads": len(self.workloads.leases()),
            **self._describe(),
        }
        if rivals := self._acting.rivals():
            told["rivals"] = rivals
        if state is not None:
            told["sampling"] = {
                "sequence": state.snapshot.sequence,
                "interval_seconds": self._manager.interval_seconds,
                "age_seconds": round(self._age_seconds(state), 3),
                "lag_seconds": round(state.lag_seconds, 6),
                "duration_seconds": round(state.duration_seconds, 6),
            }
        told["history"] = asdict(self.history.stats())
        return told

    def _age_seconds(self, state: State) -> float:
        return time.monotonic() - state.snapshot.monotonic_seconds

    def ready(self) -> tuple[bool, str]:
        """Return whether samples are fresh, and why not."""
        state = self.state
        if state is None:
            return False, "nothing has been sampled yet"
        age = self._age_seconds(state)
        if age > _STALE_INTERVALS * self._manager.interval_seconds:
            return False, f"the newest sample is {age:.1f} s old"
        if not any(health.usable for health in state.snapshot.collectors.values()):
            return False, "no collector delivers"
        return True, "samples are fresh"

    def outlook(
        self, pid: int | None = None, unit: str | None = None, workload: str | None = None
    ) -> Mapping[str, Any] | None:
        """Return how near someone is to being pruned; None if there is no such."""
        compared = self._manager.compared()
        if compared is None:
            return None
        found = outlook(*compared, pid=pid, unit=unit, workload=workload)
        return asdict(found) if found.found else None

    def command_lines(self, pids: Sequence[int]) -> dict[int, str | None]:
        """Read command lines now, of the processes that the newest sample knows."""
        state = self.state
        wanted = frozenset(pids)
        known = state.snapshot.processes.items if state and state.snapshot.processes else ()
        started = {each.pid: each.start_time_ticks for each in known if each.pid in wanted}
        return {pid: read_command_line(self._roots, pid, started[pid]) if pid in started else None for pid in pids}

    def set_log_level(self, level: str) -> None:
        """Change what is logged."""
        try:
            journal.set_level(level)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        self.report("log_level_changed", {"level": level})

    async def reload(self) -> None:
        """Put the configuration as it is now written into force."""
        await self._reload()

    def configuration(self) -> Mapping[str, Any]:
        """Return what is in force, and where each value was said."""
        return self._configuration()

    async def approve(self, decision_id: str, who: str) -> None:
        """Let a decision that waits be carried out."""
        await self._acting.approve(decision_id, who)

    async def veto(self, decision_id: str, who: str) -> None:
        """Call a decision off; what can be undone is undone."""
        await self._acting.veto(decision_id, who)

    async def thaw(self, decision_id: str, who: str) -> None:
        """Let what a decision has frozen run on."""
        await self._acting.thaw(decision_id, who)

    def actions(self) -> Mapping[str, Any]:
        """Return what is under way, what can be undone, and who else may kill."""
        return self._acting.describe()

    def subscribe(self, callback: Callable[[State], None]) -> Callable[[], None]:
        """Call back with each new state."""
        return self._manager.subscribe(callback)

    def follow(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back with each decision and event as it is recorded."""
        return self._manager.follow(callback)

    def audit(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write a line to the log."""
        self.report(event, fields)

    def report(self, event: str, fields: Mapping[str, Any]) -> None:
        """Log an event; what is a warning or graver is kept in the history too, and told to those who follow."""
        journal.report(event, fields)
        self.keep(event, fields)

    def keep(self, event: str, fields: Mapping[str, Any]) -> None:
        """Keep an event that was logged, if it is a warning or graver, and tell it to those who follow."""
        known = EVENTS.get(event)
        if known is None or known.priority > Priority.WARNING or event == "decision":
            return
        item = LoggedEvent(time.time(), event, int(known.priority), known.message(fields), dict(fields))
        self.history.record(item)
        self._manager.tell(item)
