"""TOML as text: the line on which each key stands, and values as they are written.

The standard library's parser says what a document holds, not where. `key_lines` walks over a document that the parser
has accepted, so it needs to understand only where keys are, not what is allowed.
"""

import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

Path = tuple[str | int, ...]
"""Keys, and positions in arrays, from the root of a document."""

_STRING = re.compile(r'"""(?:[^\\]|\\.)*?""""{0,2}|\'\'\'.*?\'\'\'\'{0,2}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")
_SPACE = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\n]|#[^\n]*)*")


def key_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, on which each table, key and element of an array begins.

    Args:
        text: A document that `tomllib.loads` accepts.
    """
    return _Walk(text.replace("\r\n", "\n")).run()


class _Walk:
    """One pass over a document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {}
        self._newest: dict[Path, int] = {}  # of each array of tables, the position of its last table

    def run(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BETWEEN)
        while self._at < len(self._text):
            if self._take("[["):
                table = self._append(self._key("]]"))
            elif self._take("["):
                table = self._current(self._key("]"))
                self._note(table)
            else:
                self._pair(table)
            self._skip(_BETWEEN)
        return self._lines

    def key_and_rest(self) -> tuple[tuple[str, ...], str]:
        """Return the names of the key with which the document begins, and what is behind its =."""
        return self._key("="), self._text[self._at :]

    def _append(self, names: tuple[str, ...]) -> Path:
        array = (*self._current(names[:-1]), names[-1])
        self._note(array)
        self._newest[array] = self._newest.get(array, -1) + 1
        table = (*array, self._newest[array])
        self._note(table)
        return table

    def _current(self, names: tuple[str, ...]) -> Path:
        """Return the path that a header means: through an array of tables it leads to the last table."""
        path: Path = ()
        for name in names:
            path = (*path, name)
            if path in self._newest:
                path = (*path, self._newest[path])
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for name in self._key("="):
            path = (*path, name)
            self._lines.setdefault(path, line)
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._skip(_BETWEEN)
            while not self._take("}"):
                self._pair(path)
                self._separator()
        elif self._text[self._at] in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_BARE_VALUE)

    def _array(self, path: Path) -> None:
        number = 0
        self._skip(_BETWEEN)
        while not self._take("]"):
            self._note((*path, number))
            self._value((*path, number))
            self._separator()
            number += 1

    def _separator(self) -> None:
        self._skip(_BETWEEN)
        self._take(",")
        self._skip(_BETWEEN)

    def _key(self, end: str) -> tuple[str, ...]:
        """Return the names of a dotted key, and go behind what ends it."""
        names = []
        while True:
            self._skip(_SPACE)
            names.append(self._name())
            self._skip(_SPACE)
            if self._take(end):
                return tuple(names)
            if not self._take("."):
                raise ValueError(f"a key was expected to go on with . or {end} at {self._text[self._at :][:20]!r}")

    def _name(self) -> str:
        if quoted := _STRING.match(self._text, self._at):
            self._at = quoted.end()
            name: str = tomllib.loads(f"key = {quoted[0]}")["key"]
            return name
        bare = _BARE_KEY.match(self._text, self._at)
        if bare is None:
            raise ValueError(f"a key was expected at {self._text[self._at :][:20]!r}")
        self._at = bare.end()
        return bare[0]

    def _take(self, token: str) -> bool:
        found = self._text.startswith(token, self._at)
        self._at += len(token) * found
        return found

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if found := pattern.match(self._text, self._at):
            self._at = found.end()

    def _note(self, path: Path) -> None:
        self._lines.setdefault(path, self._line())

    def _line(self) -> int:
        return bisect_right(self._ends, self._at - 1) + 1


def split_key(text: str) -> tuple[str, ...]:
    """Return the names in a dotted key: `rule."a.b".mode` has three.

    Raises:
        ValueError: The text is not a key of TOML.
    """
    try:
        # The parser says whether the text is a key and nothing more; the walk takes it apart.
        tomllib.loads(f"{text} = 0")
    except ValueError:
        raise ValueError(f"{text!r} is not a key; write for example api.port") from None
    names, rest = _Walk(f"{text} = 0").key_and_rest()
    if rest != " 0":
        raise ValueError(f"{text!r} is more than a key; write for example api.port")
    return names


def write_key(names: tuple[str | int, ...]) -> str:
    """Return names as a dotted key, with quotes where they are needed."""
    return ".".join(name if _BARE_KEY.fullmatch(name) else _quoted(name) for name in map(str, names))


def write_value(value: Any) -> str:
    """Return a value as TOML on one line: str, int, float, bool, enumerations, paths, and lists and tables of them."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{write_key((_text(key),))} = {write_value(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(write_value, value))}]"
    return _quoted(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    if not isinstance(value, (str, PurePath)):
        raise TypeError(f"{type(value).__name__} has no form in TOML that is used here")
    return str(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_value(text: str) -> Any:
    """Return a value written as on one line of TOML (`8414`, `true`, `["a", "b"]`); what is none is text as it is."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    if len(document) != 1 or not isinstance(document["value"], (str, bool, int, float, list, dict)):
        return text
    return document["value"]
