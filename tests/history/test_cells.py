"""Blocks of columns, and the cells of tiers."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resourced.errors import HistoryCorrupt
from resourced.history.blocks import PART_BYTES, read_head, unseal, write_block
from resourced.history.cells import Cells, decode_cells, encode_cells, summarize, summarize_cells


@given(
    st.lists(st.binary(max_size=100), max_size=3),
    st.dictionaries(st.integers(0, 2**32 - 1), st.binary(max_size=4000), max_size=20),
)
def test_a_block_gives_back_stamps_and_columns(stamps: list[bytes], columns: dict[int, bytes]) -> None:
    head, parts = write_block(stamps, list(columns.items()))

    directory = read_head(head)

    assert directory.stamps == tuple(stamps)
    found = {
        number: bytes(unseal(parts[part])[offset : offset + length]) if length else b""
        for number in directory.numbers
        for part, offset, length in [directory.place(number) or (0, 0, 0)]
    }
    assert found == columns
    assert all(len(part) < PART_BYTES + 4100 for part in parts)


@pytest.mark.parametrize("position", [0, 5, 12, -1])
def test_a_changed_byte_of_a_block_is_told(position: int) -> None:
    head, _ = write_block([b"stamp"], [(1, b"column")])
    harmed = bytearray(head)
    harmed[position] ^= 1

    with pytest.raises(HistoryCorrupt, match="checksum"):
        read_head(bytes(harmed))


def test_a_block_of_another_format_is_told() -> None:
    head, _ = write_block([], [])
    body = bytes((9,)) + head[5:]
    import zlib  # noqa: PLC0415 - forges a checksum

    with pytest.raises(HistoryCorrupt, match="format 9"):
        read_head(zlib.crc32(body).to_bytes(4, "little") + body)


def cells_of(values: list[float], edges: list[int]) -> Cells:
    return summarize(np.array(values), np.array(edges))


def test_cells_tell_least_greatest_mean_last_and_count() -> None:
    nan = float("nan")

    cells = cells_of([3.0, 1.0, nan, nan, nan, 7.0, 5.0, nan], [0, 3, 5])

    assert cells.minimum.tolist()[::2] == [1.0, 5.0]
    assert cells.maximum.tolist()[::2] == [3.0, 7.0]
    assert cells.mean.tolist()[::2] == [2.0, 6.0]
    assert cells.last.tolist()[::2] == [1.0, 5.0]
    assert cells.count.tolist() == [2, 0, 2]
    assert np.isnan([cells.minimum[1], cells.maximum[1], cells.mean[1], cells.last[1]]).all()


NUMBERS = st.one_of(st.just(float("nan")), st.floats(-1e9, 1e9), st.integers(-1000, 1000).map(float), st.just(1e300))


@given(st.lists(NUMBERS, min_size=1, max_size=200))
@example([0.0, 1.1587608814653387e-222])
def test_cells_come_back(values: list[float]) -> None:
    edges = list(range(0, len(values), 7))
    cells = cells_of(values, edges)

    data = encode_cells(cells)

    if not data:
        assert np.isnan(values).all()
        return
    found = decode_cells(data, len(edges))
    for name in ("minimum", "maximum", "last", "count"):
        assert getattr(found, name).tobytes() == getattr(cells, name).tobytes()
    known = cells.count > 0
    size = np.fmax(np.abs(cells.minimum), np.abs(cells.maximum))[known]
    assert (np.abs(found.mean - cells.mean)[known] <= size * 1e-6).all()
    assert ((found.mean >= found.minimum) & (found.mean <= found.maximum))[known].all()


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(1, 9), st.integers(1, 9))
def test_cells_of_cells_are_cells_of_the_values(values: list[float], width: int, more: int) -> None:
    edges = list(range(0, len(values), width))
    fine = cells_of(values, edges)
    coarse = summarize_cells(fine, np.arange(0, len(edges), more))

    wanted = cells_of(values, list(range(0, len(values), width * more)))

    for name in ("minimum", "maximum", "last", "count"):
        assert getattr(coarse, name).tobytes() == getattr(wanted, name).tobytes()
    np.testing.assert_allclose(coarse.mean, wanted.mean, rtol=1e-9, atol=1e-3)


def test_a_counter_is_not_written_twice() -> None:
    values = np.cumsum(np.random.default_rng(3).integers(0, 1000, 6000)).astype(float)
    cells = summarize(values, np.arange(0, 6000, 60))

    both = len(encode_cells(cells))
    without = len(encode_cells(Cells(cells.minimum, cells.maximum, cells.mean, cells.last + 1.5, cells.count)))

    assert both < without


@pytest.mark.parametrize("data", [b"", b"short", b"\x05\0\0\0" * 5 + b"rubbish"])
def test_damaged_cells_are_told(data: bytes) -> None:
    with pytest.raises(HistoryCorrupt):
        decode_cells(data, 3)
