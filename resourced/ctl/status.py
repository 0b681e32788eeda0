"""`resourcectl status` and `resourcectl catalog`."""

from collections import Counter

import click

from resourced.client import ApiError, Client
from resourced.ctl import screen
from resourced.ctl.account import daemon_text
from resourced.ctl.machine import machine_lines
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
    screen.show("\n".join(machine_lines(machine, verdict)))
    screen.show(f"\ndaemon\n{daemon_text(daemon, machine.get('collectors') or {}, '  ')}")
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
