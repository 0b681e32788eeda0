"""Where keys stand in a document, and values as text."""

import tomllib
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.configtext import Path, key_lines, read_value, split_key, write_key, write_value

DOCUMENT = '''\
# comment with [brackets] and key = 1
title = "a # no comment"   # comment
text = """
[not.a.table]
key = 1
quotes \\""" and "" inside"""
literal = \'\'\'
[[not]] \'\'\'
"quoted.key" . inner = 1979-05-27 07:32:00

[servers]
[ servers . "al.pha" ]
ports = [
  8001, # ] not the end
  "]",
  { host = "}", list = [1,
    2] },
]
[[rule]]
name = 'one'
all = [
  { metric = "a", below = 1 },
  { metric = "b", below = 2 },
]
[rule.only]
units = []
[[rule]]
name = "two"
steps = [["a"], ["b"]]
[[rule.sub]]
x.y = {}
[[rule.sub]]
x = +inf
'''


def test_every_kind_of_key_is_found_on_its_line() -> None:
    tomllib.loads(DOCUMENT)

    lines = key_lines(DOCUMENT)

    assert lines[("title",)] == 2
    assert lines[("text",)] == 3
    assert lines[("literal",)] == 7
    assert lines[("quoted.key",)] == lines[("quoted.key", "inner")] == 9
    assert lines[("servers",)] == 11
    assert lines[("servers", "al.pha")] == 12
    assert [lines["servers", "al.pha", "ports", n] for n in range(3)] == [14, 15, 16]
    assert lines["servers", "al.pha", "ports", 2, "list", 1] == 17
    assert lines["rule",] == lines["rule", 0] == 19
    assert lines["rule", 0, "all", 1, "metric"] == 23
    assert lines["rule", 0, "only", "units"] == 26
    assert lines["rule", 1] == 27
    assert lines["rule", 1, "steps", 1, 0] == 29
    assert lines["rule", 1, "sub", 0, "x", "y"] == 31
    assert lines["rule", 1, "sub", 1] == 32
    assert lines["rule", 1, "sub", 1, "x"] == 33
    assert max(lines.values()) == 33


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_of_either_kind_count_once(ending: str) -> None:
    assert key_lines(ending.join(["", "a = 1", "", "[b]", 'c = "x"'])) == {
        ("a",): 2,
        ("b",): 4,
        ("b", "c"): 5,
    }


def test_a_document_of_comments_has_no_keys() -> None:
    assert key_lines("# nothing\n\n   \n#") == {}


@pytest.mark.parametrize("text", ["= 1", "a b = 1"])
def test_a_document_that_the_parser_would_not_accept_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a key was expected"):
        key_lines(text)


values = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.\" #'\n=[]{}", max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)


@given(values)
def test_a_written_value_is_read_back(value: Any) -> None:
    assert tomllib.loads(f"x = {write_value(value)}")["x"] == value


@given(st.dictionaries(names, values, max_size=4), st.lists(st.sampled_from(["", "# [c] = {", "\t"]), max_size=3))
def test_every_key_of_a_document_is_found_and_no_other(document: dict[str, Any], between: list[str]) -> None:
    lines: list[str] = []
    expected: dict[Path, int] = {}
    for name, value in document.items():
        lines += [*between, f"{write_key((name,))} = {write_value(value)}"]
        expected |= dict.fromkeys(_paths(value, (name,)), len(lines))

    assert key_lines("\n".join(lines)) == expected


def _paths(value: Any, path: Path) -> list[Path]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [path, *(deeper for name, each in inside for deeper in _paths(each, (*path, name)))]


@given(st.lists(names, min_size=1, max_size=4))
def test_a_written_key_is_taken_apart_again(parts: list[str]) -> None:
    if any("\n" in part for part in parts):
        parts = [part.replace("\n", "") for part in parts]
    assert split_key(write_key(tuple(parts))) == tuple(parts)


@pytest.mark.parametrize("text", ["", "a.", ".a", "a b", "a = 1, b", "a\nb = 1\nc", "a#", "[a]", "a.b = 1 #"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a key; write for example"):
        split_key(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8414", 8414),
        ("true", True),
        ('"true"', "true"),
        ("10s", "10s"),
        ("0.85", 0.85),
        ('["a", "b"]', ["a", "b"]),
        ('{ "x.service" = 1 }', {"x.service": 1}),
        ("/run/x", "/run/x"),
        ("", ""),
        ("1979-05-27", "1979-05-27"),
        ("1\nother = 2", "1\nother = 2"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_a_value_in_the_environment_is_toml_where_it_can_be(text: str, value: Any) -> None:
    assert read_value(text) == value


class _Colour(Enum):
    RED = "red"


def test_enumerations_and_paths_are_written_as_text() -> None:
    assert write_value({_Colour.RED: PurePosixPath("/a")}) == '{ red = "/a" }'
    assert write_value(_Colour.RED) == '"red"'
    assert write_value({}) == "{}"


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType has no form"):
        write_value(None)
