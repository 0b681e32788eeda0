"""The journal's catalog of explanations (`journalctl -x`), written from the table of events.

`python -m resourced.journal.catalog > systemd/resourced.catalog` writes the file that is installed.
"""

import sys
import textwrap

from resourced.journal.event import Event
from resourced.journal.events import EVENTS

_HEAD = """\
# Explanations of the events of resourced for `journalctl -x`.
# Written by `python -m resourced.journal.catalog`; change the table of events instead of this file.
"""


def entry(event: Event) -> str:
    """Return the catalog's paragraph for one event."""
    return (
        f"-- {event.message_id}\n"
        f"Subject: {event.subject}\n"
        "Defined-By: resourced\n"
        "Documentation: man:resourced(8)\n"
        f"\n{_wrapped(event.explanation)}\n"
    )


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.fill(line, 79, break_long_words=False) for line in text.splitlines())


def catalog() -> str:
    """Return the whole catalog file."""
    return "\n".join([_HEAD, *(entry(event) for event in EVENTS.values())])


if __name__ == "__main__":
    sys.stdout.write(catalog())
