"""`resourced`: run the daemon, and look at its configuration without running it."""

import functools
import os
import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import shell_complete

from resourced import __version__
from resourced.errors import ConfigError
from resourced.streams import drop_output, fill_streams, told_unwritable

if TYPE_CHECKING:
    from collections.abc import Callable

    from resourced.configfiles import Loaded


_COMPLETE = "_RESOURCED_COMPLETE"
"""The variable by which a shell asks for completions."""


class Exit(IntEnum):
    """Exit codes of resourced."""

    OK = 0
    """It was done, or the daemon was asked to end."""
    FAULTS = 1
    """check-config found something wrong."""
    USAGE = 2
    """The command line is wrong, or the recording can't be replayed."""
    FAILED = 70
    """A fault that nobody foresaw; starting again may help."""
    CONFIG = 78
    """The configuration can't be used: starting again won't help before it is mended."""
    INTERRUPTED = 130
    """Ended by Ctrl-C before the daemon ran, which itself ends in order then."""
    PIPE_CLOSED = 141
    """The reader of the output went away."""


_config = click.option(
    "--config",
    "-c",
    "paths",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Read this file, and FILE.d/*.toml, instead of resourced.toml; may be repeated.",
)
_set = click.option(
    "--set",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one key, as api.port=9000; may be repeated.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def group() -> None:
    """Watch this machine, remember what was seen, decide what must give way, and say why."""


@group.command()
@_config
@_set
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Serve the recording FILE; nothing of this machine is read or touched.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, 1e6),
    help="With --replay: how many recorded seconds pass in one, by default 1; 0 for as many as can be.",
)
def run(paths: tuple[Path, ...], options: tuple[str, ...], replay: Path | None, speed: float | None) -> int:
    """Run the daemon in the foreground until SIGTERM or SIGINT."""
    if speed is not None and replay is None:
        raise click.UsageError("--speed is for --replay FILE; this machine can't be hurried")
    try:
        if replay is not None:
            return _replay(_loader(paths, options), replay, 1.0 if speed is None else speed)
        from resourced.daemon import run as run_daemon  # noqa: PLC0415 - other commands don't need the daemon's parts

        return run_daemon(_loader(paths, options))
    except ConfigError as error:
        click.echo(error, err=True)
        return Exit.CONFIG


def _replay(load: "Callable[[], Loaded]", path: Path, speed: float) -> int:
    from resourced.errors import HistoryError  # noqa: PLC0415 - only here
    from resourced.replaying import run as run_replay  # noqa: PLC0415 - the other commands don't need the parts

    try:
        return run_replay(load, path, speed)
    except HistoryError as error:
        click.echo(f"{path} can't be replayed: {error}", err=True)
        return Exit.USAGE


@group.command("check-config")
@_config
@_set
@click.option("--show", is_flag=True, help="Print what is in force, and where each value was said.")
def check_config(paths: tuple[Path, ...], options: tuple[str, ...], *, show: bool) -> int:
    """Say what is wrong with the configuration. Ends with 1 if something is."""
    try:
        loaded = _loader(paths, options)()
    except ConfigError as error:
        click.echo(error, err=True)
        return Exit.FAULTS
    faults, oddities = _judge_rules(loaded)
    for line in (*faults, *(f"warning: {text}" for text in (*loaded.warnings, *oddities))):
        click.echo(line, err=True)
    if faults:
        return Exit.FAULTS
    if show:
        from resourced.configdump import effective_text  # noqa: PLC0415 - only here

        click.echo(effective_text(loaded), nl=False)
    else:
        click.echo(_summary(loaded))
    return Exit.OK


@group.command("default-config")
def default_config() -> int:
    """Print a main file with every setting, its default and what it means."""
    from resourced.configdump import default_text  # noqa: PLC0415 - only here

    click.echo(default_text(), nl=False)
    return Exit.OK


def _loader(paths: tuple[Path, ...], options: tuple[str, ...]) -> "Callable[[], Loaded]":
    """Return what reads the configuration, now and at each reload."""
    from resourced.configfiles import load  # noqa: PLC0415 - pydantic takes a while to import, --help needs none of it

    return functools.partial(load, [path.absolute() for path in paths] or None, options=options)


def _judge_rules(loaded: "Loaded") -> tuple[list[str], list[str]]:
    """Return what is wrong and what is odd in the rules, a line each, with the place where the rule begins."""
    from resourced.policy.lint import lint  # noqa: PLC0415 - the policy is not needed by --help

    findings = lint(loaded.config.rule, mode=loaded.config.policy.mode)
    told = {
        severity: [_placed(each.text, each.rule, loaded) for each in findings if each.severity == severity]
        for severity in ("error", "warning")
    }
    return told["error"], told["warning"]


def _placed(text: str, rule: str | None, loaded: "Loaded") -> str:
    return text if rule is None else f"{loaded.origin(f'rule.{rule}')}: {text}"


def _summary(loaded: "Loaded") -> str:
    read = ", ".join(map(str, loaded.files)) or "no file; all is as shipped"
    policy = loaded.config.policy
    count = sum(rule.mode != "off" for rule in loaded.config.rule)
    mode = f"mode {policy.mode} ({loaded.origin('policy.mode')})"
    return f"The configuration is good ({read}).\nPolicy: {mode}, profile {policy.profile}, rules in force: {count}."


def main() -> None:
    """Run resourced and end the process with one of the codes of `Exit`."""
    fill_streams()
    raise SystemExit(_main(sys.argv[1:]))


def _main(arguments: list[str]) -> int:
    asked = os.environ.get(_COMPLETE)
    if asked:
        return shell_complete(group, {}, "resourced", _COMPLETE, asked)
    code: int
    try:
        # Not group.main(): it takes a reader that went away for a failure.
        with group.make_context("resourced", arguments) as context:
            code = group.invoke(context)
        getattr(sys.stdout, "flush", bool)()  # there is none where a caller in this process has closed it
    except click.exceptions.Exit as end:  # --help, --version
        code = end.exit_code
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        drop_output()
        code = Exit.PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - a fault must not look like a verdict of check-config
        if not told_unwritable("resourced", error):
            traceback.print_exc()
        code = Exit.FAILED
    return code
