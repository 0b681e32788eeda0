"""`resourcectl watch`: what happens, as it happens."""

from collections.abc import Callable, Iterator
from typing import Any

import click

from resourced.client import ApiError, Client
from resourced.client.sse import ServerEvent
from resourced.ctl import render, screen
from resourced.ctl.options import common
from resourced.ctl.session import Session


@click.command()
@click.option("--kind", "kinds", multiple=True, help="Only this kind: decision, outcome, rule, collector, event, …")
@click.option("--rule", help="Only what this rule is about.")
@click.option("--unit", help="Only what is about this unit.")
@click.option("--since", help="Begin with what was recorded since a time, or how long ago.")
@click.option("-n", "--count", type=click.IntRange(1), help="End after so many.")
@common
def watch(
    session: Session,
    *,
    kinds: tuple[str, ...],
    rule: str | None,
    unit: str | None,
    since: str | None,
    count: int | None,
) -> None:
    """Show what happens, as it happens.

    A daemon that restarts is waited for, and then decisions, outcomes and logged events in between are shown; what
    rules, collectors and workloads did meanwhile is not.
    """
    with session.client(patience_seconds=60.0 if count is None else 0.0) as client:
        number, rules = 0, _Rules(client)
        for event in client.events(kinds or None, since=since):
            if not (rule is None or rule in (*_named(event.data, "rule"), rules.of(event))):
                continue
            if not (unit is None or unit in _named(event.data, "unit")):
                continue
            number += 1
            if session.as_json:
                session.show_json({"kind": event.kind, "id": event.id, "data": event.data})
            else:
                screen.show(line(event))
            if number == count:
                return


class _Rules:
    """Knows to which rule an outcome belongs, which itself names only its decision.

    Args:
        client: Asks the daemon.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, str | None] = {}

    def of(self, event: ServerEvent) -> str | None:
        """Return the rule of an outcome's decision; None for all other events."""
        data: Any = event.data if isinstance(event.data, dict) else {}
        if event.kind == "decision" and "id" in data:
            self._known[data["id"]] = data.get("rule")
        decision = data.get("decision_id")
        if decision is None:
            return None
        if decision not in self._known:
            try:
                self._known[decision] = self._client.get(f"/decisions/{decision}")["decision"]["rule"]
            except ApiError:
                self._known[decision] = None
        return self._known[decision]


def _named(data: Any, name: str) -> Iterator[Any]:
    if isinstance(data, dict):
        yield data.get(name)
        for inner in ("target", "workload", "fields", "request"):
            if isinstance(data.get(inner), str):
                yield data[inner] if name == "unit" else None
            else:
                yield from _named(data.get(inner), name)


def line(event: ServerEvent) -> str:
    """Return one event as a line: when, what kind, and what happened."""
    data: dict[str, Any] = event.data if isinstance(event.data, dict) else {"message": str(event.data)}
    moment = data.get("time") or (data.get("health") or {}).get("time")
    return f"{render.moment(moment)}  {event.kind:<9} {render.safe(_told(event.kind, data))}"


def _told(kind: str, data: dict[str, Any]) -> str:
    teller = _TELLERS.get(kind)
    if teller is not None:
        try:
            return teller(data)
        except (KeyError, TypeError):  # of a daemon that tells it otherwise
            pass
    return str(data.get("message") or data.get("detail") or data.get("rule") or "-")


def _decision(data: dict[str, Any]) -> str:
    target = (data.get("target") or {}).get("name") or "nobody"
    return f"{data['rule']} ({data['level']}, {data['mode']}): {target}"


def _outcome(data: dict[str, Any]) -> str:
    detail = f": {data['detail']}" if data.get("detail") else ""
    return f"{data['step']} {data['result']} on {data['target']}{detail}"


def _rule(data: dict[str, Any]) -> str:
    about = f"{data['rule']} {data['instance']}" if data.get("instance") else data["rule"]
    return f"{about} is {data['phase']}"


def _collector(data: dict[str, Any]) -> str:
    reason = f": {data['health']['reason']}" if data["health"].get("reason") else ""
    return f"{data['collector']} is {data['health']['status']}{reason}"


def _workload(data: dict[str, Any]) -> str:
    why = f": {data['reason']}" if data.get("reason") else ""
    return f"{data['workload']['name']} ({data['workload']['id']}) {data['change']}{why}"


_TELLERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "decision": _decision,
    "outcome": _outcome,
    "rule": _rule,
    "collector": _collector,
    "workload": _workload,
    "sample": lambda data: f"sample {data['sequence']}",
}
