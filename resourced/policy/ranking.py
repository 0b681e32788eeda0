"""In which order candidates give way: named strategies, each a term between 0 and its weight, summed to the score."""

from collections.abc import Callable, Sequence

from resourced.decision import Candidate
from resourced.policy.candidates import Population, Thing, gather
from resourced.policy.protection import goes_last, protection
from resourced.policy.rule import Rule
from resourced.snapshot.processes import FIRST_PERSON_UID, Process

MOST_SHOWN = 100
"""Candidates that a decision lists; a machine may have thousands of processes."""


def total_of(population: Population) -> float | None:
    """Return all that the machine has of the resource; None if unknown or without a total."""
    snapshot = population.snapshot
    if snapshot is None:
        return None
    if population.resource == "gpu_memory":
        sizes = [device.memory_total_bytes for device in population.gpus.values() if device.memory_total_bytes]
        return float(max(sizes)) if sizes else None
    if population.resource == "cpu":
        return float(snapshot.cpu.logical_count) if snapshot.cpu else None
    memory = snapshot.memory
    if memory is None or population.resource not in ("memory", "swap"):
        return None
    total = memory.total_bytes if population.resource == "memory" else memory.swap_total_bytes
    return float(total or 0) or None  # of the past not even the total need be known


def least_gain(rule: Rule, population: Population) -> float:
    """Return what a target must free at least, in the resource's unit."""
    if not rule.gain.relative:
        return rule.gain.amount
    return rule.gain.amount * (total_of(population) or 0.0)


def rank(population: Population, rule: Rule, tried: dict[str, float]) -> list[Candidate]:
    """Return all candidates: first those that may be pruned, best first, then those passed over, then the protected.

    Args:
        population: Who lives on the machine.
        rule: Says scope, strategies and what must be gained.
        tried: Seconds since somebody was chosen in vain, by key.
    """
    things = gather(population, rule.scope)
    priorities = rule.shield.priorities
    for thing in things:
        for selector, priority in priorities:
            if selector.matches(unit=thing.unit, cgroup=thing.path, uid=thing.uid, name=thing.command):
                thing.priority = priority
                break
    tick = population.tick
    terms = _terms(things, rule, population)
    least = least_gain(rule, population)
    rows: list[tuple[tuple[int, float, float, str], Candidate]] = []
    for thing, mine in zip(things, terms, strict=True):
        protected = protection(thing, tick, rule)
        note = None if protected else _note(thing, least, tried)
        last = None if protected or note else goes_last(thing, tick)
        group = 3 if protected else 2 if note else 1 if last else 0
        score = sum(mine.values())
        candidate = _candidate(thing, score, mine, protected, note or last)
        rows.append(((group, -score, -(thing.usage or 0.0), thing.key), candidate))
    rows.sort(key=lambda row: row[0])
    return [candidate for _, candidate in rows]


def eligible(candidate: Candidate) -> bool:
    """Return whether a ranked candidate may be the target: neither protected nor passed over."""
    return candidate.protected is None and not (candidate.note or "").startswith(_PASSED)


_PASSED = "passed over: "


def _note(thing: Thing, least: float, tried: dict[str, float]) -> str | None:
    if thing.usage is None:
        return f"{_PASSED}it can't be told what it holds"
    if thing.usage <= 0 or thing.usage < least:
        return f"{_PASSED}too little would be gained"
    since = tried.get(thing.key)
    if since is not None:
        return f"{_PASSED}it was chosen {since:.0f} s ago and is still there"
    if thing.members and all(_stuck(each) for each in thing.members):
        return f"{_PASSED}it waits for I/O without interruption and would not die now"
    return None


def _stuck(process: Process) -> bool:
    """Return whether a process waits for what does not come: who thrashes waits as well, for a moment at a time."""
    moved = (process.cpu_utilization, process.io_read_bytes_per_second, process.io_write_bytes_per_second)
    return process.state == "D" and process.cpu_utilization is not None and not any(moved)


def _candidate(
    thing: Thing, score: float, terms: dict[str, float], protected: str | None, note: str | None
) -> Candidate:
    return Candidate(
        thing.scope,
        thing.key,
        thing.name,
        thing.pid,
        thing.start_time_ticks,
        thing.path,
        thing.unit,
        thing.uid,
        thing.gpu,
        thing.usage,
        thing.usage,
        score,
        terms,
        protected,
        note,
    )


def _terms(things: Sequence[Thing], rule: Rule, population: Population) -> list[dict[str, float]]:
    """Each strategy's values are divided by their maximum, so that terms of different units may be added."""
    terms: list[dict[str, float]] = [{} for _ in things]
    for name, weight in rule.rank:
        values = _STRATEGIES[name](things, population)
        top = max(values, default=0.0)
        for mine, value in zip(terms, values, strict=True):
            mine[name] = weight * value / top if top > 0 else 0.0
    return terms


def _positive(value: float | None) -> float:
    return max(0.0, value) if value is not None else 0.0


def _newest(things: Sequence[Thing], _: Population) -> list[float]:
    """0 for the oldest, growing with the start time; what has no start time counts as oldest."""
    starts = [thing.newest for thing in things if thing.newest is not None]
    oldest = min(starts, default=0.0)
    return [0.0 if thing.newest is None else thing.newest - oldest for thing in things]


def _lowest_priority(things: Sequence[Thing], _: Population) -> list[float]:
    highest = max((thing.priority for thing in things), default=0.0)
    return [highest - thing.priority for thing in things]


def _over_share(things: Sequence[Thing], population: Population) -> list[float]:
    """How far the owner is above an equal share of what all users hold together."""
    held: dict[int, float] = {}
    for process in population.processes.values():
        if process.uid is not None and process.uid >= FIRST_PERSON_UID:
            held[process.uid] = held.get(process.uid, 0.0) + _positive(population.usage(process))
    fair = sum(held.values()) / len(held) if held else 0.0
    return [_positive(held.get(thing.uid, 0.0) - fair) if thing.uid is not None else 0.0 for thing in things]


_STRATEGIES: dict[str, Callable[[Sequence[Thing], Population], list[float]]] = {
    "largest": lambda things, _: [_positive(thing.usage) for thing in things],
    "fastest_growing": lambda things, _: [_positive(thing.growth) for thing in things],
    "over_share": _over_share,
    "newest": _newest,
    "lowest_priority": _lowest_priority,
    "most_reclaim": lambda things, _: [_positive(thing.reclaim) for thing in things],
    "gpu_idle_memory": lambda things, _: [_positive(thing.idle_memory) for thing in things],
}
