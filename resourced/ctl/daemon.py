"""`resourcectl watch`, `log-level`, `reload` and `completion`: what concerns the daemon itself."""

from typing import Any

import click

from resourced.client.sse import ServerEvent
from resourced.ctl import render
from resourced.ctl.options import common
from resourced.ctl.session import Session

_LEVELS = ("error", "warning", "info", "debug")


@click.command()
@click.option("--kind", "kinds", multiple=True, help="Only this kind of event; may be repeated.")
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@common
def watch(session: Session, kinds: tuple[str, ...], count: int | None) -> None:
    """Show what happens, as it happens."""
    with session.client(patience_seconds=60.0 if count is None else 0.0) as client:
        for number, event in enumerate(client.events(kinds or None), 1):
            if session.as_json:
                session.show_json({"kind": event.kind, "id": event.id, "data": event.data})
            else:
                click.echo(_line(event))
            if number == count:
                return


def _line(event: ServerEvent) -> str:
    data: dict[str, Any] = event.data if isinstance(event.data, dict) else {"message": str(event.data)}
    told = data.get("message") or data.get("detail") or data.get("rule") or f"sample {data.get('sequence', '-')}"
    return f"{render.moment(data.get('time'))}  {event.kind:<9} {render.safe(str(told))}"


@click.command("log-level")
@click.argument("level", type=click.Choice(_LEVELS))
@common
def log_level(session: Session, level: str) -> None:
    """Change how much the daemon logs, until its next start."""
    with session.client() as client:
        body = client.set_log_level(level)
    session.show_json(body) if session.as_json else click.echo(f"The daemon logs {level} and graver now.")


@click.command("reload")
@common
def reload_(session: Session) -> None:
    """Let the daemon read its configuration again."""
    with session.client() as client:
        body = client.reload()
    session.show_json(body) if session.as_json else click.echo("The configuration was read again.")


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
