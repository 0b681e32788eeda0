"""The socket for memory pressure: who waits is woken, and nobody is waited for."""

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from resourced.collectors.base import Roots
from resourced.workloads import PressureSocket, Watch
from resourced.workloads.pressure import Nudge
from tests.workloads.fakes import Kit, readable


class Tended:
    """The socket, tended by the test itself."""

    def __init__(self, path: Path, roots: Roots) -> None:
        self.path = path
        self.woken = 0
        self.socket = PressureSocket(path, roots, self._wake)
        self.socket.open()
        self.now = time.monotonic()
        self.clients: list[socket.socket] = []

    def _wake(self) -> None:
        self.woken += 1

    def tend(self) -> None:
        self.socket.tend([each for each in self.socket.descriptors() if readable(each)], self.now)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.path))
        self.clients.append(client)
        self.tend()
        return client

    def nudge(self, nudge: Nudge) -> None:
        self.socket.nudge(nudge)
        self.tend()


@pytest.fixture
def tended(tmp_path: Path) -> Iterator[Tended]:
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "cgroup").write_text("0::/system.slice/train.service/payload\n")
    made = Tended(tmp_path / "pressure.sock", Roots(proc=tmp_path))
    yield made
    for client in made.clients:
        client.close()
    made.socket.close()


RULE = Nudge("rule")


def test_who_waits_is_woken_and_what_it_writes_is_dropped(tended: Tended) -> None:
    client = tended.connect()
    client.sendall(b"some 200000 2000000\0")
    tended.tend()
    assert not readable(client.fileno())

    tended.nudge(RULE)

    assert tended.woken == 1
    assert client.recv(64)
    assert not readable(client.fileno())


def test_nobody_is_woken_more_than_once_a_second_for_one_cause(tended: Tended) -> None:
    client = tended.connect()
    for _ in range(5):
        tended.nudge(RULE)
    assert len(client.recv(64)) == 1
    tended.nudge(Nudge("decision", frozenset({os.getpid()})))
    assert len(client.recv(64)) == 1

    tended.now += 1.0
    tended.nudge(RULE)
    assert len(client.recv(64)) == 1


@pytest.mark.parametrize(
    ("nudge", "meant"),
    [
        (Nudge("decision", frozenset({os.getpid()})), True),
        (Nudge("decision", frozenset({1})), False),
        (Nudge("decision", frozenset(), "/system.slice/train.service"), True),
        (Nudge("decision", frozenset(), "/system.slice/train"), False),
        (Nudge("decision", frozenset(), "/"), False),
    ],
)
def test_a_decision_wakes_those_in_its_target(tended: Tended, nudge: Nudge, *, meant: bool) -> None:
    client = tended.connect()
    tended.nudge(nudge)
    assert readable(client.fileno()) is meant


def test_who_never_reads_is_not_waited_for(tended: Tended) -> None:
    slow, other = tended.connect(), tended.connect()
    for _ in range(5000):
        tended.now += 1.0
        tended.nudge(RULE)
    assert readable(slow.fileno())
    assert tended.socket.connections == 2
    assert other.recv(1)


def test_who_leaves_is_forgotten(tended: Tended) -> None:
    tended.connect().close()
    staying = tended.connect()
    tended.tend()
    assert tended.socket.connections == 1

    staying.close()
    tended.nudge(RULE)  # sent before it is seen to have gone
    tended.tend()
    assert tended.socket.connections == 0


def test_one_user_has_only_so_many_connections(tended: Tended) -> None:
    clients = [tended.connect() for _ in range(70)]
    assert tended.socket.connections == 64
    assert clients[-1].recv(1) == b""


@contextlib.contextmanager
def without_descriptors() -> Iterator[None]:
    """Let this process open nothing more."""
    free = os.dup(0)
    os.close(free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_who_can_not_be_let_in_is_let_in_a_second_later(tended: Tended) -> None:
    client = socket.socket(socket.AF_UNIX)
    tended.clients.append(client)
    with without_descriptors():
        client.connect(str(tended.path))
        tended.tend()
        assert tended.socket.connections == 0
        assert list(tended.socket.descriptors()) == []
        assert tended.socket.tend([], tended.now + 0.25) == pytest.approx(0.75)

    tended.now += 1.0
    tended.tend()
    tended.tend()
    assert tended.socket.connections == 1
    tended.nudge(RULE)
    assert client.recv(64)


def test_the_thread_rests_while_nobody_can_be_let_in(tmp_path: Path) -> None:
    kit = Kit(None)
    watch = Watch(kit.registry, pytest.fail)
    pressure = Counted(tmp_path / "pressure.sock", Roots(), watch.wake)
    pressure.open()
    with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as other:
        with without_descriptors():
            watch.start(pressure)
            client.connect(str(tmp_path / "pressure.sock"))
            assert pressure.refused.wait(30)
        other.connect(str(tmp_path / "pressure.sock"))
        assert pressure.let_in.wait(30)
        watch.stop()

    assert pressure.looks < 20


class Counted(PressureSocket):
    """Tells what becomes of those who connect, and how often it is tended."""

    def __init__(self, path: Path, roots: Roots, wake: Callable[[], None]) -> None:
        super().__init__(path, roots, wake)
        self.looks = 0
        self.refused, self.let_in = threading.Event(), threading.Event()

    def tend(self, ready: Iterable[int], now: float) -> float | None:
        self.looks += 1
        found = super().tend(ready, now)
        if found is not None:
            self.refused.set()
        if self.connections == 2:
            self.let_in.set()
        return found


def test_the_socket_of_a_daemon_that_was_killed_is_replaced_and_a_file_is_not(tended: Tended, tmp_path: Path) -> None:
    again = PressureSocket(tended.path, Roots(proc=tmp_path), lambda: None)
    again.open()
    again.close()
    assert not tended.path.exists()

    (tmp_path / "file").write_text("precious")
    with pytest.raises(OSError, match="in use"):
        PressureSocket(tmp_path / "file", Roots(), lambda: None).open()
    assert (tmp_path / "file").read_text() == "precious"


def test_without_a_place_it_does_nothing() -> None:
    nowhere = PressureSocket(None, Roots(), lambda: None)
    nowhere.open()
    nowhere.nudge(RULE)
    nowhere.tend(nowhere.descriptors(), 0.0)
    nowhere.close()
