"""Workloads as the daemon describes them. Read by hand, so that a training job need not import pydantic for it."""

import time
from dataclasses import dataclass, fields
from typing import Any

from resourced.client.errors import ApiError


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """The daemon asks a workload to give way.

    Attributes:
        decision: Id of the decision.
        rule: The rule that fires.
        level: How grave it is: soft or hard.
        resource: What is to be freed, such as memory.
        reason: Why, in one sentence.
        time: Wall time of the request, seconds since the epoch.
        deadline: Wall time at which the next step follows; it may move.
        grace_seconds: Time that was given from `time` on.
        steps: What follows if nothing happens, mildest first.
    """

    decision: str
    rule: str
    level: str
    resource: str
    reason: str
    time: float
    deadline: float
    grace_seconds: float
    steps: tuple[str, ...]

    @property
    def seconds_left(self) -> float:
        """Seconds until the next step follows; 0 once it is due."""
        return max(0.0, self.deadline - time.time())


@dataclass(frozen=True, slots=True)
class Workload:
    """A registered workload.

    Attributes:
        id: Its identity, for other questions and in $RESOURCED_WORKLOAD.
        name: What it calls itself.
        pid: The process with which the registration ends.
        start_time_ticks: When that started, clock ticks after boot.
        uid: Its owner.
        cgroup: Path of its control group; None outside of version 2.
        unit: Its unit, if it is in one.
        scope: process, or unit for all that is in its control group.
        priority: Higher gives way later.
        tell: How it is told: stream, signal, file or none.
        signal: Name of the signal, if it is told so.
        file: Path of the pipe, if it is told so.
        grace_seconds: Time that it wants after being told.
        restartable: Whether it can go on later from where it was.
        heartbeat_seconds: How often it must be heard; None if it lives as long as the process.
        registered: Wall time of its registration, seconds since the epoch.
        heard: Wall time of the last sign of life.
        state: registered, told or acknowledged.
        request: What is asked of it; None if nothing is.
    """

    id: str
    name: str
    pid: int
    start_time_ticks: int
    uid: int
    cgroup: str | None
    unit: str | None
    scope: str
    priority: float
    tell: str
    signal: str | None
    file: str | None
    grace_seconds: float
    restartable: bool
    heartbeat_seconds: float | None
    registered: float
    heard: float
    state: str
    request: PruneRequest | None


def workload(body: dict[str, Any]) -> Workload:
    """Return a workload from its document; keys that a newer daemon adds are passed over."""
    known = {each.name: body[each.name] for each in fields(Workload)}
    asked = known["request"]
    return Workload(**{**known, "request": None if asked is None else _request(asked)})


def workloads(body: Any) -> list[Workload]:
    """Return the answer of /workloads."""
    found = body.get("workloads") if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise ApiError(200, {"title": "Answer not understood", "detail": "there is no list of workloads in it"})
    return [workload(each) for each in found]


def _request(body: dict[str, Any]) -> PruneRequest:
    known = {each.name: body[each.name] for each in fields(PruneRequest)}
    return PruneRequest(**{**known, "steps": tuple(known["steps"])})
