"""Records that wait to be written, and the newest of all, so that they can be asked for at once and without a store."""

import secrets
import threading
from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from resourced.decision import Decision, LoggedEvent, Outcome
from resourced.history.records import Entry, Item

_KEPT = 1000
_MOST_WAITING = 20_000
_STATE_SECONDS = 60.0

T = TypeVar("T", Decision, Outcome, LoggedEvent)


class Backlog:
    """Keeps records in memory. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque(maxlen=_MOST_WAITING)
        self._kept: dict[type, deque[Entry]] = {kind: deque(maxlen=_KEPT) for kind in (Decision, Outcome, LoggedEvent)}
        self._states: dict[str, str] = {}
        self._unsaved: set[str] = set()
        self._saved_at: float | None = None

    def add(self, item: Item) -> None:
        """Take a record."""
        entry = Entry(secrets.randbits(62), item)
        with self._lock:
            self._waiting.append(entry)
            self._kept[type(item)].append(entry)

    def add_state(self, name: str, text: str) -> None:
        """Take a saved state; it replaces the one of the same name."""
        with self._lock:
            self._states[name] = text
            self._unsaved.add(name)

    def state(self, name: str) -> str | None:
        """Return a saved state, or None if none of this name was taken."""
        with self._lock:
            return self._states.get(name)

    def waiting(self, now: float, *, all_states: bool) -> list[Entry]:
        """Return what is to be written now, oldest first.

        Args:
            now: Monotonic seconds.
            all_states: Whether saved states are due, which otherwise are written once a minute and with records:
                they change with every sample and are worth little when there was nothing to decide.
        """
        with self._lock:
            found = list(self._waiting)
            due = self._saved_at is None or now - self._saved_at >= _STATE_SECONDS
            if self._unsaved and (found or all_states or due):
                found += [Entry(0, (name, self._states[name])) for name in sorted(self._unsaved)]
            return found

    def written(self, entries: Iterable[Entry], now: float) -> None:
        """Forget that these are to be written."""
        entries = list(entries)
        keys = {entry.key for entry in entries}
        with self._lock:
            self._waiting = deque((e for e in self._waiting if e.key not in keys), maxlen=_MOST_WAITING)
            for entry in entries:
                if isinstance(entry.item, tuple):
                    self._saved_at = now
                    name, text = entry.item
                    if self._states.get(name) == text:
                        self._unsaved.discard(name)

    def rewrite(self) -> None:
        """Take everything in memory as not written: the store that had it is gone."""
        with self._lock:
            waiting = {entry.key: entry for kept in self._kept.values() for entry in kept}
            waiting |= {entry.key: entry for entry in self._waiting}
            self._waiting = deque(waiting.values(), maxlen=_MOST_WAITING)
            self._unsaved = set(self._states)

    @property
    def urgent(self) -> bool:
        """Return whether records wait."""
        return bool(self._waiting)

    def kept(self, kind: type[T]) -> list[tuple[int, T]]:
        """Return the newest records of a kind with their keys, oldest first; those that wait are among them."""
        with self._lock:
            found = {entry.key: entry.item for entry in self._kept[kind]}
            found |= {entry.key: entry.item for entry in self._waiting if isinstance(entry.item, kind)}
            return [(key, item) for key, item in found.items() if isinstance(item, kind)]
