"""How the machine does, in a few lines: above `top`, and in `status`."""

from collections.abc import Mapping
from typing import Any

from resourced.ctl import render

LABEL_COLUMNS = 10
"""Columns of what a line is about."""


def machine_lines(all_: Mapping[str, Any], verdict: Mapping[str, Any] | None = None) -> list[str]:
    """Return the machine's state, a line a resource, and whether something must give way.

    Args:
        all_: The answer of /resources/all.
        verdict: The answer of /prune.
    """
    cpu, memory, pressure = (all_.get(name) or {} for name in ("cpu", "memory", "pressure"))
    loads = [cpu.get(f"load_{minutes}m") for minutes in (1, 5, 15)]
    told = {
        "time": render.moment(all_.get("time")),
        "cpu": f"{render.percent(cpu.get('utilization'))} of {cpu.get('logical_count', '-')} processors"
        + (f", load {' '.join(f'{load:.2f}' for load in loads)}" if None not in loads else ""),
        "memory": of(memory.get("available_bytes"), "available", memory.get("total_bytes"))
        + f", swap {of(memory.get('swap_used_bytes'), 'used', memory.get('swap_total_bytes'))}",
        "waits": ", ".join(f"{name} {_waits(pressure.get(name))}" for name in ("cpu", "memory", "io")),
    }
    for gpu in ((all_.get("gpus") or {}).get("devices") or {}).values():
        used = of(gpu.get("memory_used_bytes"), "used", gpu.get("memory_total_bytes"))
        heat = gpu.get("temperature_celsius")
        told[f"gpu {gpu['index']}"] = ", ".join(
            [render.percent(gpu.get("utilization")), used, *([f"{heat:.0f} °C"] if heat is not None else [])]
        )
    if verdict is not None:
        told["prune"] = "; ".join(["yes" if verdict.get("prune") else "no", *map(str, verdict.get("reasons") or ())])
    return [f"{name:<{LABEL_COLUMNS}}{render.safe(text)}" for name, text in told.items()]


def of(part: float | None, what: str, whole: float | None) -> str:
    """Return an amount and what it is a part of."""
    return f"{render.size(part)} {what} of {render.size(whole)}"


def _waits(pressure: Mapping[str, Any] | None) -> str:
    some = (pressure or {}).get("some")
    return render.percent(some["avg10_share"]) if some else "-"
