"""The shape of a snapshot: puts recorded numbers where the snapshot has them, and fills in what is unknown."""

import re
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from resourced.metrics import CATALOGUE, Metric
from resourced.series import Series
from resourced.snapshot import Snapshot

_PART = re.compile(r"([^.\[\]]+)|\[([^\]]+)\]")

Tree = dict[str, Any]
"""Values by the names of the snapshot's fields."""


def put(tree: Tree, series: Series, value: float) -> None:
    """Put a value where the catalogue says that the snapshot has it."""
    metric = CATALOGUE.get(series.metric)
    path = None if metric is None else _path(metric, dict(series.labels))
    if path is None:
        return
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _path(metric: Metric, labels: Mapping[str, str]) -> list[str] | None:
    for field in metric.fields:
        if all(labels.get(key) == value for key, value in field.labels):
            way, star, rest = field.path.partition(".*")
            parts = [name or key for name, key in _PART.findall(way)]
            if star:
                parts += [labels.get(metric.label or "", ""), *(name or key for name, key in _PART.findall(rest))]
            return parts
    return None


def section_type(name: str) -> type[Any]:
    """Return the class of a section of the snapshot."""
    found: type[Any] = _inner(_hints(Snapshot)[name])
    return found


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _inner(hint: Any) -> Any:
    """Return the type without None."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(each for each in get_args(hint) if each is not type(None))
    return hint


def complete(hint: Any, value: Any, *, objects: bool = False) -> Any:
    """Return a value as the snapshot's type has it: every field there, whole numbers whole.

    Args:
        hint: The type, or type or None.
        value: What is known of it: a tree for a dataclass.
        objects: Whether to make the dataclasses themselves instead of what their JSON has.
    """
    kind = _inner(hint)
    origin = get_origin(kind)
    if value is None:
        empty: dict[Any, Any] = {dict: {}, tuple: () if objects else []}
        return empty.get(origin) if kind is hint else None
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        known = {f.name: complete(hints[f.name], value.get(f.name), objects=objects) for f in fields(kind)}
        return kind(**known) if objects else known
    if origin is dict:
        return {key: complete(get_args(kind)[1], each, objects=objects) for key, each in value.items()}
    if origin is tuple:
        items = [complete(get_args(kind)[0], each, objects=objects) for each in value]
        return tuple(items) if objects else items
    return _plain(kind, value)


def _plain(kind: Any, value: Any) -> Any:
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return bool(value) if kind is bool else value
