"""`resourcectl top` on a terminal: drawn anew every few seconds, and changed by keys."""

import os
import select
import signal
import sys
import termios
import textwrap
import tty
from dataclasses import replace
from typing import Any, Self

from rich.console import Console
from rich.live import Live as Display
from rich.text import Text

from resourced.client import Client
from resourced.ctl import screen
from resourced.ctl.top import head, nobody, read
from resourced.ctl.toprows import Selection, rows_of, table

_BY = {"p": "process", "u": "unit", "o": "user", "g": "gpu"}
_SORT = {"c": "cpu", "m": "memory", "i": "io", "s": "swap", "n": "name"}
_ESCAPE = "\x1b"
_QUIT = ("q", _ESCAPE)
"""Arrows and the wheel of the mouse begin with an escape too, and mean nothing here."""
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
        display = Display(console=self._console, screen=True, auto_refresh=False)
        with _Terminal(display) as terminal:
            while True:
                display.update(self._draw(), refresh=True)
                for key in terminal.pressed(self._interval):
                    if key in _QUIT:
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


class _Terminal:
    """The terminal while something is shown on it all over: it is as it was at the end, however that comes.

    Args:
        display: What is shown.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._usual: Any = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, _end)
        self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._stop)
        self._take()
        return self

    def __exit__(self, *exc: object) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def pressed(self, seconds: float) -> list[str]:
        """Return the keys that were pressed within a time: letters, or what a special key sends."""
        if self._keyboard is None:
            select.select([], [], [], seconds)
            return []
        ready, _, _ = select.select([self._keyboard], [], [], seconds)
        text = os.read(self._keyboard, 64).decode("ascii", "replace") if ready else ""
        return [text] if text.startswith(_ESCAPE) else list(text)

    def _take(self) -> None:
        if self._keyboard is not None:
            self._usual = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard)
        self._display.start()

    def _give_back(self) -> None:
        self._display.stop()
        if self._keyboard is not None:
            termios.tcsetattr(self._keyboard, termios.TCSAFLUSH, self._usual)

    def _stop(self, number: int, _frame: object) -> None:
        """Stop as asked (Ctrl-Z), with the terminal given back to the shell until it goes on."""
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._stop)
        self._take()


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
