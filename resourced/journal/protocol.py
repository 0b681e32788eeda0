"""The native protocol of systemd-journald: one datagram an entry, a field a line, binary length for awkward values."""

import re
from collections.abc import Iterable

from resourced.journal.plain import to_text
from resourced.journal.record import Record

_NOT_ALLOWED = re.compile(r"[^A-Z0-9_]")
_LONGEST_NAME = 64
"""journald drops fields with longer names."""

_OBJECTS = {"pid": "OBJECT_PID", "unit": "OBJECT_SYSTEMD_UNIT"}
"""Fields that journald knows under a name of its own: what the entry is about, so that journalctl finds it there."""


def field_name(name: str) -> str:
    """Return the journal's field for a name of ours: RESOURCED_ and capitals."""
    return ("RESOURCED_" + _NOT_ALLOWED.sub("_", name.upper()))[:_LONGEST_NAME]


def fields_of(record: Record, identifier: str) -> list[tuple[str, str]]:
    """Return the journal's fields for a line, in the order in which they are sent.

    Args:
        record: The line.
        identifier: SYSLOG_IDENTIFIER.
    """
    found = [
        ("MESSAGE", record.message if record.exception is None else f"{record.message}\n{record.exception}"),
        ("PRIORITY", str(int(record.priority))),
        ("SYSLOG_IDENTIFIER", identifier),
        ("RESOURCED_EVENT", record.event),
        ("RESOURCED_LOGGER", record.logger),
    ]
    if record.message_id:
        found.append(("MESSAGE_ID", record.message_id))
    if record.caller:
        found += [
            ("CODE_FILE", record.caller.file),
            ("CODE_LINE", str(record.caller.line)),
            ("CODE_FUNC", record.caller.function),
        ]
    for name, value in record.fields.items():
        text = to_text(value)
        if text:
            found.append((field_name(name), text))
            if name in _OBJECTS:
                found.append((_OBJECTS[name], text))
    return found


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the datagram for an entry.

    A value with a line break is sent as name, line feed, its length in 64 bits little-endian, value, line feed; any
    other as name, equals sign, value, line feed.
    """
    parts: list[bytes] = []
    for name, text in fields:
        value = text.encode("utf-8", "backslashreplace")
        if b"\n" in value:
            parts += (name.encode(), b"\n", len(value).to_bytes(8, "little"), value, b"\n")
        else:
            parts += (name.encode(), b"=", value, b"\n")
    return b"".join(parts)
