"""Layers of configuration, and how a later one covers an earlier: tables by key, rules by name, all else whole."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from resourced.config_rules import merge_rules
from resourced.configtext import Path, write_key

_CONDITIONS = ("metric", "all", "any", "not")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from."""

    source: Literal["default", "profile", "file", "environment", "option"]
    """The kind of place."""
    name: str = ""
    """Path of the file, name of the profile or of the environment's variable, text of the option."""
    line: int | None = None
    """In a file or profile: on which line, from 1."""

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        match self.source:
            case "default":
                return "default"
            case "profile":
                return f"profile {self.name}{line}"
            case "file":
                return f"{self.name}{line}"
            case "environment":
                return f"{self.name} in the environment"
            case "option":
                return f"--set {self.name}"


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with the configuration."""

    origin: Origin
    """Where it was said."""
    key: Path
    """Which key is wrong; empty if it is not about a key."""
    text: str
    """A sentence: what is wrong and what is allowed."""

    def __str__(self) -> str:
        key = f"{write_key(self.key)}: " if self.key else ""
        return f"{self.origin}: {key}{self.text}" if self.origin.source != "default" else f"{key}{self.text}"


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says."""

    data: Mapping[str, Any]
    """Tables and values, as parsed."""
    where: Callable[[Path], Origin]
    """Tells where a key of `data` stands; in `rule`, by position."""


@dataclass(slots=True)
class Merged:
    """What all layers say together."""

    data: dict[str, Any] = field(default_factory=dict)
    """Tables and values; in `rule`, a list without two of a name."""
    origins: dict[Path, Origin] = field(default_factory=dict)
    """Where each key was said last; a rule's keys are found below its name, in place of its position."""
    faults: list[Fault] = field(default_factory=list)
    """What could not be merged."""

    def add(self, layer: Layer) -> None:
        """Cover what is there with a further layer."""
        rest = {key: value for key, value in layer.data.items() if key != "rule"}
        self._cover(self.data, rest, (), layer.where)
        if "rule" in layer.data:
            rules = list(self._usable(layer))
            self._note_rules(layer, rules)
            self.data["rule"] = merge_rules(self.data.get("rule", []), [rule for _, rule in rules])
            self._forget_replaced()

    def origin(self, key: Path) -> Origin:
        """Return where a key was said, or the table that it is in."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.origins:
                return self.origins[key[:length]]
        return DEFAULT

    def named(self, key: Path) -> Path:
        """Return a key with the name of a rule in place of its position."""
        if len(key) >= 2 and key[0] == "rule" and isinstance(key[1], int):
            return ("rule", str(self.data["rule"][key[1]]["name"]), *key[2:])
        return key

    def _cover(
        self, base: dict[str, Any], more: Mapping[str, Any], above: Path, where: Callable[[Path], Origin]
    ) -> None:
        for name, value in more.items():
            path = (*above, name)
            if isinstance(value, Mapping):
                if not isinstance(base.get(name), dict):
                    base[name] = {}
                self.origins[path] = where(path)
                self._cover(base[name], value, path, where)
            else:
                self._forget(path)
                base[name] = value
                self.origins |= {each: where(each) for each in _paths(value, path)}

    def _forget(self, above: Path) -> None:
        for path in [path for path in self.origins if path[: len(above)] == above]:
            del self.origins[path]

    def _usable(self, layer: Layer) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield rules that have a name, by position in the layer; the others are faults."""
        rules = layer.data["rule"]
        if not isinstance(rules, list):
            self._fault(layer, ("rule",), "is a list of tables; write [[rule]] in two brackets, with a name")
            return
        names = [str(rule["name"]) for rule in self.data.get("rule", [])]
        seen: dict[str, Origin] = {}
        for position, rule in enumerate(rules):
            path: Path = ("rule", position)
            if not isinstance(rule, Mapping):
                self._fault(layer, path, "is not a table; write [[rule]], and its keys below")
            elif not isinstance(rule.get("name"), str):
                self._fault(layer, path, 'has no name; write for example name = "memory-low"')
            elif rule["name"] in seen:
                text = f"two rules have this name, the other at {seen[rule['name']]}; names are unique within a file"
                self._fault(layer, path, text, rule["name"])
            elif rule["name"] not in names and not any(form in rule for form in _CONDITIONS):
                self._fault(layer, path, _unknown(rule["name"], names), rule["name"])
            else:
                seen[rule["name"]] = layer.where(path)
                yield position, dict(rule)

    def _fault(self, layer: Layer, path: Path, text: str, name: str | None = None) -> None:
        key: Path = ("rule", name) if name is not None else path
        self.faults.append(Fault(layer.where(path), key, text))

    def _note_rules(self, layer: Layer, rules: list[tuple[int, dict[str, Any]]]) -> None:
        for position, rule in rules:
            name = rule["name"]
            self.origins[("rule", name)] = layer.where(("rule", position))
            for key, value in rule.items():
                self._forget(("rule", name, key))
                for path in _paths(value, (key,)):
                    self.origins[("rule", name, *path)] = layer.where(("rule", position, *path))

    def _forget_replaced(self) -> None:
        """Forget keys of conditions that another condition has replaced."""
        held = {(rule["name"], key) for rule in self.data["rule"] for key in rule}
        for path in [path for path in self.origins if len(path) > 2 and path[0] == "rule"]:
            if path[1:3] not in held:
                del self.origins[path]


def _paths(value: Any, path: Path) -> Iterator[Path]:
    yield path
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _paths(each, (*path, name))
    elif isinstance(value, list):
        for position, each in enumerate(value):
            yield from _paths(each, (*path, position))


def _unknown(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}."
    return f"there is no rule of this name that it could change: {meant} A new rule needs metric, all, any or not"
