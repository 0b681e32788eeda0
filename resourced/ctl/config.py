"""`resourcectl config`: by what the daemon goes, where each value was said, and what is wrong with the files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resourced.client import NotRunning
from resourced.ctl import screen
from resourced.ctl.exits import Exit
from resourced.ctl.options import common
from resourced.ctl.session import Session, fail
from resourced.errors import ConfigError

if TYPE_CHECKING:
    from resourced.configfiles import Loaded

_SHIPPED = ("default", "profile default")
"""Beginnings of the origin of what nobody has said."""


@click.group(short_help="See and check the configuration.", context_settings={"help_option_names": ["-h", "--help"]})
def config() -> None:
    """See by what the daemon goes, and check its files before a reload."""


@config.command()
@click.argument("pattern", default="")
@click.option("--changed", is_flag=True, help="Only what is not as shipped.")
@common
def show(session: Session, pattern: str, *, changed: bool) -> None:
    """Show what is in force and where it was said: all, or the settings whose name contains PATTERN.

    The daemon is asked, for root and those who may change things; where none runs, the files say what would be.
    """
    found = _running(session)
    if found is None:
        from resourced.configdump import effective_values  # noqa: PLC0415 - --help needs no pydantic

        try:
            found = effective_values(_loaded(()))
        except ConfigError as error:
            fail(str(error), Exit.FAILED)
    settings = {
        key: value
        for key, value in found["settings"].items()
        if pattern in key and not (changed and value["origin"].startswith(_SHIPPED))
    }
    if session.as_json:
        session.show_json({**found, "settings": settings})
    elif pattern or changed:
        if not settings:
            screen.show("Everything is as shipped." if not pattern else f"There is no setting {pattern}.")
            return
        rows = [(key, value["written"] or "not set", value["origin"]) for key, value in settings.items()]
        screen.table(("SETTING", "VALUE", "SAID IN"), rows, left=3)
    else:
        screen.show(found["text"].rstrip("\n"))


@config.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@common
def check(session: Session, files: tuple[Path, ...]) -> None:
    """Say what is wrong in the daemon's files, or in FILE with what is in FILE.d. Ends with 1 if something is."""
    faults: list[str] = []
    warnings: tuple[str, ...] = ()
    read: tuple[Path, ...] = ()
    try:
        loaded = _loaded(files)
    except ConfigError as error:
        faults = str(error).splitlines()
    else:
        from resourced.policy.lint import lint  # noqa: PLC0415 - --help does not need the policy

        found = lint(loaded.config.rule, mode=loaded.config.policy.mode)
        placed = [(each.severity, f"{loaded.origin(f'rule.{each.rule}')}: {each.text}") for each in found]
        faults = [text for severity, text in placed if severity == "error"]
        warnings = (*loaded.warnings, *(text for severity, text in placed if severity != "error"))
        read = loaded.files
    if session.as_json:
        told = {"good": not faults, "faults": faults, "warnings": list(warnings), "files": [str(path) for path in read]}
        session.show_json(told)
    else:
        for line in (*faults, *(f"warning: {text}" for text in warnings)):
            screen.tell(line)
        if not faults:
            screen.tell(f"The configuration is good ({', '.join(map(str, read)) or 'no file; all is as shipped'}).")
    if faults:
        raise SystemExit(Exit.FAILED)


def _running(session: Session) -> dict[str, Any] | None:
    """Return what the daemon goes by; None if none runs at the usual place."""
    with session.client() as client:
        try:
            found: dict[str, Any] = client.get("/config")
        except NotRunning:
            if session.target is not None:
                raise
            return None
        return found


def _loaded(files: tuple[Path, ...]) -> "Loaded":
    from resourced.configfiles import load  # noqa: PLC0415 - pydantic takes a while to import

    return load([path.absolute() for path in files] or None)
