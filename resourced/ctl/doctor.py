"""`resourcectl doctor`: what is amiss with the daemon and its machine, and what to do about it."""

import os
import pwd
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from resourced import __version__
from resourced.client import Client, ClientError, NotAllowed, NotRunning
from resourced.collectors.base import Roots
from resourced.ctl import checks, screen
from resourced.ctl.checks import Finding, Level
from resourced.ctl.exits import Exit
from resourced.ctl.options import common
from resourced.ctl.session import Session

_SIGNS = {Level.OK: "ok", Level.NOTE: "note", Level.WARNING: "WARN", Level.FAULT: "FAIL"}


@click.command(short_help="Look what is amiss, and what to do about it.")
@common
def doctor(session: Session) -> None:
    """Look what is amiss with the daemon and this machine, and say what to do about it.

    Ends with 1 if something that resourced is there for does not work.
    """
    findings = [*_daemon(session, Roots()), *_machine(Roots())]
    faulty = any(each.level is Level.FAULT for each in findings)
    if session.as_json:
        session.show_json({"healthy": not faulty, "findings": [asdict(each) for each in findings]})
    else:
        width = max(len(each.check) for each in findings)
        for each in findings:
            screen.tell(each.text, before=f"{_SIGNS[each.level]:<4}  {each.check:<{width}}  ")
            if each.advice:
                screen.tell(each.advice, before=" " * (width + 8))
    if faulty:
        raise SystemExit(Exit.FAILED)


def _machine(roots: Roots) -> Iterator[Finding]:
    yield from checks.pressure(roots)
    yield from checks.cgroups(roots)
    yield from checks.clock(checks.clock_state())
    yield from checks.rivals(roots)


def _daemon(session: Session, roots: Roots) -> Iterator[Finding]:
    try:
        token = session.token_file.read_text().strip() if session.token_file else None
        with Client(session.target, token=token) as client:
            status, all_ = client.status(), client.get("/resources/all")
    except NotAllowed as error:
        user = pwd.getpwuid(os.getuid()).pw_name
        advice = f"Run adduser {user} resourced as root, then log in again; or run this as root."
        yield Finding("daemon", Level.FAULT, f"{error}", advice)
        return
    except NotRunning as error:
        advice = "Run systemctl start resourced, then journalctl -u resourced if it does not stay."
        yield Finding("daemon", Level.FAULT, f"{error}", advice)
        return
    except (ClientError, OSError, UnicodeDecodeError) as error:
        yield Finding("daemon", Level.FAULT, f"{error}", "See journalctl -u resourced -p warning.")
        return
    yield from _answers(status, all_, roots)


def _answers(status: dict[str, Any], all_: dict[str, Any], roots: Roots) -> Iterator[Finding]:
    version = status.get("version")
    if version == __version__:
        yield Finding("daemon", Level.OK, f"Version {version} answers.")
    else:
        advice = "Run systemctl restart resourced."
        yield Finding("daemon", Level.WARNING, f"Version {version} answers; this is {__version__}.", advice)
    yield from checks.sampling(status)
    yield from checks.collectors(all_, roots)
    yield from checks.capabilities(roots, int(status.get("pid", 0)))
    yield from checks.store(status)
    history = status.get("history") or {}
    if history.get("path"):
        directory = Path(history["path"]).parent
        wanted = history.get("maximum_bytes", 0) - history.get("disk_bytes", 0)
        try:
            yield from checks.free_space(directory, shutil.disk_usage(directory).free, wanted)
        except OSError:  # it may be in a place that this user can't look at
            return
