"""`resourcectl history`: what was measured, drawn or as data."""

import csv
import shutil
import sys
from importlib import import_module
from typing import Any

import click

from resourced.client import Client, Table
from resourced.ctl import render, screen
from resourced.ctl.options import common
from resourced.ctl.session import Session
from resourced.ctl.storage import store_text

_USUAL = "show"
_ELSEWHERE = {"top": "top_", "export": "export", "import": "import_"}
_LINES_AROUND = 9
"""Lines of a terminal that are not the plot's."""
_PLOT_LINES = range(5, 21)


class _Verbs(click.Group):
    """A group whose usual verb needs no name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return [_USUAL, *_ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        if cmd_name == _USUAL:
            return show
        name = _ELSEWHERE.get(cmd_name)
        if name is None:
            return None
        found: click.Command = getattr(import_module("resourced.ctl.recordings"), name)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {_USUAL, *_ELSEWHERE, *self.get_help_option_names(ctx)}:
            args = [_USUAL, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Verbs)
def history() -> None:
    """Show what was measured, and take recordings of it.

    `resourcectl history METRIC…` is short for `resourcectl history show METRIC…`, whose --help lists the options.
    """


@click.command()
@click.argument("metrics", nargs=-1)
@click.option(
    "--since", default="1h", show_default=True, help='A time, such as 03:12 or "yesterday 22:00", or how long ago.'
)
@click.option("--until", default="now", show_default=True, help="Likewise.")
@click.option("--step", help="Seconds or a duration between rows.")
@click.option("--points", type=click.IntRange(1, 100000), help="About how many rows, instead of a step.")
@click.option("--aggregate", help="How values of one row become one: mean, min, max, last, count, sum, rate, p99, …")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option("--stats", is_flag=True, help="Show what the store holds and costs instead.")
@common
def show(session: Session, *, metrics: tuple[str, ...], stats: bool, as_csv: bool, **range_: Any) -> None:
    """Show the course of METRICS, drawn on a terminal."""
    if not metrics and not stats:
        raise click.UsageError("name at least one metric, or give --stats; `resourcectl catalog` lists the metrics")
    if range_["step"] and range_["points"]:
        raise click.UsageError("give --step or --points, not both")
    with session.client() as client:
        if stats:
            store = client.status().get("history") or {}
            screen.show(store_text(store)) if not session.as_json else session.show_json(store)
            return
        width, lines = shutil.get_terminal_size()
        data = session.as_json or as_csv
        usual = None if range_["step"] else 300 if data else max(10, width - render.SCALE_WIDTH - 1)
        asked = {
            "start": range_["since"],
            "end": range_["until"],
            "step": range_["step"],
            "points": range_["points"] or usual,
        }
        found = client.history(metrics, aggregate=range_["aggregate"], **asked)
        if not data:
            _draw(found, _extremes(client, metrics, found, asked, range_["aggregate"]), width, lines)
    if session.as_json:
        session.show_json(found.raw)
    elif as_csv:
        _write_csv(found)


def _extremes(
    client: Client, metrics: tuple[str, ...], found: Table, asked: dict[str, Any], aggregate: str | None
) -> tuple[Table, Table] | None:
    """Return smallest and largest values of each row, so that no mean hides a peak; None where a row is a sample."""
    if found.step_seconds is None or aggregate not in {None, "mean"} or not found.series:
        return None
    # Both ends as they were understood the first time: "now" has moved since.
    fixed = {**asked, "start": found.raw["start"], "end": found.raw["end"]}
    lows = client.history(metrics, aggregate="min", **fixed)
    peaks = client.history(metrics, aggregate="max", **fixed)
    return (lows, peaks) if lows.times == found.times == peaks.times else None


def _write_csv(found: Table) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["time", *found.series])
    for row in zip(found.times, *found.series.values(), strict=True):
        writer.writerow(["" if value is None else value for value in row])


def _draw(found: Table, extremes: tuple[Table, Table] | None, width: int, lines: int) -> None:
    if not found.times or not found.series:
        screen.show("Nothing was recorded in this time.")
        return
    screen.show(f"{render.moment(found.times[0])} to {render.moment(found.times[-1])}")
    for name, values in found.series.items():
        lows, peaks = (each.series.get(name, values) for each in extremes) if extremes else (values, values)
        unit = found.units.get(name, "1")
        screen.show(f"\n{render.safe(name)}")
        known = [value for value in values if value is not None]
        if not known:
            screen.show("(no values)")
            continue
        if len(found.series) == 1:
            height = min(max(lines - _LINES_AROUND, _PLOT_LINES.start), _PLOT_LINES.stop - 1)
            screen.show(render.plot(values, unit, width, height, peaks=peaks))
            screen.show(render.axis(found.times[0], found.times[-1], width))
        else:
            screen.show(render.sparkline(peaks, width))
        told = {
            "min": min(value for value in lows if value is not None),
            "mean": sum(known) / len(known),
            "max": max(value for value in peaks if value is not None),
            "last": known[-1],
        }
        screen.show("  ".join(f"{label} {render.quantity(value, unit)}" for label, value in told.items()))
