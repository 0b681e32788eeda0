"""Lines for people on a terminal, and JSON lines for everything else that isn't the journal."""

import os
import select
import threading
from datetime import UTC, datetime
from typing import TextIO

from resourced.journal.events import EVENTS
from resourced.journal.plain import to_json, to_text
from resourced.journal.record import Priority, Record

_COLOURS = {
    Priority.CRITICAL: "1;31",
    Priority.ERROR: "31",
    Priority.WARNING: "33",
    Priority.NOTICE: "32",
    Priority.INFO: "36",
    Priority.DEBUG: "2",
}
_RESERVED = frozenset({"time", "level", "priority", "event", "message", "logger", "message_id", "code", "exception"})
_AT_ONCE = select.PIPE_BUF
"""A pipe that takes anything takes as much without waiting."""
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
"""What could move the cursor or change colours of a terminal is shown, not sent."""


class _StreamSink:
    """Writes lines to a stream; one that is closed or full, or that nobody reads, loses them.

    Whoever logs may be the one that must act, so none is kept waiting by a pipe or a terminal that stands still.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._cut = False
        self.dropped = 0
        """Lines lost since the start."""

    def write(self, record: Record) -> None:
        line = self.render(record).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            try:
                told = self._send(line)
            except (OSError, ValueError):
                told = False
            self.dropped += not told

    def _send(self, line: bytes) -> bool:
        """Write a line; return whether it was written as a whole."""
        try:
            descriptor = self._stream.fileno()
        except OSError:  # a stream in memory
            self._stream.write(line.decode())
            return True
        if self._cut:  # a line that was broken off ends here
            line = b"\n" + line
        for at in range(0, len(line), _AT_ONCE):
            if not _takes(descriptor):
                self._cut |= at > 0
                return False
            os.write(descriptor, line[at : at + _AT_ONCE])
        self._cut = False
        return True

    def close(self) -> None:
        """Do nothing: the stream belongs to the process."""

    def render(self, record: Record) -> str:
        """Return the line without its end."""
        raise NotImplementedError


class JsonSink(_StreamSink):
    """One JSON object a line: time, level, event, message, then the event's own fields."""

    def render(self, record: Record) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.time, UTC).isoformat(timespec="milliseconds"),
            "level": record.priority.level,
            "priority": int(record.priority),
            "logger": record.logger,
            "event": record.event,
            "message": record.message,
        }
        if record.message_id:
            line["message_id"] = record.message_id
        for name, value in record.fields.items():
            line[f"field_{name}" if name in _RESERVED else name] = value
        if record.caller:
            line["code"] = f"{record.caller.file}:{record.caller.line}"
        if record.exception:
            line["exception"] = record.exception
        return to_json(line)


class ConsoleSink(_StreamSink):
    """Local time, level, message, then the fields that the message does not contain.

    Args:
        stream: In general standard error.
        colour: Whether to colour it.
    """

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        super().__init__(stream)
        self._colour = colour

    def render(self, record: Record) -> str:
        when = datetime.fromtimestamp(record.time).astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = self._paint(_COLOURS[record.priority], f"{record.priority.level:<8}")
        rest = "".join(f" {name}={_quoted(to_text(value))}" for name, value in self._others(record))
        line = f"{self._paint('2', when)} {level} {_safe(record.message)}{self._paint('2', rest)}"
        return line if record.exception is None else f"{line}\n{_safe(record.exception)}"

    def _others(self, record: Record) -> list[tuple[str, object]]:
        event = EVENTS.get(record.event)
        told = event.field_names if event else ()
        return [(name, value) for name, value in record.fields.items() if name not in told and value is not None]

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text


def _takes(descriptor: int) -> bool:
    """Return whether a write would not wait."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(0))


def _safe(text: str) -> str:
    return text.translate(_CONTROL)


def _quoted(text: str) -> str:
    safe = _safe(text).replace("\n", "\\n")
    return f'"{safe}"' if " " in safe or not safe else safe
