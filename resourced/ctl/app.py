"""The command line of `resourcectl`: one group whose verbs are imported when they are used."""

from importlib import import_module
from typing import Any

import click

from resourced import __version__
from resourced.ctl.options import connection, make_session

VERBS = {
    "status": "status:status",
    "top": "top:top",
    "history": "history:history",
    "decisions": "decisions:decisions",
    "explain": "decisions:explain",
    "why": "why:why",
    "actions": "actions:actions",
    "approve": "decisions:approve",
    "veto": "decisions:veto",
    "freeze": "freeze:freeze",
    "thaw": "freeze:thaw",
    "run": "launch:run",
    "workloads": "workloads:workloads",
    "policy": "policy:policy",
    "doctor": "doctor:doctor",
    "watch": "watch:watch",
    "desktop": "desktop:desktop",
    "catalog": "status:catalog",
    "config": "config:config",
    "log-level": "daemon:log_level",
    "reload": "daemon:reload_",
    "completion": "daemon:completion",
}
"""Where each verb is, in the order of the help."""


class _Verbs(click.Group):
    """A group that knows its verbs by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        place = VERBS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        found: click.Command = getattr(import_module(f"resourced.ctl.{module}"), name)
        return found


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="resourcectl")
@connection
@click.pass_context
def app(context: click.Context, /, **options: Any) -> None:
    """Ask resourced what this machine does, did, and what must give way.

    Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 the daemon is not running, 4 not allowed,
    5 not found, 126 and 127 run could not start its command, 130 interrupted, 141 the reader of the output went away.
    """
    context.obj = make_session(None, **options)
