"""`resourcectl log-level`, `reload` and `completion`: what concerns the daemon itself."""

import click

from resourced.ctl import screen
from resourced.ctl.options import common
from resourced.ctl.session import Session

_LEVELS = ("critical", "error", "warning", "notice", "info", "debug")


@click.command("log-level")
@click.argument("level", type=click.Choice(_LEVELS))
@common
def log_level(session: Session, level: str) -> None:
    """Change how much the daemon logs, for now.

    It lasts until the daemon starts again, gets SIGUSR2, or reloads another `log.level`.
    """
    with session.client() as client:
        body = client.set_log_level(level)
    session.show_json(body) if session.as_json else screen.show(f"The daemon logs {level} and graver now.")


@click.command("reload")
@common
def reload_(session: Session) -> None:
    """Let the daemon read its configuration again."""
    with session.client() as client:
        body = client.reload()
    session.show_json(body) if session.as_json else screen.show("The configuration was read again.")


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete resourcectl's words."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only here

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "resourcectl", "_RESOURCECTL_COMPLETE").source())
