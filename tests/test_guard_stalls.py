"""The kernel tells the guard of a stall: it looks at once and stays quick; what it can't hear any more, it says.

Urgent data on a connection makes the kernel report what a pressure trigger reports, and a reset what it reports when it
is taken back.
"""

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resourced.guard import GuardSettings
from tests.guarding import Machine
from tests.policy.fakes import GIB
from tests.running import PATIENCE_SECONDS

LONG_SECONDS = 600.0
RESET = struct.pack("ii", 1, 0)
"""To linger for no time: closing breaks the connection off."""


class Trigger:
    """What the guard polls, and the other end of it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._kernel = socket.create_connection(server.getsockname())
            self._polled, _ = server.accept()
        self.closed = False

    def fileno(self) -> int:
        return self._polled.fileno()

    def close(self) -> None:
        self.closed = True
        self._polled.close()

    def fire(self) -> None:
        self._kernel.send(b"!", socket.MSG_OOB)

    def calm(self) -> None:
        """Report no longer, as a pressure trigger does once it was polled."""
        self._polled.recv(1, socket.MSG_OOB)

    def end(self) -> None:
        self._polled.close()
        self._kernel.close()

    def take_back(self) -> None:
        self._kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._kernel.close()


@pytest.fixture
def trigger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trigger]:
    made = Trigger()
    monkeypatch.setattr("resourced.guard.PressureTrigger", lambda *_: made)
    yield made
    made.end()


@pytest.fixture
def machine(tmp_path: Path, trigger: Trigger) -> Iterator[Machine]:
    """A guard that has looked once and would not look again for ten minutes."""
    made = Machine(tmp_path)
    made.around.sample(0, 4 * GIB)
    made.guard.settings = GuardSettings(max_seconds=LONG_SECONDS, fill_bytes_per_second=1.0)
    made.guard.start()
    awaited(lambda: made.guard.looks == 1)
    yield made
    made.guard.stop()
    assert trigger.closed


def awaited(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_it_looks_at_once_when_the_kernel_tells_of_a_stall_and_stays_quick(machine: Machine, trigger: Trigger) -> None:
    trigger.fire()
    awaited(lambda: machine.guard.looks > 1)
    trigger.calm()
    poll = select.poll()
    poll.register(trigger.fileno(), select.POLLPRI)
    assert poll.poll(0) == []

    looks = machine.guard.looks
    awaited(lambda: machine.guard.looks > looks + 5)
    assert machine.around.told == []


def test_a_trigger_that_was_taken_back_is_closed_and_told_and_it_goes_on(machine: Machine, trigger: Trigger) -> None:
    trigger.take_back()
    awaited(lambda: machine.around.told != [])

    assert machine.around.told == [("guard_unavailable", "the kernel has taken the pressure trigger back")]
    assert trigger.closed
    awaited(lambda: machine.guard.looks == 2)
