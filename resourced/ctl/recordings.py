"""`resourcectl history top`, `export` and `import`: who used most, and recordings in files."""

from pathlib import Path
from typing import Any

import click

from resourced.ctl import render, screen
from resourced.ctl.exits import Exit
from resourced.ctl.options import common
from resourced.ctl.session import Session, fail

_RANGE = (
    click.option("--since", default="1h", show_default=True, help="A time, such as 03:12, or how long ago."),
    click.option("--until", default="now", show_default=True, help="Likewise."),
)


def _range(function: Any) -> Any:
    for option in reversed(_RANGE):
        function = option(function)
    return function


@click.command("top")
@_range
@click.option(
    "--of", default="unit", show_default=True, help="unit, slice, cgroup, process, command, user; or a label of --by."
)
@click.option(
    "--by", default="memory", show_default=True, help="cpu, memory, swap, io, gpu_memory; or a metric with that label."
)
@click.option("--order", type=click.Choice(["peak", "mean", "last"]), default="peak", show_default=True)
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="At most so many rows."
)
@common
def top_(session: Session, *, of: str, by: str, since: str, until: str, order: str, limit: int) -> None:
    """Show who used most over a time."""
    with session.client() as client:
        found = client.top(of, by=by, start=since, end=until, order=order, limit=limit)
    if session.as_json:
        session.show_json(_plain(found))
        return
    if not found.entries:
        screen.show("Nobody was recorded in this time.")
        return
    screen.show(f"{by} by {of}, {render.moment(found.start)} to {render.moment(found.end)}")
    rows = [
        (
            *(render.quantity(value, found.unit) for value in (each.peak, each.mean, each.last)),
            render.moment(each.start),
            render.moment(each.end),
            each.name,
        )
        for each in found.entries
    ]
    screen.table(("PEAK", "MEAN", "LAST", "FROM", "TO", "NAME"), rows, left=0)


def _plain(value: Any) -> Any:
    from dataclasses import asdict  # noqa: PLC0415 - only here

    return asdict(value)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@_range
@common
def export(session: Session, *, file: Path, since: str, until: str) -> None:
    """Write a recording of some time to FILE, which must not exist.

    It holds whole hours of every metric, the decisions and events, and who used most: names of programs, units and
    users are in it, command lines are not. `resourced run --replay FILE` serves it on another machine.
    """
    with session.client() as client:
        try:
            size = client.export(file, start=since, end=until)
        except OSError as error:
            fail(f"{file}: {error.strerror or error}", Exit.FAILED)
    if session.as_json:
        session.show_json({"file": str(file), "bytes": size})
    else:
        screen.show(f"{file}: {render.size(size)}")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--directory", type=click.Path(path_type=Path), help="State directory without a history; by default the daemon's."
)
@common
def import_(session: Session, *, file: Path, directory: Path | None) -> None:
    """Make the recording FILE the history of a state directory that has none.

    The daemon of that directory must not be running; it goes on from there when it is started.
    """
    from resourced.errors import ConfigError, HistoryError  # noqa: PLC0415 - only here
    from resourced.history import import_recording  # noqa: PLC0415 - only here

    try:
        target = directory or _state_directory()
        import_recording(file, target)
    except (HistoryError, ConfigError) as error:
        fail(f"{file} can't be imported: {error}", Exit.FAILED)
    if session.as_json:
        session.show_json({"file": str(file), "directory": str(target)})
    else:
        screen.show(f"{target} holds {file} now")


def _state_directory() -> Path:
    """Return where the daemon of this user keeps its history."""
    import os  # noqa: PLC0415 - only here

    from resourced.config import state_directory  # noqa: PLC0415 - pydantic takes a while to import
    from resourced.configfiles import load  # noqa: PLC0415 - likewise

    return state_directory(load().config, os.environ, os.geteuid())
