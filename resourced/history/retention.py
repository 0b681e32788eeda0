"""What goes, and when: the oldest first, by age and by bytes, in steps that are over quickly."""

from dataclasses import dataclass

from resourced.history.blocks import PARTS_OF_A_BLOCK
from resourced.history.cells import HOUR, MINUTE
from resourced.history.reader import Session
from resourced.history.rollup import roll
from resourced.history.settings import HistorySettings
from resourced.history.store import WAL_BYTES, Store, translated

_PAGES_A_STEP = 512
_FULL = 0.97
_LEAST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Removed:
    """What one step removed.

    Attributes:
        before: End of what is gone, if it went before its age; None for the usual.
        reason: Why.
    """

    before: float | None
    reason: str


def retain(store: Store, settings: HistorySettings, now: float | None) -> Removed | None:
    """Take one step: remove one block or some records that are too old, give back free pages, or keep to the size.

    Args:
        store: Where.
        settings: What is kept.
        now: Wall time; None if it is not known well enough to tell what is too old.

    Returns:
        What was done, or None if there is nothing to do.
    """
    with translated():
        old = None if now is None else _too_old(store, settings, now)
        return old or _too_many(store, settings) or _free_pages(store)


def _too_old(store: Store, settings: HistorySettings, now: float) -> Removed | None:
    ages = ((0, settings.raw_seconds), (MINUTE, settings.minute_seconds), (HOUR, settings.hour_seconds))
    for tier, age in ages:
        row = _oldest(store, tier)
        if row is not None and row[1] < now - age:
            if tier == 0:
                _keep_cells(store, row[0])
            _remove_block(store, row[0])
            return Removed(None, "age")
    for table, age in (
        ("tops", settings.tops_seconds),
        ("decision", settings.decisions_seconds),
        ("outcome", settings.decisions_seconds),
        ("event", settings.events_seconds),
    ):
        column = "end" if table == "tops" else "time"
        key = {"tops": "id", "decision": "id"}.get(table, "key")
        rows = store.connection.execute(
            f"SELECT {key} FROM {table} WHERE {column} < ? LIMIT 100",  # noqa: S608 - names from this table
            (now - age,),
        ).fetchall()
        if rows:
            with store.transaction(durable=False) as connection:
                connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", rows)  # noqa: S608 - likewise
            return Removed(None, "age")
    return None


def _oldest(store: Store, tier: int) -> tuple[int, float] | None:
    row = store.connection.execute(
        "SELECT id, end FROM block WHERE tier = ? ORDER BY first, id LIMIT 1", (tier,)
    ).fetchone()
    return None if row is None else (int(row[0]), float(row[1]))


def _remove_block(store: Store, number: int) -> None:
    keys = (number * PARTS_OF_A_BLOCK, (number + 1) * PARTS_OF_A_BLOCK)
    with store.transaction(durable=False) as connection:
        connection.execute("DELETE FROM block WHERE id = ?", (number,))
        connection.execute("DELETE FROM part WHERE id >= ? AND id < ?", keys)


def _too_many(store: Store, settings: HistorySettings) -> Removed | None:
    """Remove the block whose loss hurts least: single ticks that the tiers have as well, then minutes, then hours."""
    used = store.used_bytes()
    if used <= max(settings.max_bytes * _FULL - WAL_BYTES, _LEAST_BYTES):
        return None
    reason = f"{used} bytes are used, {settings.max_bytes} are allowed"
    row = store.connection.execute("SELECT id, end FROM tops ORDER BY first LIMIT 1").fetchone()
    raw = _oldest(store, 0)
    if row is not None and (raw is None or row[1] <= raw[1]):
        with store.transaction(durable=False) as connection:
            connection.execute("DELETE FROM tops WHERE id = ?", (row[0],))
        return Removed(float(row[1]), reason)
    for tier in (0, MINUTE, HOUR):
        found = _oldest(store, tier)
        if found is not None:
            if tier == 0:
                _keep_cells(store, found[0])
            _remove_block(store, found[0])
            return Removed(found[1], reason)
    return None


def _keep_cells(store: Store, number: int) -> None:
    """See that the tiers have a block of single ticks before it goes."""
    (first,) = store.connection.execute("SELECT first FROM block WHERE id = ?", (number,)).fetchone()
    while first > Session(store.connection).rolled() and roll(store, 0.0, force=True):
        pass


def _free_pages(store: Store) -> Removed | None:
    (free,) = store.connection.execute("PRAGMA freelist_count").fetchone()
    if free <= _PAGES_A_STEP:
        return None
    store.connection.execute(f"PRAGMA incremental_vacuum({_PAGES_A_STEP})").fetchall()
    return Removed(None, "space")
