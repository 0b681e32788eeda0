"""Decisions, outcomes, events and saved states as rows: JSON, beside what they are searched by."""

import json
import sqlite3
from dataclasses import asdict, dataclass, fields
from typing import Any

from resourced.decision import (
    Candidate,
    Decision,
    Evidence,
    Level,
    LoggedEvent,
    Mode,
    Outcome,
    Scope,
    Step,
)

Item = Decision | Outcome | LoggedEvent


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that is to be written.

    Attributes:
        key: Unique for ever; orders records of the same time.
        item: The record, or the name and JSON of a saved state.
    """

    key: int
    item: Item | tuple[str, str]


def _plain(text: str | None) -> str | None:
    """Return what SQLite can take: no record must keep all others from being written."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def write_entry(connection: sqlite3.Connection, entry: Entry) -> None:
    """Write one record within a transaction; writing it again changes nothing."""
    item = entry.item
    if isinstance(item, Decision):
        target = item.target
        connection.execute(
            "INSERT OR REPLACE INTO decision VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                item.id,
                item.time,
                item.rule,
                _plain(target.unit) if target else None,
                target.uid if target else None,
                _plain(target.name) if target and target.scope is Scope.USER else None,
                to_text(item),
            ),
        )
    elif isinstance(item, Outcome):
        outcome = (entry.key, item.decision_id, item.time, to_text(item))
        connection.execute("INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?)", outcome)
    elif isinstance(item, LoggedEvent):
        event = (entry.key, item.time, item.event, to_text(item))
        connection.execute("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?)", event)
    else:
        connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", item)


def to_text(item: Item) -> str:
    """Return a record as JSON."""
    return json.dumps(asdict(item), separators=(",", ":"), default=str)


def to_decision(text: str) -> Decision:
    """Return the decision that was written, by this release or another."""
    raw = json.loads(text)
    target = raw.get("target")
    raw |= {
        "level": Level(raw["level"]),
        "mode": Mode(raw["mode"]),
        "evidence": tuple(Evidence(**_known(Evidence, each)) for each in raw["evidence"]),
        "candidates": tuple(_candidate(each) for each in raw.get("candidates", ())),
        "target": None if target is None else _candidate(target),
        "steps": tuple(Step(each) for each in raw.get("steps", ())),
    }
    return Decision(**_known(Decision, raw))


def to_outcome(text: str) -> Outcome:
    """Return the outcome that was written."""
    raw = json.loads(text)
    return Outcome(**_known(Outcome, raw | {"step": Step(raw["step"])}))


def to_event(text: str) -> LoggedEvent:
    """Return the event that was written."""
    return LoggedEvent(**_known(LoggedEvent, json.loads(text)))


def _candidate(raw: dict[str, Any]) -> Candidate:
    return Candidate(**_known(Candidate, raw | {"scope": Scope(raw["scope"])}))


def _known(kind: type[Any], raw: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that this release knows."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in raw.items() if key in names}
