import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.ctl import render
from resourced.names import name_of

values = st.lists(st.none() | st.floats(-1e12, 1e12), max_size=300)


@given(values, st.integers(1, 120))
def test_a_sparkline_fits_and_keeps_the_peak(course: list[float | None], width: int) -> None:
    line = render.sparkline(course, width)
    assert len(line) == min(len(course), width)
    known = [value for value in course if value is not None]
    if known:
        assert max(v for v in render.bins(course, width) if v is not None) == max(known)


@given(values)
def test_a_plot_fits(course: list[float | None]) -> None:
    assert all(len(line) <= 70 for line in render.plot(course, "1").splitlines())


@given(values, st.integers(1, 200))
def test_what_is_stretched_fills_the_width_and_keeps_the_peak(course: list[float | None], width: int) -> None:
    wide = render.stretched(course, width)
    assert len(wide) == (width if course else 0)
    known = [value for value in course if value is not None]
    if known:
        assert max(v for v in wide if v is not None) == max(known)


@given(st.floats(0, 1e9), st.floats(0, 1e7), st.integers(1, 200))
def test_an_axis_fits_and_ends_at_the_right(start: float, span: float, width: int) -> None:
    line = render.axis(start, start + span, width)
    assert len(line) in (0, max(width, render.SCALE_WIDTH + 2))
    assert len(line) <= max(width, 0)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(None, "By", "-"), (2048, "By", "2.0 KiB"), (1, "By/s", "1 B/s"), (90, "s", "1m 30s"), (0.5, "1", "50%"),
     (0.0005, "1", "0.05%"),
     (3, "{fault}", "3 fault")],
)  # fmt: skip
def test_quantities_carry_their_unit(value: float | None, unit: str, text: str) -> None:
    assert render.quantity(value, unit) == text


def test_unknown_values_are_a_dash() -> None:
    assert [f(None) for f in (render.size, render.speed, render.percent, render.moment)] == ["-"] * 4
    assert render.pairs({"a": None, "b": {"c": [1, 2]}, "d": {}}).splitlines() == ["a  -", "b:", "  c  1, 2", "d  {}"]


def test_nothing_in_a_name_moves_the_cursor_begins_a_line_or_turns_the_order() -> None:
    odd = "a\x1b[2J\x9bb\x7f\u2028c\u2029d\u202ee\u2066f\n"
    shown = render.safe(odd)
    assert len(shown.splitlines()) == 1
    assert shown == "a�[2J�b��c�d�e�f�"
    assert render.safe(name_of(b"x\xff")) == r"x\xff"
    assert render.safe("größe-日本") == "größe-日本"
