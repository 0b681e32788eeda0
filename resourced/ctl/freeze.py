"""`resourcectl freeze list` and `resourcectl thaw`: what stands still, and letting it run on."""

import time
from typing import Any

import click

from resourced.client import Client
from resourced.ctl import render, screen
from resourced.ctl.exits import Exit
from resourced.ctl.options import common
from resourced.ctl.session import Session, fail


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def freeze() -> None:
    """See what was frozen; `resourcectl thaw` lets it run on."""


@freeze.command("list")
@common
def list_(session: Session) -> None:
    """List what stands still now, and until when."""
    with session.client() as client:
        found = _frozen(client)
    if session.as_json:
        session.show_json(found)
    elif not found:
        screen.show("Nothing is frozen.")
    else:
        rows = [
            (
                each["decision"],
                render.moment(each["time"]),
                render.remaining(each["expires"] - time.time()),
                "-" if each["pid"] is None else str(each["pid"]),
                each["target"],
            )
            for each in found
        ]
        screen.table(("DECISION", "SINCE", "THAWS IN", "PID", "TARGET"), rows, left=1)


@click.command(short_help="Let what was frozen run on.")
@click.argument("subject", metavar="DECISION|TARGET")
@common
def thaw(session: Session, subject: str) -> None:
    """Let what was frozen run on: by the decision's id, the target's name, or a pid.

    Whatever else was done for the decision stays and goes on; `resourcectl veto` ends it all.
    """
    with session.client() as client:
        meant = [each for each in _frozen(client) if subject in _names(each)]
        if not meant:
            fail(f"nothing that is frozen is called {subject}; resourcectl freeze list lists what is", Exit.NOT_FOUND)
        decisions = list(dict.fromkeys(each["decision"] for each in meant))
        for decision in decisions:
            client.thaw(decision)
    if session.as_json:
        session.show_json({"done": True, "decisions": decisions})
    else:
        targets = dict.fromkeys(each["target"] for each in meant)
        screen.show(f"{render.safe(', '.join(targets))} runs on.")


def _frozen(client: Client) -> list[dict[str, Any]]:
    return [each for each in client.get("/actions")["changes"] if each["step"] == "freeze"]


def _names(change: dict[str, Any]) -> tuple[str, ...]:
    return change["decision"], change["target"], str(change["pid"]) if change["pid"] is not None else change["target"]
