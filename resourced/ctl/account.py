"""What the daemon says of itself, as text: what it costs, what it reads, who listens, who takes part."""

from collections.abc import Iterator, Mapping
from typing import Any

from resourced.ctl import render

_QUIET = {"ok", "absent", "off"}
_TOLD = {
    *("version", "pid", "uptime_seconds", "cpu_seconds", "memory_bytes", "threads", "descriptors", "log_level"),
    *("log_lines_dropped", "sampling", "history", "listeners", "configuration", "policy", "rivals", "status"),
    *("workloads",),
}


def daemon_lines(daemon: Mapping[str, Any], collectors: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the daemon's account of itself: what a line is about, nothing if it goes on, and what it says.

    Args:
        daemon: The answer of /healthz, and how many workloads there are by state.
        collectors: How each collector does, from /resources/all.
    """
    yield from _lines(daemon, collectors)
    more = {name: value for name, value in daemon.items() if name not in _TOLD}
    for line in render.pairs(more).split("\n"):
        yield "", line


def _lines(daemon: Mapping[str, Any], collectors: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    up, used = daemon.get("uptime_seconds"), daemon.get("cpu_seconds")
    up_text = render.quantity(up, "s")
    yield "resourced", f"{daemon.get('version', '-')}, pid {daemon.get('pid', '-')}, up {up_text}"
    share = used / up if up and used is not None else None
    yield "cpu", f"{render.percent(share)} of one processor since its start"
    counts = f"{daemon.get('threads', '-')} threads, {daemon.get('descriptors', '-')} descriptors"
    yield "memory", f"{render.size(daemon.get('memory_bytes'))}, {counts}"
    yield "sampling", _sampling(daemon.get("sampling") or {})
    good = [name for name, health in collectors.items() if health.get("status") == "ok"]
    yield "collectors", f"{len(good)} of {len(collectors)} deliver"
    for name, health in collectors.items():
        if health.get("status") != "ok":
            loud = health.get("status") not in _QUIET
            yield (
                "",
                f"{name} {'! ' if loud else ''}{health.get('status')}: {health.get('reason') or 'no reason given'}",
            )
    policy = daemon.get("policy") or {}
    rules = f"{len(policy.get('rules') or ())} rules"
    yield "policy", ", ".join(str(each) for each in (policy.get("profile"), policy.get("mode"), rules) if each)
    yield "workloads", _workloads(daemon.get("workloads"))
    yield "rivals", ", ".join(map(str, daemon.get("rivals") or ())) or "none"
    for number, listener in enumerate(daemon.get("listeners") or ["-"]):
        yield ("listeners" if not number else ""), str(listener)
    yield "settings", str(daemon.get("configuration", "-"))
    dropped = daemon.get("log_lines_dropped") or 0
    yield "log", f"{daemon.get('log_level', '-')}{f', {dropped} lines dropped' if dropped else ''}"


def _sampling(told: Mapping[str, Any]) -> str:
    every, age, lag, took = (
        render.quantity(told.get(f"{name}_seconds"), "s") for name in ("interval", "age", "lag", "duration")
    )
    return f"every {every}; the newest is {age} old, came {lag} late and took {took}"


def _workloads(states: Mapping[str, int] | None) -> str:
    """Return how many take part, by state."""
    if states is None:
        return "-"
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "none"
