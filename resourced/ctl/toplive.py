"""`resourcectl top` on a terminal: drawn anew every few seconds, and changed by keys."""

import os
import select
import sys
import termios
import textwrap
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console
from rich.live import Live as Display
from rich.text import Text

from resourced.client import Client
from resourced.ctl import screen
from resourced.ctl.top import head, nobody, read
from resourced.ctl.toprows import Selection, rows_of, table

_BY = {"p": "process", "u": "unit", "o": "user", "g": "gpu"}
_SORT = {"c": "cpu", "m": "memory", "i": "io", "s": "swap", "n": "name"}
_HELP = "q quit  by: p process u unit o user g gpu  sort: c m i s n  t tree"


class Live:
    """A live table.

    Args:
        client: Asks the daemon.
        chosen: What is shown at first.
        interval: Seconds between two looks.
    """

    def __init__(self, client: Client, chosen: Selection, interval: float) -> None:
        self._client = client
        self._chosen = chosen
        self._interval = interval
        self._console = Console(no_color=not screen.colour_wanted(), highlight=False)

    def run(self) -> None:
        """Draw until the user has enough."""
        with _keys() as keyboard, Display(console=self._console, screen=True, auto_refresh=False) as display:
            while True:
                display.update(self._draw(), refresh=True)
                key = _pressed(keyboard, self._interval)
                if key in {"q", "\x1b"}:
                    return
                self._obey(key)

    def _obey(self, key: str) -> None:
        if key in _BY:
            self._chosen = replace(self._chosen, by=_BY[key])
        elif key in _SORT:
            self._chosen = replace(self._chosen, sort=_SORT[key])
        elif key == "t":
            self._chosen = replace(self._chosen, tree=not self._chosen.tree)

    def _draw(self) -> Text:
        columns, lines = self._console.size
        above = head(self._client)
        room = max(1, lines - len(above) - 3)
        chosen = replace(self._chosen, limit=min(self._chosen.limit, room))
        body = read(self._client, chosen.by)
        found = rows_of(body, chosen)
        text = table(found, chosen.by) if found else textwrap.fill(nobody(body, chosen), columns)
        titles, *rows = text.split("\n")
        drawn = Text(no_wrap=True, overflow="crop")
        for line in above:
            drawn.append(screen.cut(line, columns) + "\n")
        drawn.append("\n" + screen.cut(titles, columns) + "\n", style="bold")
        for line in [*rows, *[""] * (room - len(rows))]:
            drawn.append(screen.cut(line, columns) + "\n")
        drawn.append(screen.cut(_HELP, columns), style="dim")
        return drawn if screen.colour_wanted() else Text(drawn.plain, no_wrap=True, overflow="crop")


@contextmanager
def _keys() -> Iterator[int | None]:
    """Yield where single keys can be read; None where standard input is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _pressed(keyboard: int | None, seconds: float) -> str:
    """Return the key that was pressed within a time, or nothing."""
    ready, _, _ = select.select([keyboard] if keyboard is not None else [], [], [], seconds)
    return os.read(ready[0], 1).decode("ascii", "replace") if ready else ""
