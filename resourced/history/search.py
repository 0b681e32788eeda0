"""Finding records: those on disk, and those in memory that may not be there yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from resourced.decision import Decision, LoggedEvent, Outcome, Scope
from resourced.history.reader import Session
from resourced.history.records import to_decision, to_event, to_outcome

R = TypeVar("R", Outcome, LoggedEvent)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which decisions are asked for; None means any."""

    since: float | None = None
    """Only those at or after this time."""
    until: float | None = None
    """Only those at or before this time."""
    rule: str | None = None
    """Only those of one rule."""
    unit: str | None = None
    """Only those whose target belongs to one unit."""
    user: str | None = None
    """Only those whose target belongs to one user, or is one, by id or name."""
    uid: int | None = None
    """The user's id; None if there is no such user."""

    def includes(self, item: Decision) -> bool:
        """Return whether a decision is one of these."""
        return (
            _within(item.time, self.since, self.until)
            and (self.rule is None or item.rule == self.rule)
            and (self.unit is None or (item.target is not None and item.target.unit == self.unit))
            and (self.user is None or self._concerns(item))
        )

    def _concerns(self, item: Decision) -> bool:
        target = item.target
        if target is None:
            return False
        return (self.uid is not None and target.uid == self.uid) or (
            target.scope is Scope.USER and target.name == self.user
        )


def find_decisions(
    session: Session | None,
    kept: Sequence[tuple[int, Decision]],
    wanted: Wanted,
    limit: int,
) -> list[Decision]:
    """Return decisions, newest first; see `History.decisions`."""
    found = {item.id: item for _, item in kept if wanted.includes(item)}
    if session is not None:
        where = _Where(wanted.since, wanted.until)
        where.equal("rule", wanted.rule)
        where.equal("unit", wanted.unit)
        if wanted.user is not None:
            where.add("(uid IS ? OR user IS ?)", -1 if wanted.uid is None else wanted.uid, wanted.user)
        for key, data in where.rows(session, "SELECT id, data FROM decision", "time DESC, id DESC", limit):
            if key not in found:
                found[key] = to_decision(data)
    return sorted(found.values(), key=lambda item: (item.time, item.id), reverse=True)[:limit]


def find_decision(session: Session | None, kept: Sequence[tuple[int, Decision]], identity: str) -> Decision | None:
    """Return one decision, or None if it isn't recorded."""
    found = next((item for _, item in kept if item.id == identity), None)
    if found is None and session is not None:
        rows = session.rows("SELECT data FROM decision WHERE id = ?", (identity,))
        found = to_decision(rows[0][0]) if rows else None
    return found


def find_outcomes(session: Session | None, kept: Sequence[tuple[int, Outcome]], identity: str) -> list[Outcome]:
    """Return the outcomes of a decision, oldest first."""
    found = {key: item for key, item in kept if item.decision_id == identity}
    if session is not None:
        rows = session.rows("SELECT key, data FROM outcome WHERE decision = ?", (identity,))
        found |= {key: to_outcome(data) for key, data in rows if key not in found}
    return sorted(found.values(), key=lambda item: item.time)


def find_outcomes_since(
    session: Session | None, kept: Sequence[tuple[int, Outcome]], since: float, limit: int
) -> list[Outcome]:
    """Return the outcomes of all decisions at or after a time, newest first."""
    return _newest(session, kept, "SELECT key, data FROM outcome", to_outcome, span=(since, None), limit=limit)


def find_events(
    session: Session | None,
    kept: Sequence[tuple[int, LoggedEvent]],
    *,
    since: float | None,
    until: float | None,
    limit: int,
) -> list[LoggedEvent]:
    """Return events, newest first."""
    return _newest(session, kept, "SELECT key, data FROM event", to_event, span=(since, until), limit=limit)


def _newest(
    session: Session | None,
    kept: Sequence[tuple[int, R]],
    select: str,
    read: Callable[[str], R],
    *,
    span: tuple[float | None, float | None],
    limit: int,
) -> list[R]:
    """Return records of some time, newest first."""
    found = {key: item for key, item in kept if _within(item.time, *span)}
    if session is not None:
        rows = _Where(*span).rows(session, select, "time DESC", limit)
        found |= {key: read(data) for key, data in rows if key not in found}
    return sorted(found.values(), key=lambda item: item.time, reverse=True)[:limit]


def _within(time: float, since: float | None, until: float | None) -> bool:
    return (since is None or time >= since) and (until is None or time <= until)


class _Where:
    """A condition in the making."""

    def __init__(self, since: float | None, until: float | None) -> None:
        self._conditions: list[str] = []
        self._values: list[Any] = []
        if since is not None:
            self.add("time >= ?", since)
        if until is not None:
            self.add("time <= ?", until)

    def add(self, condition: str, *values: Any) -> None:
        self._conditions.append(condition)
        self._values += values

    def equal(self, column: str, value: str | None) -> None:
        if value is not None:
            self.add(f"{column} = ?", value)

    def rows(self, session: Session, select: str, order: str, limit: int) -> list[Any]:
        where = f" WHERE {' AND '.join(self._conditions)}" if self._conditions else ""
        return session.rows(f"{select}{where} ORDER BY {order} LIMIT ?", (*self._values, limit))
