"""`resourcectl status` and `resourcectl catalog`."""

from typing import Any

import click

from resourced.ctl import render
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
    if session.as_json:
        session.show_json({"daemon": daemon, "prune": verdict, "collectors": machine.get("collectors")})
        return
    click.echo(_machine(machine))
    answer = "yes" if verdict.get("prune") else "no"
    click.echo(f"{'prune':<10}{answer}")
    for reason in verdict.get("reasons", []):
        click.echo(f"{'':<10}{render.safe(str(reason))}")
    for name, health in machine.get("collectors", {}).items():
        if health.get("status") not in {"ok", "absent", "off"}:
            click.echo(f"{name:<10}{health.get('status')}: {render.safe(str(health.get('reason')))}")
    store = daemon.pop("history", {})
    click.echo("daemon")
    click.echo(render.pairs(daemon, "  "))
    click.echo("history")
    click.echo(store_text(store, "  "))


def _machine(all_: dict[str, Any]) -> str:
    cpu, memory = all_.get("cpu") or {}, all_.get("memory") or {}
    gpus = ((all_.get("gpus") or {}).get("devices") or {}).values()
    told = {
        "time": render.moment(all_.get("time")),
        "cpu": f"{render.percent(cpu.get('utilization'))} of {cpu.get('logical_count', '-')} processors",
        "memory": _of(memory.get("available_bytes"), "available", memory.get("total_bytes")),
        "swap": _of(memory.get("swap_used_bytes"), "used", memory.get("swap_total_bytes")),
    }
    for gpu in gpus:
        used = _of(gpu.get("memory_used_bytes"), "used", gpu.get("memory_total_bytes"))
        told[f"gpu {gpu['index']}"] = f"{render.percent(gpu.get('utilization'))}, {used}"
    return "\n".join(f"{name:<10}{text}" for name, text in told.items())


def _of(part: float | None, what: str, whole: float | None) -> str:
    return f"{render.size(part)} {what} of {render.size(whole)}"


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
    click.echo(render.columns(("NAME", "UNIT", "KIND", "MEANING"), rows, left=4))
