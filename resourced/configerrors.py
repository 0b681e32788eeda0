"""What pydantic finds wrong, as sentences for people: which key, what it holds, what is allowed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from resourced.config import ResourceConfig
from resourced.configlayers import DEFAULT, Fault, Merged, Origin
from resourced.configschema import by_key, known_names, nearest, rule_setting
from resourced.configtext import Path, split_key, write_value

_LONGEST = 80
_DOTTED = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")


def find_faults(merged: Merged) -> list[Fault]:
    """Return everything that is wrong with what the layers say together.

    Checks that look at several keys run only once each key is right. So the keys that are wrong are taken away and the
    rest is looked at once more: nobody has to mend a file twice.
    """
    found: dict[str, Fault] = {}
    data: Any = merged.data
    wrong: list[Path] = []
    while True:
        try:
            ResourceConfig.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
        else:
            return list(found.values())
        fresh = [each for detail in details for each in _faults(merged, detail)]
        # A check that looks at a default, because the value that was meant is wrong, says nothing.
        fresh = [each for each in fresh if not any(_mentions(each.text, key) for key in wrong)]
        found |= {str(each): each for each in fresh if str(each) not in found}
        places = [_place(detail["loc"]) for detail in details if detail["loc"]]
        remaining = _without(data, places)
        if remaining == data:
            return list(found.values())
        wrong += [place for place in places if not any(_is_cross(d) and _place(d["loc"]) == place for d in details)]
        data = remaining


def _is_cross(detail: ErrorDetails) -> bool:
    """Whether a whole table was found inconsistent."""
    return detail["type"] == "value_error" and len(detail["loc"]) == 1


def _mentions(text: str, key: Path) -> bool:
    return ".".join(map(str, key)) in text


def _place(location: Path) -> Path:
    """Return what is to be taken away for an error to vanish: a setting, all rules, a table, or an unknown key."""
    if location[:1] == ("rule",):
        return ("rule",)  # rules are checked one by one: a second look would find nothing new
    return next((location[:n] for n in range(1, len(location)) if location[:n] in by_key()), location)


def _without(data: Any, places: list[Path], above: Path = ()) -> Any:
    if isinstance(data, Mapping):
        kept = {name: value for name, value in data.items() if (*above, name) not in places}
        return {name: _without(value, places, (*above, name)) for name, value in kept.items()}
    return data


def _faults(merged: Merged, detail: ErrorDetails) -> Iterator[Fault]:
    location = detail["loc"]
    if detail["type"] == "value_error" and (not location or len(location) == 1):
        # A check of a table or of all: each line begins with the key that it is about.
        for line in _said(detail).splitlines():
            name, _, text = line.partition(": ")
            yield Fault(_origin_of_check(merged, name, text), split_key(name), text)
        return
    key = merged.named(location)
    yield Fault(merged.origin(key), key, _sentence(key, detail))


def _origin_of_check(merged: Merged, name: str, text: str) -> Origin:
    """Return where the key was said that a check is about, or else the first of the others that it names."""
    keys = [split_key(each) for each in (name, *_DOTTED.findall(text))]
    return next((merged.origins[key] for key in keys if key in merged.origins), DEFAULT)


def _said(detail: ErrorDetails) -> str:
    return str(detail["ctx"]["error"]) if "ctx" in detail and "error" in detail["ctx"] else detail["msg"]


def _sentence(key: Path, detail: ErrorDetails) -> str:
    found = _shown(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(key)
        case "missing":
            said = "is missing"
        case "value_error":
            said = _said(detail).removeprefix(f"rule {key[1]!r}: " if key[:1] == ("rule",) else "")
        case "model_type" | "model_attributes_type" | "dict_type":
            said = f"is a table; found {found}"
        case "string_pattern_mismatch":
            said = f"found {found}; allowed are small letters, digits, and . _ - behind the first, at most 64"
        case "string_type":
            said = f'found {found}; it must be text, as in "{detail["input"]}"'
        case "too_short":
            said = "is empty; it needs at least one entry"
        case _:
            said = f"found {found}; it must be {_allowed(key, detail)}"
    return said


def _allowed(key: Path, detail: ErrorDetails) -> str:
    setting = rule_setting(key[2:]) if key[:1] == ("rule",) else by_key().get(tuple(map(str, key)))
    if setting is not None:
        return setting.allowed
    return detail["msg"].removeprefix("Input should be ").partition(",")[0]


def _unknown(key: Path) -> str:
    near = nearest(key)
    if near is not None:
        return f"unknown key; did you mean {near}?"
    known = known_names(key[:-1])
    return f"unknown key; known here are {', '.join(known)}" if known else "unknown key"


def _shown(value: Any) -> str:
    try:
        text = write_value(value)
    except TypeError:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
