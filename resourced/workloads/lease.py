"""A lease: who is registered, how it is told, and what is asked of it."""

import re
import signal
from dataclasses import dataclass
from enum import StrEnum

from resourced.decision import Request

GRACE_SECONDS = 30.0
"""Time that a workload wants after being told, if it doesn't say."""
NAMED_SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT", "SIGTERM", "SIGCONT", "SIGURG", "SIGWINCH")
_REAL_TIME = re.compile(r"SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?")


class State(StrEnum):
    """Where a workload stands."""

    REGISTERED = "registered"
    """Nothing is asked of it."""
    TOLD = "told"
    """It was asked to give way."""
    ACKNOWLEDGED = "acknowledged"
    """It has said that it does."""


class Cover(StrEnum):
    """What a lease stands for."""

    PROCESS = "process"
    UNIT = "unit"
    """The whole service or scope in which the process lives."""


class Tell(StrEnum):
    """How a workload is told, beside the stream of events and its document."""

    STREAM = "stream"
    SIGNAL = "signal"
    FILE = "file"
    """A FIFO that becomes readable."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks for something, as the kernel vouches for it."""

    pid: int | None
    uid: int | None
    """None for an admin over TCP, who has none."""
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for when a workload registers."""

    name: str | None = None
    """The process's own name if None."""
    pid: int | None = None
    """The applicant's own process if None."""
    scope: Cover = Cover.PROCESS
    priority: float = 0.0
    tell: Tell = Tell.STREAM
    signal: str | None = None
    grace_seconds: float = GRACE_SECONDS
    restartable: bool = False
    heartbeat_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A registered workload."""

    id: str
    """Identity of the registration."""
    name: str
    """What a person calls it."""
    pid: int
    """Its process."""
    start_time_ticks: int
    """Start of the process, clock ticks after boot."""
    uid: int
    """Owner of the process."""
    cgroup: str | None
    """Path of its control group; of the whole unit, if it stands for that."""
    unit: str | None
    """systemd unit in which it lives."""
    scope: Cover
    """Whether it stands for its process or for its whole unit."""
    priority: float
    """Higher is more important and goes later."""
    tell: Tell
    """How it is told."""
    signal: str | None
    """The signal by which it is told; null if it isn't told by one."""
    file: str | None
    """The FIFO by which it is told; null if it isn't told by one."""
    grace_seconds: float
    """Time that it wants after being told."""
    restartable: bool
    """Whether nothing is lost if it is started again later."""
    heartbeat_seconds: float | None
    """How often it says that it lives; null if it lives as long as its process."""
    registered: float
    """Wall time at which it registered, seconds since the epoch."""
    heard: float
    """Wall time of its last sign of life."""
    state: State = State.REGISTERED
    """Where it stands."""
    request: Request | None = None
    """What is asked of it; null if nothing is."""


@dataclass(frozen=True, slots=True)
class LeaseChange:
    """Something that happened to a registered workload."""

    change: str
    """registered, told, acknowledged, released, lapsed or withdrawn."""
    reason: str | None
    """Why, if it needs a reason."""
    workload: Lease
    """How it stands now, or stood at its end."""


def signal_number(name: str) -> int | None:
    """Return the number of a signal by which a workload may be told; None if there is no such.

    Args:
        name: SIGUSR1, SIGHUP and the like, SIGRTMIN, SIGRTMIN+3, SIGRTMAX-1.
    """
    if name in NAMED_SIGNALS:
        return int(signal.Signals[name])
    found = _REAL_TIME.fullmatch(name)
    if found is None:
        return None
    which, sign, distance = found.groups()
    number = signal.Signals[f"SIGRT{which}"] + int(f"{sign or '+'}{distance or 0}")
    return int(number) if signal.SIGRTMIN <= number <= signal.SIGRTMAX else None
