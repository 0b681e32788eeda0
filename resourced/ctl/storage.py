"""What the store holds and costs, as text."""

from typing import Any

from resourced.ctl import render

_NAMES = {0.0: "samples", 60.0: "minutes", 3600.0: "hours"}


def store_text(stats: dict[str, Any], indent: str = "") -> str:
    """Return the daemon's account of its history as lines, with a table of the tiers.

    Args:
        stats: `history` of /healthz.
        indent: Before every line.
    """
    if not stats:
        return f"{indent}no history is kept"
    limit = stats.get("maximum_bytes")
    used = f"{render.size(stats.get('disk_bytes'))}, {render.size(stats.get('free_bytes'))} of it free"
    told = {
        "store": stats.get("path") or "in memory only",
        "problem": stats.get("problem"),
        "on disk": f"{used}; at most {render.size(limit)}" if limit else used,
        "in memory": render.size(stats.get("memory_bytes")),
        "reaches": f"{render.moment(stats.get('oldest'))} to {render.moment(stats.get('newest'))}",
        "series": stats.get("series"),
        "a sample": _amount(stats.get("bytes_per_sample"), "bytes"),
        "a day": render.size(stats.get("bytes_per_day")),
        "processes": f"{render.size(stats.get('tops_bytes'))} of the largest processes and cgroups",
        "decisions": stats.get("decisions"),
        "lost": f"{stats['lost_ticks']} samples that could not be written" if stats.get("lost_ticks") else None,
    }
    lines = [f"{indent}{name:<11}{render.safe(str(value))}" for name, value in told.items() if value is not None]
    rows = [
        (
            _NAMES.get(tier["resolution_seconds"], f"{tier['resolution_seconds']:g} s"),
            render.size(tier["bytes"]),
            str(tier["samples"]),
            _amount(tier["bytes"] / tier["samples"] if tier["samples"] else None, ""),
            render.moment(tier["start"]),
            render.moment(tier["end"]),
        )
        for tier in stats.get("tiers", ())
    ]
    if rows:
        table = render.columns(("TIER", "SIZE", "VALUES", "BYTES/VALUE", "FROM", "TO"), rows, left=1)
        lines += [f"{indent}{line}" for line in table.split("\n")]
    return "\n".join(lines)


def _amount(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.3g} {unit}".strip()
