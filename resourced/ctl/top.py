"""`resourcectl top`: who uses the machine now, or did, by process, unit, user or GPU."""

import sys
from typing import Any

import click

from resourced.client import Client
from resourced.ctl import render, screen
from resourced.ctl.machine import machine_lines
from resourced.ctl.options import common
from resourced.ctl.session import Session
from resourced.ctl.toprows import BY_PATH, SORTS, Selection, rows_of, table


@click.command()
@click.option("--by", type=click.Choice(list(BY_PATH)), default="process", show_default=True, help="What a row is.")
@click.option("--sort", type=click.Choice(SORTS), default="memory", show_default=True, help="Largest first.")
@click.option("--filter", "pattern", default="", help="Only rows whose name contains this.")
@click.option("--tree", is_flag=True, help="Rows below those that they belong to: children, inner control groups.")
@click.option("-n", "--limit", type=click.IntRange(1, 10000), help="At most so many rows; 20, or as many as fit.")
@click.option("--at", help='A past moment, such as 03:12 or "yesterday 22:00", or how long ago.')
@click.option("--once", is_flag=True, help="Print once and end; so it is when the output is not a terminal.")
@click.option("--interval", type=click.FloatRange(0.2, 3600), default=2.0, show_default=True, help="Seconds.")
@common
def top(session: Session, *, at: str | None, once: bool, interval: float, **chosen: Any) -> None:
    """Show who uses the machine now, or who did.

    CPU is of one processor: 200% is two of them. On a terminal it goes on until q is pressed, and the keys in its last
    line change what is shown. WAITS is the share of time in which something in a unit waited for processor, memory or
    disk.
    """
    live = not once and not at and not session.as_json and sys.stdout.isatty()
    with session.client(patience_seconds=30.0 if live else 0.0) as client:
        if live:
            from resourced.ctl.toplive import Live  # noqa: PLC0415 - rich costs 100 ms, which only this is worth

            Live(client, Selection(**{**chosen, "limit": chosen["limit"] or 10000}), interval).run()
            return
        selection = Selection(**{**chosen, "limit": chosen["limit"] or 20})
        body = client.at(at) if at else read(client, selection.by)
        above = [] if at or session.as_json or not sys.stdout.isatty() else head(client)
    rows = rows_of(body, selection)
    if session.as_json:
        session.show_json(rows)
        return
    if at:
        screen.show(f"{render.moment(body['time'])}: the largest that were recorded")
    elif above:
        screen.show("\n".join([*above, ""]))
    if rows:
        screen.lined(table(rows, selection.by))
    else:
        screen.tell(nobody(body, selection))


def head(client: Client) -> list[str]:
    """Return the lines above a table: how the machine is now."""
    return machine_lines(client.get("/resources/all"), client.get("/prune"))


def nobody(body: dict[str, Any], chosen: Selection) -> str:
    """Return why there is no row."""
    reason = (body.get("collector") or {}).get("reason")
    if reason:
        return f"There is no {chosen.by} to show: {reason}"
    named = f" whose name contains {chosen.pattern!r}" if chosen.pattern else ""
    return f"There is no {chosen.by}{named} to show."


def read(client: Client, by: str) -> dict[str, Any]:
    """Return the sections that rows of this kind are made of, as they are now."""
    body: dict[str, Any] = client.get(f"/resources/{BY_PATH[by]}")
    if by == "gpu":
        body = {**body, "processes": client.get("/resources/processes").get("processes")}
    return body
