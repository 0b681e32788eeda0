"""`resourcectl status` and `resourcectl catalog`."""

from collections import Counter

import click

from resourced.client import ApiError, Client
from resourced.ctl import screen
from resourced.ctl.account import daemon_lines
from resourced.ctl.machine import LABEL_COLUMNS, machine_lines
from resourced.ctl.options import common
from resourced.ctl.session import Session
from resourced.ctl.storage import store_text


@click.command()
@common
def status(session: Session) -> None:
    """Show how the machine and the daemon are."""
    with session.client() as client:
        daemon = client.status()
        machine = client.get("/resources/all")
        verdict = client.get("/prune")
        states = workload_states(client)
    daemon = {**daemon, "workloads": states}
    if session.as_json:
        session.show_json({"daemon": daemon, "prune": verdict, "collectors": machine.get("collectors")})
        return
    for line in machine_lines(machine, verdict):
        screen.tell(line[LABEL_COLUMNS:], before=line[:LABEL_COLUMNS])
    screen.show("\ndaemon")
    for name, text in daemon_lines(daemon, machine.get("collectors") or {}):
        screen.tell(text, before=f"  {name:<11}")
    screen.show(f"\nhistory\n{store_text(daemon.get('history') or {}, '  ')}")


def workload_states(client: Client) -> dict[str, int] | None:
    """Return how many workloads that the caller may see are in which state; None if they can't be asked for."""
    try:
        return dict(Counter(each["state"] for each in client.get("/workloads")["workloads"]))
    except ApiError:  # an older daemon, or a token that does not suffice
        return None


@click.command()
@click.argument("pattern", default="")
@common
def catalog(session: Session, pattern: str) -> None:
    """List the metrics, or those whose name contains PATTERN."""
    with session.client() as client:
        body = client.catalog()
    entries = body.get("metrics", []) if isinstance(body, dict) else body
    entries = [entry for entry in entries if pattern in entry["name"]]
    if session.as_json:
        session.show_json(entries)
        return
    rows = [(e["name"], e["unit"], e["kind"], e["help"]) for e in entries]
    screen.table(("NAME", "UNIT", "KIND", "MEANING"), rows, left=4)
