"""Quantities as people write them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from resourced.configkinds import (
    AbsolutePath,
    Count,
    Duration,
    Fraction,
    Size,
    Switch,
    write_duration,
    write_share,
    write_size,
)
from resourced.quantities import parse_duration, parse_share, parse_size


@given(st.floats(0, 1e12) | st.integers(0, 10**9).map(float) | st.integers(0, 10**9).map(lambda us: us * 1e-6))
def test_a_duration_is_written_so_that_it_is_read_back_exactly(seconds: float) -> None:
    written = write_duration(seconds)

    assert (parse_duration(written) if isinstance(written, str) else written) == seconds


@given(st.integers(0, 2**60))
def test_a_size_is_written_so_that_it_is_read_back_exactly(size: int) -> None:
    # A float of text holds 53 bits; no more are asked of bytes on this machine.
    written = write_size(size & ~0x3FF if size > 2**53 else size)

    assert parse_size(str(written)) == (size & ~0x3FF if size > 2**53 else size)


@given(st.floats(0, 1))
def test_a_share_is_written_so_that_it_is_read_back_exactly(share: float) -> None:
    written = write_share(share)

    assert (parse_share(written) if isinstance(written, str) else written) == share


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.1, "100ms"), (0.0005, "500us"), (1.0, "1s"), (90.0, "90s"), (3600.0, "1h"), (604800.0, "7d"),
     (63072000.0, "2y"), (1 / 3, 1 / 3)],
)  # fmt: skip
def test_a_duration_is_written_in_the_largest_unit_that_fits(seconds: float, text: str | float) -> None:
    assert write_duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0B"), (1, "1B"), (1536, "1536B"), (256 * 1024**2, "256MiB")])
def test_a_size_is_written_in_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert write_size(size) == text


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (Duration, "1h30m", 5400.0),
        (Duration, 2, 2.0),
        (Size, "2GB", 2_000_000_000),
        (Size, 512, 512),
        (Fraction, "85%", 0.85),
        (Fraction, 0.5, 0.5),
        (Switch, False, False),
        (Count, 3, 3),
    ],
)
def test_what_may_be_written(kind: Any, written: Any, value: Any) -> None:
    assert TypeAdapter(kind).validate_python(written) == value


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (Duration, True),
        (Duration, "10 parsecs"),
        (Duration, float("nan")),
        (Duration, "9" * 400 + "s"),
        (Size, "many"),
        (Size, 1.5),
        (Size, "1" + "0" * 400),
        (Fraction, "101%"),
        (Fraction, -0.1),
        (Switch, 1),
        (Switch, "yes"),
        (Count, True),
        (Count, "3"),
        (AbsolutePath, "relative/path"),
    ],
)
def test_what_may_not_be_written(kind: Any, written: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(written)
