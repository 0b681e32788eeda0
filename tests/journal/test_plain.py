import json
import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.journal.plain import plain, to_json, to_text


class Bad:
    def __str__(self) -> str:
        raise RuntimeError("no")


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    where: Path


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(Bad()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(), inner, max_size=3),
)


@given(anything)
def test_any_value_becomes_strict_json(value: Any) -> None:
    text = to_json(value)
    assert "\n" not in text
    json.loads(text, parse_constant=pytest.fail)
    assert isinstance(to_text(value), str)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (math.nan, None),
        (-math.inf, None),
        (Colour.RED, "red"),
        (Point(1, Path("/a")), {"x": 1, "where": "/a"}),
        ({1: b"\xff"}, {"1": "\\xff"}),
        ((1, {2}), [1, [2]]),
        (ValueError("w"), "w"),
        (1 << 300, "<integer of 301 bits>"),
        (Bad(), "<Bad that can't be shown: RuntimeError>"),
    ],
)
def test_values_have_a_plain_form(value: Any, wanted: Any) -> None:
    assert plain(value) == wanted


def test_a_circular_value_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert "…" in to_json(circle)
