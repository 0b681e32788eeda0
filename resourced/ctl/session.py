"""What every verb needs: a client made from the options, where to print, and how a failure ends."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from resourced.client import ApiError, Client, ClientError, NotAllowed, NotRunning
from resourced.ctl.exits import Exit

_STATUS_EXITS = {401: Exit.NOT_ALLOWED, 403: Exit.NOT_ALLOWED, 404: Exit.NOT_FOUND}


@dataclass(frozen=True, slots=True)
class Session:
    """The options of the command line that hold for every verb.

    Attributes:
        target: URL or socket; None for the usual sockets.
        token_file: File with the bearer token.
        as_json: Whether to print JSON for programs.
    """

    target: str | None = None
    token_file: Path | None = None
    as_json: bool = False

    def connected(self, *, patience_seconds: float = 0.0) -> Client:
        """Return a client.

        Args:
            patience_seconds: How long to wait for a daemon that restarts.
        """
        try:
            token = self.token_file.read_text().strip() if self.token_file else None
        except (OSError, UnicodeDecodeError) as error:
            fail(f"The token can't be read from {self.token_file}: {error}", Exit.USAGE)
        return Client(self.target, token=token, patience_seconds=patience_seconds)

    @contextmanager
    def client(self, *, patience_seconds: float = 0.0) -> Iterator[Client]:
        """Yield a client; what it raises ends the program with a sentence and a code.

        Args:
            patience_seconds: As for `connected`.
        """
        try:
            with self.connected(patience_seconds=patience_seconds) as client:
                yield client
        except ClientError as error:
            fail(str(error), exit_code(error))

    def show_json(self, value: Any) -> None:
        """Print a value as JSON: on a terminal indented and in ASCII, of which it obeys nothing; else on one line."""
        shown = sys.stdout.isatty()
        text = json.dumps(value, ensure_ascii=shown, indent=2 if shown else None)
        click.echo(text.replace("\x7f", "\\u007f"))


def exit_code(error: ClientError) -> Exit:
    """Return how the program ends after this error."""
    if isinstance(error, NotRunning):
        return Exit.NOT_RUNNING
    if isinstance(error, NotAllowed):
        return Exit.NOT_ALLOWED
    return _STATUS_EXITS.get(error.status, Exit.FAILED) if isinstance(error, ApiError) else Exit.FAILED


def fail(message: str, code: Exit) -> NoReturn:
    """Print a sentence on standard error and end."""
    click.echo(f"resourcectl: {message}", err=True)
    raise SystemExit(code)
