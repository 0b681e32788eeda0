"""What the configuration may hold, as a list: for messages, for the commented default file, and for the reference."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from resourced.config import ResourceConfig
from resourced.config_rules import RuleConfig
from resourced.configkinds import DURATION, SHARE, Kind

_PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "an absolute path"}
_KINDS_IN_RULES: dict[str, Kind] = {
    "for": DURATION,
    "clear_for": DURATION,
    "cooldown": DURATION,
    "warmup": DURATION,
    "grace": DURATION,
    "share": SHARE,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    key: tuple[str, ...]
    """Names from the root."""
    type: Any
    """The type in Python, without None and without notes."""
    default: Any
    """None if it is not set by default."""
    description: str
    """One or two sentences."""
    kind: Kind | None = None
    """If it is a quantity, which."""
    low: float | None = None
    """The least allowed."""
    high: float | None = None
    """The greatest allowed."""

    @property
    def allowed(self) -> str:
        """What may stand there, for people: "a duration, from 100ms to 1min"."""
        named = self.kind.name if self.kind else _named(self.type)
        if self.low is None:
            return named
        if self.high is None:
            return f"{named}, at least {self.written(self.low)}"
        return f"{named}, from {self.written(self.low)} to {self.written(self.high)}"

    def written(self, value: Any) -> Any:
        """Return a value of this setting as people write it."""
        return value if self.kind is None or value is None else self.kind.write(value)


@cache
def settings() -> tuple[Setting, ...]:
    """Return every setting except rules, in the order of the models."""
    return tuple(_walk(ResourceConfig, ()))


@cache
def tables() -> dict[tuple[str, ...], str]:
    """Return what each table is about, by its names."""
    return dict(_tables(ResourceConfig, ()))


@cache
def by_key() -> dict[tuple[str, ...], Setting]:
    """Return every setting except rules, by its names."""
    return {each.key: each for each in settings()}


def rule_setting(names: tuple[str | int, ...]) -> Setting | None:
    """Return the key of a rule to which names below the rule lead; positions in lists are passed over."""
    model: type[BaseModel] = RuleConfig
    found = None
    for name in names:
        if isinstance(name, int):
            continue
        field = _fields(model).get(name)
        if field is None:
            return found
        found = replace(_setting((name,), field), kind=_KINDS_IN_RULES.get(name))
        inner = _model_in(field.annotation)
        if inner is None:
            return found
        model = inner
    return found


def known_names(parent: tuple[str | int, ...]) -> list[str]:
    """Return the keys that may stand in a table; none if there is no such table."""
    model: type[BaseModel] = ResourceConfig
    for position, name in enumerate(parent):
        if isinstance(name, int) or (position == 1 and parent[0] == "rule"):
            continue
        field = _fields(model).get(name)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return list(_fields(model))


def nearest(key: tuple[str | int, ...]) -> str | None:
    """Return the known key that somebody may have meant: a sibling, or else one of a like name in another table."""
    name = str(key[-1])
    everything = [".".join(each.key) for each in settings()]
    if joined := next((each for each in everything if each.replace(".", "_") == "_".join(map(str, key))), None):
        return joined
    if near := difflib.get_close_matches(name, known_names(key[:-1]), n=1):
        return ".".join((*map(str, key[:-1]), near[0]))
    if key[0] == "rule":
        return None
    if name in known_names(()):
        return name
    wanted = ".".join(map(str, key))
    same = [".".join(each.key) for each in settings() if each.key[-1] == name]
    found = difflib.get_close_matches(wanted, same, n=1, cutoff=0.0) or difflib.get_close_matches(wanted, everything, 1)
    return found[0] if found else None


def _walk(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in _fields(model).items():
        if name == "rule" and not above:
            continue
        if inner := _table_of(field):
            prototype = field.get_default(call_default_factory=True)
            for each in _walk(inner, (*above, name)):
                # A table's default may differ from that of its model.
                yield replace(each, default=_within(prototype, each.key[len(above) + 1 :]))
        else:
            yield _setting((*above, name), field)


def _within(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(value, name)
    return value


def _tables(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, field in _fields(model).items():
        if inner := _table_of(field):
            yield (*above, name), field.description or ""
            yield from _tables(inner, (*above, name))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _table_of(field: FieldInfo) -> type[BaseModel] | None:
    found = field.annotation
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation holds: itself, optional, or in a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each))), None)


def _setting(key: tuple[str, ...], field: FieldInfo) -> Setting:
    type_, notes = _bare(field.annotation, list(field.metadata))
    low = _bound(notes, Ge, "ge") if _bound(notes, Ge, "ge") is not None else _bound(notes, Gt, "gt")
    high = _bound(notes, Le, "le")
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    kind = next((note for note in notes if isinstance(note, Kind)), None)
    return Setting(key, type_, default, " ".join((field.description or "").split()), kind, low, high)


def _bound(notes: list[Any], kind: type, attribute: str) -> float | None:
    return next((getattr(note, attribute) for note in notes if isinstance(note, kind)), None)


def _bare(annotation: Any, notes: list[Any]) -> tuple[Any, list[Any]]:
    """Return the type without None and Annotated, and everything noted beside it."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        unpacked = [note for each in more for note in (each.metadata if isinstance(each, FieldInfo) else [each])]
        return _bare(inner, [*notes, *unpacked])
    if get_origin(annotation) in (Union, UnionType):
        others = [each for each in get_args(annotation) if each is not NoneType]
        if len(others) == 1:
            return _bare(others[0], notes)
    return annotation, notes


def _named(type_: Any) -> str:
    """Return a type as people call it."""
    inside = get_args(type_)
    if type_ in _PLAIN:
        name = _PLAIN[type_]
    elif get_origin(type_) is Literal:
        name = "one of " + ", ".join(map(str, inside))
    elif isinstance(type_, type) and issubclass(type_, Enum):
        name = "one of " + ", ".join(str(each.value) for each in type_)
    elif get_origin(type_) is tuple:
        name = "a list of texts" if _bare(inside[0], [])[0] is str else "a list of tables"
    elif get_origin(type_) is dict:
        name = "a table of numbers"
    else:
        name = "a table" if _model_in(type_) else "a number or text"
    return name
