"""Server-sent events: bytes in, events out."""

import codecs
import json
import re
from dataclasses import dataclass, field
from typing import Any

_REMEMBERED = 10_000
"""So many ids are remembered; far more than a server tells again after a break."""
_END_OF_LINE = re.compile(r"\r\n|\n|\r")
"""What ends a line; str.splitlines() would end it at characters, too, that may be in the name of a process."""


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


def _utf8() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8-sig")(errors="replace")


@dataclass(slots=True)
class EventParser:
    """Puts events together from the pieces of a stream, by the rules of the HTML standard.

    Only `retry` is passed over: it is meant for browsers, which go on for ever; a client's own pauses are shorter.

    What comes again with an id that came before is passed over: after a break the server can't know which of the newest
    events were read, and tells them once more.
    """

    last_id: str | None = None
    """Id of the newest event that had one."""
    _decoder: codecs.IncrementalDecoder = field(default_factory=_utf8)
    _rest: str = ""
    _after_return: bool = False
    _kind: str = ""
    _data: list[str] = field(default_factory=list)
    _id: str | None = None
    _heard: dict[str, None] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin with another stream, where the last one broke off: what was not complete there is dropped."""
        self._decoder.reset()
        self._rest, self._after_return = "", False
        self._kind, self._data, self._id = "", [], None

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """Take what has come, wherever it was cut, and return the events that it completes."""
        text = self._decoder.decode(piece)
        if not text:
            return []
        if self._after_return:  # its line has ended, and a line feed belongs to that end
            text = text.removeprefix("\n")
        self._after_return = text.endswith("\r")
        *lines, self._rest = _END_OF_LINE.split(self._rest + text)
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: str) -> ServerEvent | None:
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
                self._id = value
        return None

    def _complete(self) -> ServerEvent | None:
        kind, lines, identity = self._kind or "message", self._data, self._id
        self._kind, self._data, self._id = "", [], None
        if identity is not None:  # not before: what is cut off within an event has not been heard
            if identity in self._heard:
                return None
            self.last_id = identity
            if lines:
                self._remember(identity)
        if not lines:
            return None
        text = "\n".join(lines)
        try:
            data = json.loads(text)
        except ValueError:
            data = text
        return ServerEvent(kind, data, self.last_id)

    def _remember(self, identity: str) -> None:
        self._heard[identity] = None
        if len(self._heard) > _REMEMBERED:
            del self._heard[next(iter(self._heard))]
