"""Columns come back bit by bit, in few bytes; damaged bytes are told."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from resourced.errors import HistoryCorrupt
from resourced.history.codec import decode_column, encode_column

COUNTER = np.cumsum(np.tile([100.0, 101.0, 99.0, 100.0], 900))


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()


@given(arrays(np.uint64, st.integers(1, 300), elements=st.integers(0, 2**64 - 1)))
def test_any_bits_come_back(bits: np.ndarray) -> None:
    column = bits.view(np.float64)

    assert same_bits(decode_column(encode_column(column), len(column)), column)


@given(
    st.lists(
        st.one_of(
            st.just(float("nan")),
            st.integers(-(2**60), 2**60).map(float),
            st.integers(0, 10**6).map(lambda hundredths: hundredths / 100),
            st.sampled_from([0.0, -0.0, float("inf"), float("-inf"), 2.0**53, 1e308, 5e-324]),
        ),
        min_size=1,
        max_size=300,
    )
)
def test_numbers_of_kernels_come_back(values: list[float]) -> None:
    column = np.array(values)

    assert same_bits(decode_column(encode_column(column), len(column)), column)


@pytest.mark.parametrize(
    ("column", "most_bytes"),
    [
        (np.full(3600, 5.0), 9),
        (np.full(3600, np.nan), 0),
        (COUNTER, 200),
        (COUNTER / 100, 200),
        (np.where(np.arange(3600) < 1800, np.nan, 5.0), 60),
        (np.round(np.sin(np.arange(3600) / 50) * 1e9), 9000),
    ],
    ids=["constant", "nothing", "counter", "hundredths", "half a gap", "smooth"],
)
def test_what_hardly_changes_costs_hardly_anything(column: np.ndarray, most_bytes: int) -> None:
    data = encode_column(column)

    assert len(data) <= most_bytes
    assert same_bits(decode_column(data, len(column)), column)


def test_one_value_is_a_column() -> None:
    assert decode_column(encode_column(np.array([3.25])), 1).tolist() == [3.25]


@pytest.mark.parametrize("column", [COUNTER, np.random.default_rng(1).random(500), np.array([1.0, np.nan, 2.0])])
@pytest.mark.parametrize("cut", [1, 2, 5])
def test_bytes_that_are_cut_short_are_told(column: np.ndarray, cut: int) -> None:
    data = encode_column(column)

    with pytest.raises(HistoryCorrupt):
        decode_column(data[: len(data) // cut - 1] or b"\xff", len(column))


def test_a_column_of_another_length_is_told() -> None:
    with pytest.raises(HistoryCorrupt, match="3600 values where 10 were written"):
        decode_column(encode_column(COUNTER), 10)


def test_an_unknown_form_is_told() -> None:
    with pytest.raises(HistoryCorrupt, match="kind 9"):
        decode_column(struct.pack("<Bd", 9, 1.0), 1)
