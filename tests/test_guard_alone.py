"""What holds everybody else up does not hold up the guard: it acts first, and others write down what it did.

The parts are those of the daemon, tied together as it ties them, on a /proc that shows one process of the test.
"""

import builtins
import os
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from resourced.acting import Acting
from resourced.actions import Settings
from resourced.clock import SystemClock
from resourced.collectors.memory import MemoryCollector
from resourced.collectors.processes import ProcessesCollector
from resourced.guard import GuardSettings
from resourced.history import History, HistorySettings
from resourced.history.store import FILE_NAME
from resourced.journal.journald import JournaldSink
from resourced.journal.record import Priority, Record
from resourced.manager import ResourceManager
from resourced.monitor import ResourceMonitor
from resourced.snapshot.memory import derive_memory
from resourced.snapshot.processes import derive_processes
from resourced.sources import Source
from tests.actions.fakes import FakeWorkloads, program
from tests.guarding import CRITICAL, HUNGRY, Machine
from tests.policy.fakes import MIB, rules
from tests.running import PATIENCE_SECONDS
from tests.test_monitor import Reader

Report = Callable[[str, Any], None]


class Daemon:
    """Manager, history and those who act, without sockets; memory is plenty until a test says otherwise."""

    def __init__(self, directory: Path, report: Report, *more: Source) -> None:
        (directory / "proc").mkdir()
        self.machine = Machine(directory / "proc")
        roots = self.machine.roots
        self.monitor = ResourceMonitor(
            [
                Source("memory", MemoryCollector(roots), derive_memory, deadline_seconds=30.0),
                Source("processes", ProcessesCollector(roots), derive_processes, deadline_seconds=30.0),
                *more,
            ],
            boot_id="b",
        )
        self.events: list[str] = []
        self.told = threading.Event()

        def telling(event: str, fields: Any) -> None:
            report(event, fields)
            self.events.append(event)
            if event == "guard_triggered":
                self.told.set()

        self.history = History(
            directory / "state", settings=HistorySettings(flush_seconds=0.05), clock=SystemClock(), report=report
        )
        self.history.open()
        self.manager = ResourceManager(
            self.monitor, rules(CRITICAL), history=self.history, roots=roots, report=lambda *_: None
        )
        self.acting = Acting(
            self.manager,
            self.history,
            report=telling,
            settings=Settings(),
            workloads=FakeWorkloads(),
            guard=GuardSettings(max_seconds=0.05),
            ledger_path=directory / "actions.json",
            roots=roots,
        )

    def close(self) -> None:
        self.acting.stop(PATIENCE_SECONDS)
        self.monitor.close(PATIENCE_SECONDS)
        self.history.close()


@contextmanager
def daemon(directory: Path, report: Report = lambda *_: None, *more: Source) -> Iterator[Daemon]:
    made = Daemon(directory, report, *more)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def guarded(made: Daemon) -> Iterator[None]:
    """Have a process watched that holds much; when the block ends, memory is short and it must be asked to end."""
    with program(HUNGRY) as hungry:
        made.machine.show(hungry.pid)
        made.manager.tick()
        made.acting.start()
        yield
        made.machine.memory(500 * MIB)
        assert hungry.wait(PATIENCE_SECONDS) == -signal.SIGTERM


def test_it_acts_while_the_log_hangs_and_tells_of_it_afterwards(tmp_path: Path) -> None:
    hangs, released = threading.Event(), threading.Event()

    def report(event: str, _: Any) -> None:
        if event == "acting_failed":
            hangs.set()
            released.wait(PATIENCE_SECONDS)

    with daemon(tmp_path, report) as made:
        with guarded(made):
            made.acting.executor.post(lambda _: made.acting.world.report("acting_failed", {}))
            assert hangs.wait(PATIENCE_SECONDS)
        assert "guard_triggered" not in made.events
        released.set()
        assert made.told.wait(PATIENCE_SECONDS)


def test_it_acts_while_journald_is_frozen(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as frozen:
        frozen.bind(str(tmp_path / "journal"))  # and never reads
        sink = JournaldSink("resourced", tmp_path / "journal")
        entry = Record(1.0, Priority.INFO, "event", "x" * 1000, "test")
        while not sink.dropped:
            sink.write(entry)
        with daemon(tmp_path, lambda *_: sink.write(entry)) as made:
            before = sink.dropped
            with guarded(made):
                pass
            assert made.told.wait(PATIENCE_SECONDS)
            assert sink.dropped > before
        sink.close()


def test_it_acts_while_the_store_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled, released = threading.Event(), threading.Event()
    with daemon(tmp_path) as made:
        store = made.history._keeper._store
        assert store is not None
        write = type(store).write

        def writing(*arguments: Any, **more: Any) -> Any:
            stalled.set()
            released.wait(PATIENCE_SECONDS)
            return write(*arguments, **more)

        monkeypatch.setattr(type(store), "write", writing)
        with guarded(made):
            assert stalled.wait(PATIENCE_SECONDS)
        assert made.told.wait(PATIENCE_SECONDS), "to be told of what it did takes no disk either"
        assert not released.is_set()
        released.set()
    with sqlite3.connect(tmp_path / "state" / FILE_NAME) as connection:
        assert connection.execute("select count(*) from decision").fetchone() == (1,)


def test_it_acts_while_a_collector_hangs_and_the_sample_with_it(tmp_path: Path) -> None:
    entered, released, calls = threading.Event(), threading.Event(), iter(range(2))

    def hang() -> int:
        if next(calls, 1):
            entered.set()
            released.wait(PATIENCE_SECONDS)
        return 1

    stuck = Source("gpus", Reader("gpus", hang), lambda *_: None, PATIENCE_SECONDS, interval_seconds=0.0)
    with daemon(tmp_path, lambda *_: None, stuck) as made:
        ticking = threading.Thread(target=made.manager.tick)
        try:
            with guarded(made):
                ticking.start()
                assert entered.wait(PATIENCE_SECONDS)
            assert ticking.is_alive()
        finally:
            released.set()
            ticking.join(PATIENCE_SECONDS)


def test_it_acts_while_answers_are_computed(tmp_path: Path) -> None:
    ended = threading.Event()

    def compute() -> None:
        while not ended.is_set():
            sorted(str(number) for number in range(1000))

    computing = [threading.Thread(target=compute) for _ in range(8)]
    with daemon(tmp_path) as made:
        try:
            with guarded(made):
                for each in computing:
                    each.start()
        finally:
            ended.set()
            for each in computing:
                each.join()


AUDITED: list[tuple[int, str, tuple[Any, ...]]] = []
LISTENING = threading.Event()


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Remember what is opened, sent and begun; a hook can't be taken away again, so it is told when to listen."""
    if LISTENING.is_set():
        AUDITED.append((threading.get_ident(), event, arguments))


def test_on_its_way_nothing_is_imported_written_or_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.addaudithook(audit)
    imported: list[str] = []
    usual, own = builtins.__import__, threading.get_ident()

    def importing(name: str, *arguments: Any, **more: Any) -> Any:
        if LISTENING.is_set() and threading.get_ident() == own:
            imported.append(name)
        return usual(name, *arguments, **more)

    with daemon(tmp_path) as made, program(HUNGRY) as hungry:
        made.machine.show(hungry.pid)
        made.manager.tick()
        guard = made.acting.guard
        assert guard is not None
        guard.look(made.manager.state.snapshot.monotonic_seconds)  # type: ignore[union-attr]
        made.machine.memory(500 * MIB)
        monkeypatch.setattr(builtins, "__import__", importing)
        LISTENING.set()
        guard.look(SystemClock().monotonic())
        LISTENING.clear()
        assert hungry.wait(PATIENCE_SECONDS) == -signal.SIGTERM

    mine = [(event, arguments) for ident, event, arguments in AUDITED if ident == own]
    assert imported == []
    assert {event for event, _ in mine if event.startswith(("import", "socket", "sqlite3", "subprocess"))} == set()
    written = [each for each in mine if each[0] == "open" and each[1][2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)]
    assert written == []
    assert any(event == "open" for event, _ in mine), "what is looked for would be seen"
