"""Server-sent events: lines in, events out."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of the stream.

    Attributes:
        kind: What it is: sample, decision, outcome, event, …
        data: Its content, decoded from JSON; the text itself if it is not JSON.
        id: Position in the stream, for going on after a break; None if the server gave none.
    """

    kind: str
    data: Any
    id: str | None = None


@dataclass(slots=True)
class EventParser:
    """Puts events together from the lines of a stream, by the rules of the HTML standard."""

    last_id: str | None = None
    """Id of the newest event that had one."""
    retry_seconds: float | None = None
    """How long the server asks to wait before connecting again."""
    _kind: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> ServerEvent | None:
        """Take one line without its end, and return the event that it completes, if it does."""
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._kind = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self.last_id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_seconds = int(value) / 1000
        return None

    def _complete(self) -> ServerEvent | None:
        kind, lines = self._kind or "message", self._data
        self._kind, self._data = "", []
        if not lines:
            return None
        text = "\n".join(lines)
        try:
            data = json.loads(text)
        except ValueError:
            data = text
        return ServerEvent(kind, data, self.last_id)
