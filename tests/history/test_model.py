"""The history against a plain list: whatever is appended, flushed, packed, dropped, killed and asked."""

import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resourced.series import Series
from tests.history.fakes import AVAILABLE, RECEIVED, SENT, START, SWITCHES, Kit, decision

LAYOUTS: tuple[tuple[Series, ...], ...] = (
    (AVAILABLE, SWITCHES),
    (AVAILABLE, SWITCHES, RECEIVED, SENT),
    (RECEIVED, AVAILABLE),
)
VALUES = st.one_of(
    st.none(),
    st.integers(-1000, 10**12).map(float),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12),
    st.sampled_from([0.0, -0.0, 0.1, 1e300, 5e-324]),
)


class HistoryMachine(RuleBasedStateMachine):
    """Every tick is a time and values; `flushed` of them are on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.kit = Kit(self.directory)
        self.ticks: list[tuple[float, dict[Series, float]]] = []
        self.flushed = 0
        self.decided: list[str] = []
        self.decisions_flushed = 0

    def teardown(self) -> None:
        self.kit.crash()
        shutil.rmtree(self.directory)

    @initialize(at=st.floats(0, 86400 * 3))
    def begin(self, at: float) -> None:
        self.kit.clock.now = START + at

    @rule(
        rows=st.lists(st.tuples(st.sampled_from(LAYOUTS), st.lists(VALUES, min_size=4, max_size=4)), max_size=6),
        passed=st.sampled_from([0.5, 1.0, 1.0, 7.0]),
    )
    def append(self, rows: Sequence[tuple[tuple[Series, ...], list[float | None]]], passed: float) -> None:
        for layout, values in rows:
            row = values[: len(layout)]
            time = self.kit.add(row, layout=layout, passed=passed)
            self.ticks.append((time, {s: v for s, v in zip(layout, row, strict=True) if v is not None}))

    @rule(seconds=st.sampled_from([-7200.0, -3600.0, -5.0, 3600.0, 1800.0, 86400.0, 100_000.0, 3e8]))
    def clock_jumps(self, seconds: float) -> None:
        self.kit.clock.now += seconds

    @rule(boot=st.sampled_from(["boot", "other", ""]))
    def machine_restarts(self, boot: str) -> None:
        self.kit.boot = boot

    @rule()
    def decide(self) -> None:
        made = decision(len(self.decided) + 1)
        self.kit.history.record(made)
        self.decided.append(made.id)

    @rule()
    def flush(self) -> None:
        assert self.kit.history.flush()
        self.flushed, self.decisions_flushed = len(self.ticks), len(self.decided)

    @rule()
    def step(self) -> None:
        self.kit.history._keeper.step()

    @rule()
    def maintain(self) -> None:
        self.kit.history.maintain()

    @rule()
    def crash(self) -> None:
        self.kit.reopen()
        self.ticks = self.ticks[: self.flushed]
        self.decided = self.decided[: self.decisions_flushed]

    def expected(self, series: Series) -> list[tuple[float, float]]:
        known = [(time, values[series]) for time, values in self.ticks if series in values]
        return sorted(known, key=lambda pair: pair[0])

    @invariant()
    def every_tick_is_there_once(self) -> None:
        table = self.kit.history.query(["memory.available", "cpu.context_switches"], start=0, end=4e9)
        assert list(table.times) == sorted(time for time, _ in self.ticks)
        for series in (AVAILABLE, SWITCHES):
            column = table.series.get(series, [None] * len(table.times))
            found = [(t, v) for t, v in zip(table.times, column, strict=True) if v is not None]
            assert [(t, math.copysign(1, v), v) for t, v in found] == [
                (t, math.copysign(1, v), v) for t, v in self.expected(series)
            ]

    @precondition(lambda self: self.ticks)
    @rule(
        step=st.sampled_from([1.0, 7.0, 60.0, 300.0, 3600.0]),
        series=st.sampled_from([AVAILABLE, RECEIVED]),
        aggregate=st.sampled_from(["min", "max", "mean", "count", "sum"]),
    )
    def ask(self, step: float, series: Series, aggregate: str) -> None:
        times = [time for time, _ in self.ticks]
        start = max(min(times), max(times) - 5000 * step)
        cells: dict[float, list[float]] = {}
        first, last = math.floor(start / step), max(times)
        for time, value in self.expected(series):
            if time // step >= first:
                cells.setdefault(time // step * step, []).append(value)
        found = self.kit.values(series, start=start, end=last + step, step=step, aggregate=aggregate)
        assert found.keys() == cells.keys()
        for cell, values in cells.items():
            size = max(abs(value) for value in values)
            wanted = {
                "min": min(values),
                "max": max(values),
                "count": len(values),
                "sum": math.fsum(values),
                "mean": math.fsum(values) / len(values),
            }[aggregate]
            exact = aggregate in ("min", "max", "count")
            near = pytest.approx(wanted, rel=1e-6, abs=size * len(values) * 1e-6)
            assert found[cell] == (wanted if exact else near)

    @invariant()
    def every_decision_is_there_once(self) -> None:
        found = [each.id for each in self.kit.history.decisions(limit=1000)]
        assert found == sorted(self.decided, reverse=True)

    @invariant()
    def nothing_was_reported(self) -> None:
        assert self.kit.reports == []


HistoryMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistory = HistoryMachine.TestCase
