"""The options that every verb takes, before or after its name."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from resourced.ctl.session import Session


def connection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the daemon is and how to print."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON for programs."),
        click.option(
            "--token-file", type=click.Path(path_type=Path), envvar="RESOURCED_TOKEN_FILE", help="File with the token."
        ),
        click.option("--url", help="Address of a daemon on TCP, such as http://127.0.0.1:8414."),
        click.option("--socket", help="Path of the daemon's Unix socket."),
    ):
        function = option(function)
    return function


def make_session(
    before: Session | None, *, socket: str | None, url: str | None, token_file: Path | None, as_json: bool
) -> Session:
    """Return the session of options given after the verb, over those given before it."""
    if socket and url:
        raise click.UsageError("give --socket or --url, not both")
    base = before or Session()
    return Session(url or socket or base.target, token_file or base.token_file, as_json or base.as_json)


def common(function: Callable[..., None]) -> Callable[..., None]:
    """Let a verb take the common options and receive the session as its first argument."""

    @connection
    @wraps(function)
    def wrapped(
        socket: str | None,
        url: str | None,
        token_file: Path | None,
        as_json: bool,  # noqa: FBT001 - click passes options by name
        **arguments: Any,
    ) -> None:
        session = make_session(
            click.get_current_context().find_object(Session),
            socket=socket,
            url=url,
            token_file=token_file,
            as_json=as_json,
        )
        function(session, **arguments)

    return wrapped
