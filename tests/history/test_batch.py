"""Rows of ticks as columns: deflated in memory, in slots on disk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.history.batch import MONOTONIC, SEQUENCE, TIME, Tick, floats, make_batch
from resourced.history.columns import join
from resourced.history.layout import Layout
from resourced.history.slots import SLOT_BYTES, Record, from_slots, to_slots
from tests.history.fakes import AVAILABLE, LAYOUT, RECEIVED, SENT, SWITCHES


def ticks(count: int, at: float = 0.0) -> list[Tick]:
    return [Tick(at + n, 10.0 + n, n + 1, floats([n * 1.5, None, 7.0, float(n)])) for n in range(count)]


def test_a_batch_gives_its_columns() -> None:
    batch = make_batch(3, Layout(LAYOUT), "boot", ticks(4, at=100.0))

    assert (batch.first, batch.last, batch.count, batch.start, batch.end) == (3, 3, 4, 100.0, 103.0)
    assert batch.own(TIME).tolist() == [100.0, 101.0, 102.0, 103.0]
    assert batch.own(MONOTONIC).tolist() == [10.0, 11.0, 12.0, 13.0]
    assert batch.own(SEQUENCE).tolist() == [1, 2, 3, 4]
    column = batch.column(AVAILABLE)
    assert column is not None
    assert column.tolist() == [0.0, 1.5, 3.0, 4.5]
    unknown = batch.column(SWITCHES)
    assert unknown is not None
    assert np.isnan(unknown).all()
    assert make_batch(0, Layout([AVAILABLE]), "", [Tick(1.0, 1.0, 1, floats([1.0]))]).column(SENT) is None


def test_pieces_join_though_series_come_and_go() -> None:
    one = make_batch(0, Layout([AVAILABLE, SENT]), "boot", [Tick(n, n, 1, floats([1.0, 2.0])) for n in (1.0, 2.0)])
    other = make_batch(1, Layout([RECEIVED, AVAILABLE]), "boot", [Tick(3.0, 3.0, 3, floats([9.0, 5.0]))])

    joined = join([join([one]), other])

    assert (joined.first, joined.last, joined.count, joined.start, joined.end) == (0, 1, 3, 1.0, 3.0)
    columns = {s: joined.column(s) for s in (AVAILABLE, SENT, RECEIVED)}
    known = {s: None if c is None else [None if np.isnan(v) else v for v in c.tolist()] for s, c in columns.items()}
    assert known == {AVAILABLE: [1, 1, 5], SENT: [2, 2, None], RECEIVED: [None, None, 9]}
    assert joined.column(SWITCHES) is None


RECORDS = st.builds(
    Record,
    first=st.integers(0, 2**40),
    layout=st.integers(0, 2**31),
    boot=st.sampled_from(["", "2c7d2f0e-1f1c-4d1a-9d5b-0f6a3c1b2a4d", "x" * 400]),
    count=st.integers(1, 10**6),
    start=st.floats(0, 1e10),
    end=st.floats(0, 1e10),
    body=st.binary(max_size=5000),
    tops=st.binary(max_size=2000),
)


@given(st.lists(RECORDS, max_size=5, unique_by=lambda record: record.first), st.randoms())
def test_slots_give_back_what_was_put_in(records: list[Record], random: object) -> None:
    slots = [data for record in records for data in to_slots(record)]
    assert all(len(data) == SLOT_BYTES for data in slots)
    numbered = list(enumerate(slots, 1))
    random.shuffle(numbered)  # type: ignore[attr-defined]  # hypothesis gives random.Random

    found, taken = from_slots(numbered, -1)

    wanted = [Record(**{f: getattr(r, f) for f in Record.__slots__} | {"boot": r.boot[:255]}) for r in records]
    assert found == sorted(wanted, key=lambda record: record.first)
    assert taken.keys() == {number for number, _ in numbered}


def test_slots_of_packed_batches_are_free() -> None:
    record = Record(7, 1, "", 1, 0.0, 0.0, b"x" * 3000, b"")

    assert from_slots(enumerate(to_slots(record)), 7) == ([], {})


@pytest.mark.parametrize("harm", ["cut", "changed", "missing"])
def test_a_damaged_slot_takes_only_its_batch_along(harm: str) -> None:
    slots = to_slots(Record(1, 1, "", 1, 0.0, 0.0, b"x" * 3000, b""))
    whole = Record(2, 1, "", 1, 0.0, 0.0, b"y", b"")
    if harm == "cut":
        slots[1] = slots[1][:100]
    elif harm == "changed":
        slots[1] = slots[1][:-1] + b"!"
    else:
        del slots[1]

    found, taken = from_slots(enumerate([*slots, *to_slots(whole)]), -1)

    assert found == [whole]
    assert list(taken.values()) == [2]
