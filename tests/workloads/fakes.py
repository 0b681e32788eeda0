"""A registry in a directory of a test, and what it says."""

import json
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from resourced.collectors.base import Roots
from resourced.decision import Level, Request, Step
from resourced.workloads import Applicant, Lease, LeaseChange, Registry, Wish
from tests.test_monitor import ManualClock

if TYPE_CHECKING:
    from collections.abc import Mapping

ME = Applicant(os.getpid(), os.getuid(), admin=True)
STRANGER_UID = 65534
OTHER = Applicant(None, STRANGER_UID)
root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become somebody else")


class Kit:
    """A registry, and all that it told."""

    def __init__(self, directory: Path | None, roots: Roots | None = None, boot_id: str = "boot") -> None:
        self.clock = ManualClock()
        self.changes: list[LeaseChange] = []
        self.reports: list[tuple[str, Mapping[str, Any]]] = []
        self.registry = Registry(
            directory,
            boot_id,
            report=lambda event, fields: self.reports.append((event, fields)),
            roots=roots,
            clock=self.clock,
        )
        self.registry.load(self.changes.append)

    def register(self, name: str = "job", applicant: Applicant = ME, **more: Any) -> Lease:
        return self.registry.register(Wish(name, **more), applicant)

    def now(self, lease: Lease) -> Lease:
        """Return a lease as it stands."""
        return self.registry.leases[lease.id]

    def told(self) -> list[str]:
        return [each.change for each in self.changes]


def request(decision: str = "d1", deadline: float = 1030.0) -> Request:
    """Return a request of a decision."""
    return Request(decision, "low", Level.SOFT, "memory", "memory is low", 1000.0, deadline, 30.0, (Step.TERMINATE,))


def readable(descriptor: int) -> bool:
    """Return whether there is something to read now."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def lines(descriptor: int) -> list[dict[str, object]]:
    """Return what waits in a FIFO, a line each."""
    return [json.loads(line) for line in os.read(descriptor, 65536).splitlines()]
