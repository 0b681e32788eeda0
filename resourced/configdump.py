"""The configuration as text: the commented defaults, and what is in force with the place where each value was said."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from resourced.config_rules import RuleConfig
from resourced.configfiles import Loaded
from resourced.configlayers import Origin
from resourced.configschema import Setting, rule_setting, settings, tables
from resourced.configtext import write_key, write_value

_WIDTH = 100
_HEAD = """\
Configuration of resourced, with the default of everything that can be set. To change something,
remove the # before its line, or write only what you change to a file of its own in the directory
beside this file, as resourced.toml.d/50-mine.toml. Files there are read in the order of their
names; after them come variables of the environment (RESOURCED_API__PORT=9000) and options of the
command line (--set api.port=9000). The later wins.

Durations are written as 500ms, 10s, 5min, 2h, 7d or 1y; sizes as 512MiB or 2GB; shares as 85% or
0.85.

resourced check-config tells what is wrong, and with --show what is in force and where it was said."""
_RULES = """\
Rules: when something must give way, and what. Those of policy.profile are there already. A rule
whose name is known changes only the keys that it has; another name adds a rule. For example

[[rule]]
name = "memory-critical"
mode = "off"

[[rule]]
name = "batch-memory"
description = "Batch jobs leave an eighth of the memory to the others"
level = "soft"
metric = "memory.available"
below = "12.5%"
for = "10s"
only = { slices = ["batch.slice"] }"""


def default_text() -> str:
    """Return a main file that says nothing: every setting with its default, behind #, and what it means."""
    lines = [*_comment(_HEAD)]
    for table, each in _by_table():
        lines += ["", "", *_comment(tables()[table]), f"[{write_key(table)}]"]
        for setting in each:
            lines += ["", *_described(setting)]
    return "\n".join([*lines, "", "", *_comment(_RULES), ""])


def effective_text(loaded: Loaded) -> str:
    """Return what is in force, as a main file that means the same, with the origin of each value behind it."""
    lines: list[str] = []
    for table, each in _by_table():
        lines += ["", f"[{write_key(table)}]"]
        for setting in each:
            value, origin = _held(loaded.config, setting), loaded.origin(".".join(setting.key))
            name = write_key(setting.key[-1:])
            if value is None:
                lines.append(f"# {name} is not set")
            else:
                lines.append(_with_origin(f"{name} = {write_value(setting.written(value))}", origin))
    for rule in loaded.config.rule:
        lines += ["", *_rule_lines(rule, loaded)]
    return "\n".join([*lines[1:], ""])


def effective_values(loaded: Loaded) -> dict[str, Any]:
    """Return what is in force as data: every setting by its dotted key, with where it was said, and the text."""
    values = {}
    for setting in settings():
        value, key = _held(loaded.config, setting), ".".join(setting.key)
        written = None if value is None else write_value(setting.written(value))
        values[key] = {"written": written, "origin": str(loaded.origin(key))}
    return {"files": [str(path) for path in loaded.files], "settings": values, "text": effective_text(loaded)}


def _by_table() -> Iterator[tuple[tuple[str, ...], list[Setting]]]:
    for table in tables():
        inside = [each for each in settings() if each.key[:-1] == table]
        if inside:
            yield table, inside


def _described(setting: Setting) -> Iterator[str]:
    yield from _comment(setting.description)
    if setting.default is None:
        yield f"# {setting.key[-1]} is {setting.allowed}; it is not set."
    else:
        allowed = setting.allowed
        yield f"# {allowed[:1].upper()}{allowed[1:]}."
        yield f"#{write_key(setting.key[-1:])} = {write_value(setting.written(setting.default))}"


def _comment(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in textwrap.wrap(line, _WIDTH) or [""]:
            yield f"# {part}".rstrip()


def _held(config: Any, setting: Setting) -> Any:
    for name in setting.key:
        config = getattr(config, name)
    return config


def _with_origin(line: str, origin: Origin) -> str:
    # An option or a file's name may hold anything; a comment must stay on its line.
    told = "".join(c if c.isprintable() else "?" for c in str(origin))
    return f"{line}  # {told}"


def _rule_lines(rule: RuleConfig, loaded: Loaded) -> Iterator[str]:
    yield _with_origin("[[rule]]", loaded.origin(f"rule.{rule.name}"))
    for name, value in rule.model_dump(by_alias=True, exclude_unset=True).items():
        origin = loaded.origin(f"rule.{rule.name}.{name}")
        yield _with_origin(f"{write_key((name,))} = {write_value(_readable(value, name))}", origin)


def _readable(value: Any, name: str) -> Any:
    """Return a value of a rule as people write it, without what is not set."""
    if isinstance(value, Mapping):
        return {key: _readable(each, key) for key, each in value.items() if each is not None}
    if isinstance(value, (list, tuple)):
        return [_readable(each, name) for each in value]
    setting = rule_setting((name,))
    return setting.written(value) if setting and isinstance(value, float) else value
