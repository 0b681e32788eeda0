"""One line of the log before it takes the form of its destination."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol


class Priority(IntEnum):
    """syslog's priorities, as far as resourced uses them; the smaller the graver."""

    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7

    @property
    def level(self) -> str:
        """Return the name of the level as it is configured and shown."""
        return self.name.lower()


LEVELS: dict[str, Priority] = {priority.level: priority for priority in Priority}
"""Levels by the names that people write."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The place in the code that logged."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the log.

    Attributes:
        time: Wall time, seconds since the epoch.
        priority: How grave it is.
        event: Name of the event, as in the table of events, or the text that the caller gave.
        message: The sentence for a person.
        logger: Name of the logger, in general the module's.
        message_id: The event's 128-bit identity, 32 hexadecimal digits; None for events outside the table.
        fields: What the event tells, by name.
        caller: Where it was logged, if that is known.
        exception: Traceback as text.
    """

    time: float
    priority: Priority
    event: str
    message: str
    logger: str
    message_id: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    caller: Caller | None = None
    exception: str | None = None


class Sink(Protocol):
    """Where lines go. `write` never blocks for long and never raises."""

    def write(self, record: Record) -> None:
        """Deliver one line, or count it as lost."""
        ...

    def close(self) -> None:
        """Let go of what is held open."""
        ...
