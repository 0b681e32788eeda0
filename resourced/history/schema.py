"""The store's tables, and how those of earlier releases become today's.

| table | holds |
|---|---|
| meta | the store's identity, and up to which batch everything is in blocks |
| series | the number of each series; the blocks name series by it |
| layout | the numbers of the series of a tick, in order |
| slot | recent batches: rows of one size that are overwritten in place, see `slots` |
| block | one hour of ticks, or one day of cells: its stamps and the directory of its parts |
| part | the columns of some series of a block |
| tops | one hour of the largest cgroups and processes |
| decision, outcome, event, state | records as JSON, with what they are searched by |

Pages are small (1 KiB) because a flush changes three of them every ten seconds, and whole pages are what is written.
"""

import sqlite3
from collections.abc import Callable

APPLICATION_ID = 0x72737264
"""Marks the file as a store of ours (PRAGMA application_id)."""

PAGE_BYTES = 1024

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE series (
    id INTEGER PRIMARY KEY, metric TEXT NOT NULL, labels TEXT NOT NULL, seen REAL NOT NULL, UNIQUE (metric, labels));
CREATE TABLE layout (id INTEGER PRIMARY KEY, series BLOB NOT NULL UNIQUE);
CREATE TABLE slot (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE block (
    id INTEGER PRIMARY KEY, tier INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    start REAL NOT NULL, end REAL NOT NULL, count INTEGER NOT NULL, boot TEXT NOT NULL, bytes INTEGER NOT NULL,
    samples INTEGER NOT NULL, rolled INTEGER NOT NULL DEFAULT 0, head BLOB NOT NULL);
CREATE INDEX block_order ON block (tier, first);
CREATE TABLE part (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE tops (
    id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, start REAL NOT NULL, end REAL NOT NULL,
    data BLOB NOT NULL);
CREATE TABLE decision (
    id TEXT PRIMARY KEY, time REAL NOT NULL, rule TEXT NOT NULL, unit TEXT, uid INTEGER, user TEXT, data TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX decision_time ON decision (time);
CREATE TABLE outcome (key INTEGER PRIMARY KEY, decision TEXT NOT NULL, time REAL NOT NULL, data TEXT NOT NULL);
CREATE INDEX outcome_decision ON outcome (decision);
CREATE TABLE event (key INTEGER PRIMARY KEY, time REAL NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX event_time ON event (time);
CREATE TABLE state (name TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
"""


def _first(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def _second(connection: sqlite3.Connection) -> None:
    """Find outcomes by their own time: a stream that goes on asks for those of decisions that are long past, too."""
    connection.execute("CREATE INDEX outcome_time ON outcome (time)")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first, _second)
"""Step n turns schema n into n + 1; schema 0 is an empty file."""

VERSION = len(MIGRATIONS)
"""Today's schema (PRAGMA user_version)."""

READABLE = 1
"""The oldest schema that is read as it is, in a recording: what came since only makes questions faster."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to today's schema, in one transaction for all steps.

    Args:
        connection: In autocommit mode, to a store whose schema is not newer than today's.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for step in MIGRATIONS[version:]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
