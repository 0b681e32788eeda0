"""Write the manual: `manpages.py MAN`, as /usr/share/man. Options, verbs and settings are the program's own."""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click
from manpages_text import CONFIG, CTL, DAEMON, RULES, Page

from resourced import __version__
from resourced.cli import group
from resourced.config_rules import RuleConfig
from resourced.configschema import Setting, rule_setting, settings, tables
from resourced.configtext import write_value
from resourced.ctl.app import app


def escaped(text: str) -> str:
    """Return text that roff prints as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in text.splitlines())


def paragraphs(text: str) -> Iterator[str]:
    """Yield roff for text whose paragraphs are apart by an empty line; indented ones are shown as they stand."""
    for block in textwrap.dedent(text).strip("\n").split("\n\n"):
        if block.startswith("    "):
            yield f".PP\n.RS 4\n.nf\n{escaped(textwrap.dedent(block))}\n.fi\n.RE"
        elif block.startswith("* "):
            for line in block[2:].split("\n* "):
                term, _, told = line.partition(" :: ")
                yield f".TP\n.B {escaped(term)}\n{escaped(' '.join(told.split()))}"
        else:
            yield f".PP\n{escaped(' '.join(block.split()))}"


def page(told: Page, body: Iterable[str]) -> str:
    """Return one page: what is written by hand around what the program says."""
    name = f'.TH {told.name.upper()} {told.section} "" "resourced {__version__}" "resourced"'
    lines = [name, ".SH NAME", f"{told.name} \\- {escaped(told.title)}"]
    lines += [".SH SYNOPSIS", *(f".B {escaped(each)}\n.br" for each in told.synopsis)]
    lines += [".SH DESCRIPTION", *paragraphs(told.description), *body]
    for title, text in told.sections.items():
        lines += [f".SH {title}", *paragraphs(text)]
    return "\n".join(lines) + "\n"


def commands(program: click.Group, title: str) -> Iterator[str]:
    """Yield the options of a program and all its verbs."""
    context = click.Context(program, info_name=program.name, **program.context_settings)
    yield ".SH OPTIONS"
    yield from _options(program, context)
    yield f".SH {title}"
    yield from _verbs(program, context, program, "")


def _verbs(group: click.Group, context: click.Context, program: click.Group, before: str) -> Iterator[str]:
    """Yield the verbs of a group, each with those below it."""
    for name in group.list_commands(context):
        verb = group.get_command(context, name)
        if verb is None or verb.hidden:
            continue
        inner = click.Context(verb, info_name=name, parent=context)
        pieces = " ".join(piece for piece in verb.collect_usage_pieces(inner) if piece != "[OPTIONS]")
        yield f".SS {escaped(f'{before}{name} {pieces}'.strip())}"
        yield from paragraphs((verb.help or "").replace("\b", ""))
        yield from _options(verb, inner, without=program)
        if isinstance(verb, click.Group):
            yield from _verbs(verb, inner, program, f"{before}{name} ")


def _options(command: click.Command, context: click.Context, without: click.Group | None = None) -> Iterator[str]:
    known = {option.name for option in without.params} if without else set()
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record is not None and option.name not in known and not (without and "--help" in option.opts):
            yield f".TP\n.B {escaped(record[0])}\n{escaped(record[1] or '')}"


def configuration() -> Iterator[str]:
    """Yield every setting, by table, and every key of a rule."""
    by_table: dict[tuple[str, ...], list[Setting]] = {}
    for setting in settings():
        by_table.setdefault(setting.key[:-1], []).append(setting)
    for table, each in by_table.items():
        yield f".SH [{escaped('.'.join(table)).upper()}]"
        yield from paragraphs(tables().get(table, ""))
        for setting in each:
            yield from _setting(setting)
    yield ".SH [[RULE]]"
    yield from paragraphs(RULES)
    for name in RuleConfig.model_fields:
        found = rule_setting((RuleConfig.model_fields[name].alias or name,))
        if found is not None:
            yield from _setting(found)


def _setting(setting: Setting) -> Iterator[str]:
    yield f".TP\n.B {escaped(setting.key[-1])}"
    default = "" if setting.default is None else _default(setting)
    allowed = setting.allowed[0].upper() + setting.allowed[1:]
    yield escaped(f"{' '.join(setting.description.split())} {allowed}.{default}")


def _default(setting: Setting) -> str:
    try:
        return f" Default: {write_value(setting.written(setting.default))}."
    except (TypeError, ValueError):  # a table or list of further settings, which are described in their place
        return ""


def pages() -> Mapping[str, str]:
    """Return all pages by their path below the folder of manuals."""
    return {
        "man8/resourced.8": page(DAEMON, commands(group, "COMMANDS")),
        "man1/resourcectl.1": page(CTL, commands(app, "VERBS")),
        "man5/resourced.toml.5": page(CONFIG, configuration()),
    }


def write(directory: Path) -> None:
    """Write all pages."""
    for name, text in pages().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
