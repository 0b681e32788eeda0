"""From JSON to the dataclasses that the daemon itself uses. pydantic and the snapshot are imported on first use."""

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from resourced.client.errors import ApiError
from resourced.decision import Decision, Outcome, Verdict

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from resourced.snapshot import Health, Snapshot


@dataclass(frozen=True, slots=True)
class Resource:
    """One section of the newest snapshot.

    Attributes:
        name: Name of the section.
        sequence: Number of the sample.
        time: Wall time of the sample, seconds since the epoch.
        monotonic_seconds: The same moment on CLOCK_MONOTONIC.
        health: How the value came about; `usable` says whether it belongs to this very sample.
        value: The section (`resourced.snapshot`), or None if it was never read.
    """

    name: str
    sequence: int
    time: float
    monotonic_seconds: float
    health: "Health | None"
    value: Any


@dataclass(frozen=True, slots=True)
class Table:
    """Values from the history, a column a series; a gap is None.

    Attributes:
        times: Wall time of each row, seconds since the epoch.
        series: Columns by the name of the series.
        units: UCUM unit of each series.
        step_seconds: Width of one row; None where single samples are given.
        raw: The whole answer.
    """

    times: tuple[float, ...]
    series: dict[str, tuple[float | None, ...]]
    units: dict[str, str] = field(default_factory=dict)
    step_seconds: float | None = None
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopItem:
    """One of those that used most over a time.

    Attributes:
        name: What a person calls it.
        key: What tells it from others of that name.
        peak: Largest use at one recorded moment.
        mean: Mean over all recorded moments; where it was not among the largest it counts as 0.
        last: Use at the last moment at which it was among the largest.
        start: When it was first among the largest, seconds since the epoch.
        end: When it was last among the largest.
        moments: At how many recorded moments it was among the largest.
    """

    name: str
    key: str
    peak: float
    mean: float
    last: float
    start: float
    end: float
    moments: int


@dataclass(frozen=True, slots=True)
class Top:
    """Who used most over a time.

    Attributes:
        start: First second asked for, since the epoch.
        end: Last second asked for.
        of: Kind of thing, or a label.
        by: What was used.
        unit: UCUM unit of the values.
        moments: Recorded moments.
        entries: Largest first.
    """

    start: float
    end: float
    of: str
    by: str
    unit: str
    moments: int
    entries: tuple[TopItem, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision with what came of it."""

    decision: Decision
    outcomes: tuple[Outcome, ...] = ()


SECTION_NAMES = {"gpu": "gpus", "filesystem": "filesystems"}
"""What the paths call a section where the snapshot calls it otherwise."""


@cache
def adapter(kind: Any) -> "TypeAdapter[Any]":
    """Return what validates JSON of this type."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - 20 MB that a caller of should_prune in a shell loop can spare

    return TypeAdapter(kind)


def verdict(body: Any) -> Verdict:
    """Return the answer of /prune."""
    found: Verdict = adapter(Verdict).validate_python(body)
    return found


def decisions(body: Any) -> list[Decision]:
    """Return the answer of /decisions."""
    found: list[Decision] = adapter(list[Decision]).validate_python(items(body, "decisions"))
    return found


def explained(body: Any) -> Explained:
    """Return the answer of /decisions/{id}."""
    inner = body.get("decision", body)
    outcomes = body.get("outcomes") or ()
    return Explained(
        adapter(Decision).validate_python(inner), adapter(tuple[Outcome, ...]).validate_python(tuple(outcomes))
    )


def snapshot(body: Any) -> "Snapshot":
    """Return the answer of /resources/all."""
    from resourced.snapshot import Snapshot  # noqa: PLC0415 - brings all the sections with it

    found: Snapshot = adapter(Snapshot).validate_python(body)
    return found


def resource(name: str, body: dict[str, Any]) -> Resource:
    """Return the answer of /resources/{name}."""
    from typing import get_type_hints  # noqa: PLC0415 - see below

    from resourced.snapshot import Health, Snapshot  # noqa: PLC0415 - brings all the sections with it

    section = SECTION_NAMES.get(name, name)
    kind = get_type_hints(Snapshot)[section]
    health = body.get("collector")
    return Resource(
        name=section,
        sequence=body["sequence"],
        time=body["time"],
        monotonic_seconds=body["monotonic_seconds"],
        health=None if health is None else adapter(Health).validate_python(health),
        value=adapter(kind).validate_python(body.get(section)),
    )


def table(body: dict[str, Any]) -> Table:
    """Return the answer of /history."""
    columns = {item["series"]: tuple(item["values"]) for item in body["series"]}
    units = {item["series"]: item["unit"] for item in body["series"]}
    return Table(tuple(body["times"]), columns, units, body["step_seconds"], body)


def top(body: Any) -> Top:
    """Return the answer of /history/top."""
    found: Top = adapter(Top).validate_python(body)
    return found


def items(body: Any, key: str) -> list[Any]:
    """Return the list in an answer that is a list, or an object with the list under a key."""
    found = body.get(key) if isinstance(body, dict) else body
    if not isinstance(found, list):
        raise ApiError(200, {"title": "Answer not understood", "detail": f"there is no list of {key} in it"})
    return found
