"""The daemon as the API sees it: what may take long holds up neither the event loop nor each other."""

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resourced.collectors.base import Roots
from resourced.collectors.procstat import parse_stat
from resourced.history import History, HistoryStats
from resourced.manager import State
from resourced.replaying import Nobody, Onlooker
from resourced.service import DaemonService
from resourced.snapshot.processes import Processes
from tests.api.fakes import make_snapshot, process
from tests.history.fakes import FakeClock


class Ticks:
    """A state that stays."""

    interval_seconds = 1.0

    def __init__(self, state: State | None = None) -> None:
        self.state = state

    async def fresh(self) -> State:
        raise NotImplementedError

    def compared(self) -> None:
        return None

    def subscribe(self, callback: Any) -> Any:
        return lambda: None

    def follow(self, callback: Any) -> Any:
        return lambda: None

    def tell(self, item: Any) -> None:
        pass


class StuckHistory(History):
    """A history in memory that is on a disk which doesn't answer."""

    def __init__(self) -> None:
        super().__init__(None, clock=FakeClock(), report=lambda event, fields: None)
        self.answers = threading.Event()
        self.threads: list[int] = []

    def stats(self) -> HistoryStats:
        self.threads.append(threading.get_ident())
        assert self.answers.wait(50)
        return super().stats()


async def nothing() -> None:
    pass


def own_start() -> int:
    return parse_stat(Path("/proc/self/stat").read_bytes(), "stat").start_time_ticks


def made(history: History, state: State | None = None, roots: Roots | None = None) -> DaemonService:
    return DaemonService(
        Ticks(state),
        history,
        acting=Onlooker(),
        workloads=Nobody(),
        reload=nothing,
        describe=dict,
        configuration=dict,
        roots=roots,
    )


async def test_how_it_does_is_told_while_the_disk_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resourced.service._STATS_PATIENCE_SECONDS", 0.05)
    history = StuckHistory()
    service = made(history)

    told = await asyncio.gather(*(service.status() for _ in range(10)))
    assert [("history" in each, each["pid"]) for each in told] == [(False, os.getpid())] * 10
    assert len(history.threads) == 1
    assert threading.get_ident() not in history.threads

    history.answers.set()
    while "history" not in await service.status():
        pass
    assert (await service.status())["history"]["disk_bytes"] == 0
    assert len(history.threads) == 1


async def test_command_lines_are_of_the_processes_of_the_newest_sample() -> None:
    items = (process(os.getpid(), start_time_ticks=own_start()), process(1, start_time_ticks=12345))
    processes = Processes(items=items, states={}, threads=1, kernel_threads=0, unreadable=0)
    service = made(StuckHistory(), State(replace(make_snapshot(), processes=processes), None, 0.0, 0.0))

    lines = await service.command_lines([os.getpid(), 1, 999_999_999])

    assert "python" in (lines[os.getpid()] or "")
    assert (lines[1], lines[999_999_999]) == (None, None)
