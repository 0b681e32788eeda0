"""The log: events with an identity, as native entries of systemd's journal, on a terminal, or as JSON lines."""

from resourced.journal.event import Event
from resourced.journal.events import EVENTS, step_event
from resourced.journal.notify import Notifier
from resourced.journal.record import LEVELS, Priority, Record, Sink
from resourced.journal.setup import (
    LogSettings,
    configure,
    get_level,
    get_logger,
    level_named,
    lines_dropped,
    report,
    set_level,
    shut_down,
)

__all__ = [
    "EVENTS",
    "LEVELS",
    "Event",
    "LogSettings",
    "Notifier",
    "Priority",
    "Record",
    "Sink",
    "configure",
    "get_level",
    "get_logger",
    "level_named",
    "lines_dropped",
    "report",
    "set_level",
    "shut_down",
    "step_event",
]
