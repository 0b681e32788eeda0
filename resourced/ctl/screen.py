"""What is printed for people: cut to the width of a terminal, bold and coloured only where that is wanted."""

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence

import click

from resourced.ctl import render

_PROSE_COLUMNS = 100


def width() -> int | None:
    """Return the columns of the terminal; None where the output goes elsewhere, and nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def colour_wanted() -> bool:
    """Return whether standard output is a terminal whose user did not refuse colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show(text: str) -> None:
    """Print lines; what is wider than the terminal is cut, so that no line wraps."""
    columns = width()
    click.echo("\n".join(cut(line, columns) for line in text.split("\n")) if columns else text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """Print a table as `render.columns` makes it, its titles bold on a terminal."""
    lined(render.columns(header, rows, left))


def lined(text: str) -> None:
    """Print a table that is text already, its first line bold on a terminal."""
    head, *body = text.split("\n")
    columns = width()
    head = cut(head, columns) if columns else head
    click.echo(click.style(head, bold=True) if colour_wanted() else head)
    if body:
        show("\n".join(body))


def tell(sentence: str, *, before: str = "") -> None:
    """Print sentences; on a terminal they are folded between words.

    Args:
        sentence: What is said.
        before: Stands before the first line; the others are set in as far.
    """
    columns = width()
    text = render.safe(sentence)
    if columns:
        indent = " " * min(len(before), columns // 2)
        room = max(columns, 2 * len(indent))
        text = textwrap.fill(
            text, min(room, _PROSE_COLUMNS), initial_indent=before, subsequent_indent=indent, break_on_hyphens=False
        )
        show(text)
    else:
        click.echo(before + text)


def cut(line: str, columns: int | None) -> str:
    """Return a line that takes at most so many columns; an ellipsis stands for what is missing."""
    if columns is None or (len(line) <= columns and line.isascii()):
        return line
    taken, room = 0, columns
    for position, character in enumerate(line):
        taken += _cells(character)
        if taken > room:
            kept = line[:position]
            while kept and sum(map(_cells, kept)) > room - 1:
                kept = kept[:-1]
            return f"{kept}…"
    return line


def _cells(character: str) -> int:
    """Return how many columns a character takes."""
    if character.isascii():
        return 1
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
