"""`resourcectl workloads`: who asked to be told first, and what they answered."""

import time
from typing import Any

import click

from resourced.ctl import render, screen
from resourced.ctl.options import common
from resourced.ctl.session import Session


@click.command(short_help="List the workloads that take part.")
@common
def workloads(session: Session) -> None:
    """List the workloads that take part: your own, and as root or an admin all."""
    with session.client() as client:
        found = client.get("/workloads")["workloads"]
    if session.as_json:
        session.show_json(found)
    elif not found:
        screen.show("No workload is registered. `resourcectl run -- COMMAND` starts one.")
    else:
        header = ("ID", "PID", "USER", "PRIORITY", "GRACE", "STATE", "UNTIL", "NAME")
        screen.table(header, [_row(each) for each in found], left=1)
        for each in found:
            if each.get("request"):
                screen.tell(f"{each['name']} is asked by {each['request']['rule']}: {each['request']['reason']}")


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    """Return one line; of workloads of others the daemon may tell less."""
    asked = each.get("request")
    return (
        each["id"],
        str(each.get("pid") or "-"),
        render.user(each.get("uid")),
        "-" if each.get("priority") is None else f"{each['priority']:g}",
        render.quantity(each.get("grace_seconds"), "s"),
        each["state"],
        render.remaining(asked["deadline"] - time.time()) if asked else "-",
        f"{each['name']} ({each['unit']})" if each.get("unit") not in {None, "-.slice"} else each["name"],
    )
