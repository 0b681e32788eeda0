"""`resourcectl top`: who uses the machine now, by process, unit, user or GPU."""

import sys
import time
from collections import defaultdict
from typing import Any

import click

from resourced.client import Client
from resourced.ctl import render
from resourced.ctl.options import common
from resourced.ctl.session import Session, colour_wanted

Row = dict[str, Any]

_SORTS = ("memory", "cpu", "io", "swap")
_BY_PATH = {"process": "processes", "unit": "cgroups", "user": "processes", "gpu": "gpu"}


@click.command()
@click.option("--by", type=click.Choice(list(_BY_PATH)), default="process", show_default=True, help="What a row is.")
@click.option("--sort", type=click.Choice(_SORTS), default="memory", show_default=True, help="Largest first.")
@click.option("--filter", "pattern", default="", help="Only rows whose name contains this.")
@click.option("--limit", type=click.IntRange(1, 10000), default=20, show_default=True, help="At most so many rows.")
@click.option("--at", help='A past moment, such as 03:12 or "yesterday 22:00", or how long ago.')
@click.option("--once", is_flag=True, help="Print once and end; so it is when the output is not a terminal.")
@click.option("--interval", type=click.FloatRange(0.2, 3600), default=2.0, show_default=True, help="Seconds.")
@common
def top(
    session: Session, *, by: str, sort: str, pattern: str, limit: int, at: str | None, once: bool, interval: float
) -> None:
    """Show who uses the machine now, or who did."""
    live = not once and not at and not session.as_json and sys.stdout.isatty()
    with session.client(patience_seconds=30.0 if live else 0.0) as client:
        if live:
            _live(client, by, sort, pattern, limit, interval)
            return
        past = client.at(at) if at else None
        rows = read_rows(client, by, sort, pattern, past)[:limit]
    if past is not None and not session.as_json:
        click.echo(f"{render.moment(past['time'])}: the largest that were recorded")
    if session.as_json:
        session.show_json(rows)
    else:
        click.echo(table(rows))


def read_rows(client: Client, by: str, sort: str, pattern: str, past: dict[str, Any] | None = None) -> list[Row]:
    """Return the rows asked for, largest first; what is unknown comes last.

    Args:
        client: Asks the daemon.
        by: What a row is.
        sort: By what the rows are ordered.
        pattern: What the name of a row must contain.
        past: A past moment as a whole; now if None.
    """
    body = past or client.get(f"/resources/{_BY_PATH[by]}")
    makers = {"process": _processes, "unit": _units, "user": _users, "gpu": _gpus}
    rows = [row for row in makers[by](body) if pattern in row["name"]]
    return sorted(rows, key=lambda row: (row[sort] is not None, row[sort] or 0), reverse=True)


def table(rows: list[Row]) -> str:
    """Return the rows as plain columns."""
    header = ("ID", "USER", "CPU", "MEMORY", "SWAP", "IO", "NAME")
    return render.columns(header, [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        str(row["id"]),
        str(row["uid"]) if row["uid"] is not None else "-",
        render.percent(row["cpu"]),
        render.size(row["memory"]),
        render.size(row["swap"]),
        render.speed(row["io"]),
        row["name"],
    )


def _row(identity: Any, name: str, uid: int | None, item: dict[str, Any]) -> Row:
    read, written = item.get("io_read_bytes_per_second"), item.get("io_write_bytes_per_second")
    return {
        "id": identity,
        "name": name,
        "uid": uid,
        "cpu": item.get("cpu_utilization"),
        "memory": item.get("memory_bytes"),
        "swap": item.get("swap_bytes"),
        "io": None if read is None and written is None else (read or 0) + (written or 0),
    }


def _processes(body: dict[str, Any]) -> list[Row]:
    items = (body.get("processes") or {}).get("items", [])
    return [_row(item["pid"], item["name"], item.get("uid"), item) for item in items]


def _units(body: dict[str, Any]) -> list[Row]:
    nodes = (body.get("cgroups") or {}).get("nodes", {})
    return [_row(node.get("inode", "-"), path, None, node) for path, node in nodes.items() if path != "/"]


def _users(body: dict[str, Any]) -> list[Row]:
    sums: defaultdict[int | None, dict[str, Any]] = defaultdict(dict)
    for item in (body.get("processes") or {}).get("items", []):
        total = sums[item.get("uid")]
        for key, value in item.items():
            if isinstance(value, int | float) and value is not None:
                total[key] = total.get(key, 0) + value
    return [_row("-" if uid is None else uid, _user_name(uid), uid, total) for uid, total in sums.items()]


def _user_name(uid: int | None) -> str:
    import pwd  # noqa: PLC0415 - only for this table

    if uid is None:
        return "(unknown)"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _gpus(body: dict[str, Any]) -> list[Row]:
    rows = []
    for uuid, gpu in ((body.get("gpus") or {}).get("devices") or {}).items():
        item = {"cpu_utilization": gpu.get("utilization"), "memory_bytes": gpu.get("memory_used_bytes")}
        rows.append(_row(gpu["index"], gpu.get("name") or uuid, None, item))
        for process in gpu.get("processes") or ():
            item = {"cpu_utilization": process.get("utilization"), "memory_bytes": process.get("memory_bytes")}
            rows.append(_row(process["pid"], f"GPU {gpu['index']} process {process['pid']}", None, item))
    return rows


def _live(client: Client, by: str, sort: str, pattern: str, limit: int, interval: float) -> None:
    from rich.console import Console  # noqa: PLC0415 - rich costs 100 ms, which only a live terminal is worth
    from rich.live import Live  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def draw() -> Table:
        drawn = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        for title in ("ID", "USER", "CPU", "MEMORY", "SWAP", "IO"):
            drawn.add_column(title, justify="right", no_wrap=True)
        drawn.add_column("NAME", ratio=1, no_wrap=True)
        for row in read_rows(client, by, sort, pattern)[: min(limit, max(1, console.height - 2))]:
            drawn.add_row(*(Text(render.safe(cell)) for cell in _cells(row)))
        return drawn

    console = Console(no_color=not colour_wanted(), highlight=False)
    with Live(draw(), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            live.update(draw(), refresh=True)
