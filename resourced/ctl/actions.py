"""`resourcectl actions`: what is done about decisions now."""

import time
from typing import Any

import click

from resourced.ctl import render, screen
from resourced.ctl.options import common
from resourced.ctl.session import Session


@click.command(short_help="List what is under way, and can be undone.")
@common
def actions(session: Session) -> None:
    """List what waits for approval, what is under way, and what can be undone (by `veto ID`)."""
    with session.client() as client:
        found = client.get("/actions")
    if session.as_json:
        session.show_json(found)
        return
    for rival in found["rivals"]:
        about = f" ({rival['about']})" if rival["about"] else ""
        screen.tell(f"{rival['name']} may kill on this machine too{about}")
    if not found["courses"] and not found["changes"]:
        screen.show("Nothing is under way.")
    if found["courses"]:
        rows = [(c["decision"], c["status"], _ladder(c), c["rule"], c["target"]) for c in found["courses"]]
        screen.table(("DECISION", "STATUS", "STEPS", "RULE", "TARGET"), rows, left=5)
    if found["changes"]:
        held = [(c["decision"], _what(c), _left(c["expires"]), c["target"]) for c in found["changes"]]
        screen.table(("DECISION", "CHANGED", "EXPIRES IN", "TARGET"), held, left=4)


def _ladder(course: dict[str, Any]) -> str:
    """Return the rungs, those that were taken in brackets."""
    return " ".join(f"[{step}]" if step in course["taken"] else step for step in course["steps"])


def _what(change: dict[str, Any]) -> str:
    if change["pid"] is not None:
        return f"process {change['pid']} stopped"
    return f"{change['file']} {change['written']}, was {change['original']}"


def _left(expires: float) -> str:
    return render.remaining(expires - time.time())
