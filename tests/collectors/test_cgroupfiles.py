"""The parsers of cgroup files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.cgroupfiles import parse_cpu_max, parse_flat, parse_io_stat, parse_number
from resourced.errors import ParseError

_keys = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)


@given(st.dictionaries(_keys, st.integers(0, 2**63)))
def test_flat_files_come_back(values: dict[str, int]) -> None:
    raw = "".join(f"{key} {value}\n" for key, value in values.items()).encode()
    assert parse_flat(raw, "f") == values
    wanted = dict(list(values.items())[::2])
    assert parse_flat(raw, "f", frozenset(key.encode() for key in wanted)) == wanted


@given(st.lists(st.tuples(st.integers(0, 2**50), st.integers(0, 2**50)), max_size=5))
def test_io_is_summed_over_devices(devices: list[tuple[int, int]]) -> None:
    lines = [f"8:{n} rbytes={r} wbytes={w} rios=1 wios=2 dbytes=3 dios=4\n" for n, (r, w) in enumerate(devices)]
    raw = ("".join(lines) + "7:0\n").encode()  # a device without counters has a line without fields
    assert parse_io_stat(raw, "f") == (sum(r for r, _ in devices), sum(w for _, w in devices))


def test_io_of_devices_that_are_not_counted_is_left_out() -> None:
    raw = b"8:0 rbytes=1 wbytes=2\n\n254:0 rbytes=10 wbytes=20\n"
    assert parse_io_stat(raw, "f", lambda number: number == b"8:0") == (1, 2)


@pytest.mark.parametrize(
    ("raw", "limit"), [(b"max 100000\n", None), (b"50000 100000\n", 0.5), (b"400000 100000\n", 4.0)]
)
def test_cpu_max_in_processors(raw: bytes, limit: float | None) -> None:
    assert parse_cpu_max(raw, "f") == limit


def test_max_is_no_limit() -> None:
    assert parse_number(b"max\n", "f") is None
    assert parse_number(b"4096\n", "f") == 4096


@given(st.binary(max_size=200))
def test_rubbish_is_a_parse_error_that_names_the_file(raw: bytes) -> None:
    for parse in (parse_number, parse_flat, parse_io_stat, parse_cpu_max):
        try:
            parse(raw, "/c/x")
        except ParseError as error:
            assert str(error).startswith("/c/x: expected")  # noqa: PT017 - most inputs raise, some may parse
