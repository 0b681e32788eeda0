"""A lease with what holds it: its process pinned, its FIFO open, what is asked of it by which decision."""

import os
from dataclasses import dataclass, field, replace
from typing import Any

from resourced.actions.handles import ProcessHandle
from resourced.decision import Request
from resourced.policy import Workload
from resourced.workloads.lease import Cover, Lease, State


@dataclass(slots=True)
class Held:
    """A lease with what holds it; changed under the registry's lock."""

    lease: Lease
    process: ProcessHandle
    fifo: int | None
    silent_since: float
    """CLOCK_MONOTONIC of the last sign of life."""
    requests: dict[str, Request] = field(default_factory=dict)
    """By decision: more than one resource may be short."""
    acknowledged: set[str] = field(default_factory=set)

    def stand(self) -> None:
        """Bring the lease in line with what is asked: what ends first is shown."""
        request = min(self.requests.values(), key=lambda each: each.deadline, default=None)
        state = State.REGISTERED
        if request is not None:
            state = State.ACKNOWLEDGED if request.decision in self.acknowledged else State.TOLD
        self.lease = replace(self.lease, state=state, request=request)

    def close(self) -> None:
        """Let go of its process and its FIFO."""
        self.process.close()
        if self.fifo is not None:
            os.close(self.fifo)
            self.fifo = None


def left_seconds(held: Held, now: float) -> float | None:
    """Return after how many seconds of silence a lease lapses; None if it doesn't."""
    every = held.lease.heartbeat_seconds
    return None if every is None else held.silent_since + every - now


def as_policy_sees(lease: Lease) -> Workload:
    """Return what the policy knows of a lease."""
    cgroup = lease.cgroup if lease.scope is Cover.UNIT else None
    return Workload(lease.id, lease.name, lease.pid, cgroup, lease.uid, lease.priority, lease.start_time_ticks)


def about(lease: Lease) -> dict[str, Any]:
    """Return the fields that the log tells of a lease."""
    told = {"workload": lease.name, "lease": lease.id, "pid": lease.pid, "uid": lease.uid, "unit": lease.unit}
    return {key: value for key, value in told.items() if value is not None}
