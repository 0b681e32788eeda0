"""What an event is: one kind of line in the log."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resourced.journal.plain import to_text
from resourced.journal.record import Priority


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of line.

    Attributes:
        name: How code and queries call it (RESOURCED_EVENT).
        message_id: MESSAGE_ID, 32 hexadecimal digits.
        priority: How grave it is.
        text: The sentence, with the names of fields in braces.
        subject: Headline of the explanation in the journal's catalog.
        explanation: The explanation; @FIELD@ stands for a field of the entry.
        key: Fields that tell one instance from another when repetition is limited.
        limited: Whether repetition is limited at all.
    """

    name: str
    message_id: str
    priority: Priority
    text: str
    subject: str
    explanation: str
    key: tuple[str, ...] = ()
    limited: bool = True

    @property
    def field_names(self) -> tuple[str, ...]:
        """Return the names of the fields that the sentence needs."""
        return tuple(name for _, name, _, _ in string.Formatter().parse(self.text) if name)

    def message(self, fields: Mapping[str, Any]) -> str:
        """Return the sentence; a field that is missing is shown as a question mark."""
        shown = {name: to_text(fields.get(name)) or "?" for name in self.field_names}
        return self.text.format_map(shown)
