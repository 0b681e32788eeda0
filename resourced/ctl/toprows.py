"""The rows of `resourcectl top`: processes, units, users or GPUs, in order, as a list or as a tree."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resourced.ctl import render

Row = dict[str, Any]

SORTS = ("memory", "cpu", "io", "swap", "name")
BY_PATH = {"process": "processes", "unit": "cgroups", "user": "processes", "gpu": "gpu"}
"""The section of which the rows are made."""
_SUMMED = (
    "cpu_utilization",
    "memory_bytes",
    "swap_bytes",
    "io_read_bytes_per_second",
    "io_write_bytes_per_second",
    "threads",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is shown, and in which order.

    Attributes:
        by: What a row is.
        sort: By what rows are ordered.
        pattern: What the name of a row must contain.
        tree: Whether rows stand below those that they belong to.
        limit: At most so many rows.
    """

    by: str = "process"
    sort: str = "memory"
    pattern: str = ""
    tree: bool = False
    limit: int = 20


def rows_of(body: Mapping[str, Any], chosen: Selection) -> list[Row]:
    """Return the rows, largest first; what is unknown comes last.

    Args:
        body: An answer with the sections that are needed.
        chosen: What is shown.
    """
    rows = _MAKERS[chosen.by](body)
    if chosen.sort == "name":
        rows.sort(key=lambda row: row["name"])
    else:
        rows.sort(key=lambda row: (row[chosen.sort] is not None, row[chosen.sort] or 0), reverse=True)
    shown = _tree(rows, chosen.pattern) if chosen.tree else [row for row in rows if chosen.pattern in row["name"]]
    return shown[: chosen.limit]


def table(rows: list[Row], by: str) -> str:
    """Return the rows as columns, with their titles."""
    titles, cells = _COLUMNS[by]
    return render.columns(titles, [cells(row) for row in rows])


def _row(identity: Any, name: str, item: Mapping[str, Any], **more: Any) -> Row:
    read, written = item.get("io_read_bytes_per_second"), item.get("io_write_bytes_per_second")
    return {
        "id": identity,
        "name": name,
        "uid": item.get("uid"),
        "cpu": item.get("cpu_utilization"),
        "memory": item.get("memory_bytes"),
        "swap": item.get("swap_bytes"),
        "io": None if read is None and written is None else (read or 0) + (written or 0),
        "depth": 0,
        **more,
    }


def _processes(body: Mapping[str, Any]) -> list[Row]:
    items = (body.get("processes") or {}).get("items", [])
    return [
        _row(
            item["pid"], item["name"], item, parent=item.get("ppid"), state=item.get("state"), tasks=item.get("threads")
        )
        for item in items
    ]


def _units(body: Mapping[str, Any]) -> list[Row]:
    nodes = (body.get("cgroups") or {}).get("nodes", {})
    return [
        _row(path, path, node, parent=path.rpartition("/")[0] or "/", tasks=node.get("pids"), pressure=_waits(node))
        for path, node in nodes.items()
        if path != "/"
    ]


def _waits(node: Mapping[str, Any]) -> float | None:
    """Return the largest share of the last ten seconds in which something in a unit waited."""
    told = [(node.get(f"pressure_{name}") or {}).get("some") for name in ("cpu", "memory", "io")]
    known = [each["avg10_share"] for each in told if each]
    return max(known) if known else None


def _users(body: Mapping[str, Any]) -> list[Row]:
    sums: defaultdict[int | None, dict[str, Any]] = defaultdict(lambda: {"processes": 0})
    for item in (body.get("processes") or {}).get("items", []):
        total = sums[item.get("uid")]
        total["processes"] += 1
        for key in _SUMMED:
            if item.get(key) is not None:
                total[key] = total.get(key, 0) + item[key]
    return [
        _row(uid, render.user(uid), {**total, "uid": uid}, tasks=total.get("threads"), processes=total["processes"])
        for uid, total in sums.items()
    ]


def _gpus(body: Mapping[str, Any]) -> list[Row]:
    known = {item["pid"]: item for item in (body.get("processes") or {}).get("items", [])}
    rows = []
    for uuid, gpu in ((body.get("gpus") or {}).get("devices") or {}).items():
        item = {"cpu_utilization": gpu.get("utilization"), "memory_bytes": gpu.get("memory_used_bytes")}
        about = {
            "total": gpu.get("memory_total_bytes"),
            "temperature": gpu.get("temperature_celsius"),
            "power": gpu.get("power_watts"),
        }
        rows.append(_row(f"gpu{gpu['index']}", gpu.get("name") or uuid, item, parent=None, **about))
        for process in gpu.get("processes") or ():
            pid = process["pid"]
            owner = known.get(pid, {})
            item = {
                "cpu_utilization": process.get("utilization"),
                "memory_bytes": process.get("memory_bytes"),
                "uid": owner.get("uid"),
            }
            name = owner.get("name") or f"process {pid}"
            about = dict.fromkeys(("total", "temperature", "power"))
            rows.append(_row(pid, name, item, parent=f"gpu{gpu['index']}", **about))
    return rows


_MAKERS: dict[str, Callable[[Mapping[str, Any]], list[Row]]] = {
    "process": _processes,
    "unit": _units,
    "user": _users,
    "gpu": _gpus,
}


def _tree(rows: list[Row], pattern: str) -> list[Row]:
    """Return rows below those that they belong to; of those that don't match only the ones above a match."""
    below: defaultdict[Any, list[Row]] = defaultdict(list)
    known = {row["id"] for row in rows}
    for row in rows:
        parent = row.get("parent")
        below[parent if parent in known and parent != row["id"] else None].append(row)
    found: list[Row] = []
    waiting = [{**row, "depth": 0} for row in reversed(below[None])]
    while waiting:
        row = waiting.pop()
        found.append(row)
        waiting += [{**each, "depth": row["depth"] + 1} for each in reversed(below[row["id"]])]
    kept: list[Row] = []
    above = -1
    for row in reversed(found):
        if pattern in row["name"] or row["depth"] < above:
            kept.append(row)
            above = row["depth"]
    return kept[::-1]


def _named(row: Row) -> str:
    """Return the name, set in by the depth in a tree; of a path the last part is enough there."""
    name = str(row["name"])
    indent: str = "  " * row["depth"]
    return indent + (name.rpartition("/")[2] if row["depth"] and name.startswith("/") else name)


def _used(row: Row) -> tuple[str, ...]:
    """Return what a row uses; nothing is a plain 0, so that what is used stands out."""
    swap = "0" if row["swap"] == 0 else render.size(row["swap"])
    moved = "0" if row["io"] == 0 else render.speed(row["io"])
    return render.percent(row["cpu"]), render.size(row["memory"]), swap, moved


def _process_cells(row: Row) -> tuple[str, ...]:
    return str(row["id"]), render.user(row["uid"])[:10], *_used(row), _named(row)


def _unit_cells(row: Row) -> tuple[str, ...]:
    tasks = "-" if row["tasks"] is None else str(row["tasks"])
    return *_used(row), tasks, render.percent(row["pressure"]), _named(row)


def _user_cells(row: Row) -> tuple[str, ...]:
    return *_used(row), str(row["processes"]), str(row["tasks"]), row["name"]


def _gpu_cells(row: Row) -> tuple[str, ...]:
    return (
        str(row["id"]),
        render.user(row["uid"])[:10],
        render.percent(row["cpu"]),
        render.size(row["memory"]),
        render.size(row["total"]),
        "-" if row["temperature"] is None else f"{row['temperature']:.0f} °C",
        "-" if row["power"] is None else f"{row['power']:.0f} W",
        _named(row),
    )


_COLUMNS: dict[str, tuple[tuple[str, ...], Callable[[Row], tuple[str, ...]]]] = {
    "process": (("PID", "USER", "CPU", "MEMORY", "SWAP", "IO", "NAME"), _process_cells),
    "unit": (("CPU", "MEMORY", "SWAP", "IO", "TASKS", "WAITS", "UNIT"), _unit_cells),
    "user": (("CPU", "MEMORY", "SWAP", "IO", "PROCESSES", "THREADS", "USER"), _user_cells),
    "gpu": (("PID", "USER", "BUSY", "MEMORY", "OF", "TEMP", "POWER", "NAME"), _gpu_cells),
}
