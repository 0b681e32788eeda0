"""`resourcectl history`: what was measured, drawn or as data."""

import csv
import shutil
import sys
from typing import Any

import click

from resourced.client import Table
from resourced.ctl import render
from resourced.ctl.options import common
from resourced.ctl.session import Session


@click.command()
@click.argument("metrics", nargs=-1)
@click.option("--since", default="1h", show_default=True, help="A time, or how long ago.")
@click.option("--until", default="now", show_default=True, help="A time, or how long ago.")
@click.option("--step", help="Seconds or a duration between rows.")
@click.option("--points", type=click.IntRange(1, 100000), help="About how many rows, instead of a step.")
@click.option("--aggregate", help="How values of one row become one: mean, min, max, last, …")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option("--stats", is_flag=True, help="Show what the store holds and costs instead.")
@common
def history(session: Session, *, metrics: tuple[str, ...], stats: bool, as_csv: bool, **range_: Any) -> None:
    """Show the course of METRICS, drawn on a terminal."""
    if not metrics and not stats:
        raise click.UsageError("name at least one metric, or give --stats; `resourcectl catalog` lists the metrics")
    if range_["step"] and range_["points"]:
        raise click.UsageError("give --step or --points, not both")
    with session.client() as client:
        if stats:
            store = client.status().get("history") or {}
            click.echo(render.pairs(store)) if not session.as_json else session.show_json(store)
            return
        points = range_["points"] or (None if range_["step"] else 300)
        found = client.history(
            metrics,
            start=range_["since"],
            end=range_["until"],
            step=range_["step"],
            points=points,
            aggregate=range_["aggregate"],
        )
    if session.as_json:
        session.show_json(found.raw)
    elif as_csv:
        _write_csv(found)
    else:
        _draw(found)


def _write_csv(found: Table) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["time", *found.series])
    for row in zip(found.times, *found.series.values(), strict=True):
        writer.writerow(["" if value is None else value for value in row])


def _draw(found: Table) -> None:
    width = min(shutil.get_terminal_size().columns, 120)
    if not found.times or not found.series:
        click.echo("Nothing was recorded in this time.")
        return
    click.echo(f"{render.moment(found.times[0])} to {render.moment(found.times[-1])}")
    for name, values in found.series.items():
        unit = found.units.get(name, "1")
        known = [value for value in values if value is not None]
        click.echo(f"\n{render.safe(name)}")
        if not known:
            click.echo("(no values)")
        elif len(found.series) == 1:
            click.echo(render.plot(values, unit, width))
        else:
            click.echo(render.sparkline(values, width))
        if known:
            mean = sum(known) / len(known)
            told = {"min": min(known), "mean": mean, "max": max(known), "last": known[-1]}
            click.echo("  ".join(f"{label} {render.quantity(value, unit)}" for label, value in told.items()))
