"""A clock that is set by hand, samples made of plain numbers, and histories that tell what they report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resourced.decision import Candidate, Decision, Evidence, Level, LoggedEvent, Mode, Outcome, Scope, Step
from resourced.history import History, HistorySettings
from resourced.series import Series
from resourced.snapshot import Snapshot

START = 1_700_006_400.0
"""The beginning of a day, UTC."""

AVAILABLE = Series("system.memory.linux.available")
SWITCHES = Series("resourced.cpu.context_switches")
RECEIVED = Series("system.network.io", (("network.interface.name", "eth0"), ("network.io.direction", "receive")))
SENT = Series("system.network.io", (("network.interface.name", "eth0"), ("network.io.direction", "transmit")))
LAYOUT = (AVAILABLE, SWITCHES, RECEIVED, SENT)


class FakeClock:
    """Stands still until it is set."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.up = 1000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.up

    def boottime(self) -> float:
        return self.up


class Kit:
    """A history with everything around it; time passes when samples are appended.

    The history's own thread is not started: tests flush and maintain themselves.
    """

    def __init__(self, directory: Path | None, **settings: Any) -> None:
        self.directory = directory
        self.settings = HistorySettings(**settings)
        self.clock = FakeClock()
        self.reports: list[tuple[str, Mapping[str, Any]]] = []
        self.sequence = 0
        self.boot = "boot"
        self.history = self.made()

    def made(self) -> History:
        history = History(
            self.directory,
            settings=self.settings,
            clock=self.clock,
            report=lambda event, fields: self.reports.append((event, fields)),
        )
        history._keeper.open()
        return history

    def reopen(self) -> None:
        """End without any last word, as a kill does, and start anew."""
        self.crash()
        self.history = self.made()

    def crash(self) -> None:
        keeper = self.history._keeper
        keeper._forget_readers()
        keeper._drop()

    def add(
        self,
        values: Sequence[float | None] | float,
        *,
        time: float | None = None,
        layout: tuple[Series, ...] = LAYOUT,
        passed: float = 1.0,
        snapshot: Mapping[str, Any] | None = None,
    ) -> float:
        """Append one sample a second after the one before, or at a time; return its time."""
        self.clock.now = self.clock.now + passed if time is None else time
        self.clock.up += passed
        self.sequence += 1
        row = [values] * len(layout) if isinstance(values, (int, float)) else list(values)
        sample = Snapshot(self.sequence, self.clock.now, self.clock.up, passed, self.boot, **(snapshot or {}))
        self.history.append(sample, (layout, row))
        return self.clock.now

    def fill(self, seconds: int, *, flush_every: int = 10, maintain_every: int = 300) -> None:
        """Append as many samples, one a second: the number of the sample, flushed and packed as they would be live."""
        for n in range(1, seconds + 1):
            number = self.sequence + 1
            self.add([float(number), number * 10.0, number * 100.0, None])
            if n % flush_every == 0:
                self.history.flush()
            if n % maintain_every == 0:
                self.history.maintain()

    def prove(self) -> None:
        """Let an hour of running pass, after which the time that the clock tells is believed; nothing is appended."""
        self.history.maintain()
        self.clock.now += 3600
        self.clock.up += 3600
        self.history.maintain()

    @property
    def events(self) -> list[str]:
        """Names of what was reported."""
        return [event for event, _ in self.reports]

    def values(self, series: Series = AVAILABLE, **question: Any) -> dict[float, float]:
        """Return the known values of one series by time, over all time, or some days, unless said otherwise."""
        around = (
            {"start": START - 2 * 86400, "end": START + 5 * 86400} if "step" in question else {"start": 0.0, "end": 4e9}
        )
        asked = around | question
        table = self.history.query([str(series)], **asked)
        column = table.series.get(series, [])
        return {time: value for time, value in zip(table.times, column, strict=bool(column)) if value is not None}


_HELD: dict[str, Any] = {
    "held_seconds": 10.0,
    "period_seconds": 10.0,
    "samples": 10,
    "agreeing": 10,
    "share_required": 1.0,
}


def decision(number: int = 1, **given: Any) -> Decision:
    """Return a decision that names a process of a unit."""
    target = Candidate(
        Scope.PROCESS,
        "42:4200",
        "job",
        pid=42,
        start_time_ticks=4200,
        cgroup="/a.slice/job.service",
        unit="job.service",
        uid=1000,
        usage=1e9,
        expected_gain=9e8,
        score=0.5,
        terms={"share": 0.5},
    )
    usual: dict[str, Any] = {
        "id": f"{number:020x}",
        "time": START + number,
        "monotonic_seconds": 1000.0 + number,
        "sequence": number,
        "rule": "memory-low",
        "instance": "",
        "level": Level.HARD,
        "mode": Mode.OBSERVE,
        "held_seconds": 10.0,
        "evidence": (Evidence("memory", "below", 1e9, "By", 5e8, holds=True, **_HELD),),
        "machine": {"system.memory.linux.available": 5e8, "system.memory.limit": None},
        "candidates": (target,),
        "target": target,
        "steps": (Step.NOTIFY, Step.TERMINATE),
        "expected_gain": 9e8,
        "gain_unit": "By",
    }
    return Decision(**(usual | given))


def outcome(number: int = 1, **given: Any) -> Outcome:
    """Return an outcome of the decision of that number."""
    usual: dict[str, Any] = {
        "decision_id": f"{number:020x}",
        "time": START + number + 1,
        "step": Step.TERMINATE,
        "result": "done",
        "target": "job",
    }
    return Outcome(**(usual | given))


def event(number: int = 1, **given: Any) -> LoggedEvent:
    """Return an event."""
    usual: dict[str, Any] = {
        "time": START + number,
        "event": "collector_stale",
        "priority": 4,
        "message": "The collector is late.",
        "fields": {"number": number},
    }
    return LoggedEvent(**(usual | given))
