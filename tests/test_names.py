"""Names of bytes: written anywhere, and turned back."""

import json
import os
import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resourced.names import name_of, raw_of


@given(st.binary())
@example("\uf780\uf7ff".encode())
@example(b"\xef\x9e\x80\xff\xef\x9e")
def test_what_is_written_is_text_and_turns_back(raw: bytes) -> None:
    name = name_of(raw)

    assert name.encode().decode() == name
    assert json.loads(json.dumps(name, ensure_ascii=False).encode()) == name
    assert sqlite3.connect(":memory:").execute("SELECT ?", (name,)).fetchone() == (name,)
    assert raw_of(name) == raw


@given(st.binary(), st.binary())
def test_no_two_names_are_written_alike(one: bytes, other: bytes) -> None:
    assert (name_of(one) == name_of(other)) == (one == other)


@pytest.mark.parametrize("text", ["system.slice", "größe.service", "dev-disk-by\\x2duuid.swap", "日本"])
def test_text_stays_as_it_is(text: str) -> None:
    assert name_of(text.encode()) == text
    assert raw_of(text) == text.encode() == os.fsencode(text)
