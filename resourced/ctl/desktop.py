"""`resourcectl desktop`: decisions and what came of them as notifications on the desktop of who runs it.

The daemon can't reach a session's bus: it belongs to its user alone. So the session asks, and shows what it hears.
"""

import html
import os
import shutil
import subprocess
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from resourced.client.sse import ServerEvent
from resourced.ctl import render
from resourced.ctl.exits import Exit
from resourced.ctl.options import common
from resourced.ctl.session import Session, fail

_SHOW_SECONDS = 5.0
"""How long the desktop may take to accept a notification."""
_MOST_DECISIONS = 100
"""Of so many decisions it is remembered that they were shown, so that their outcomes are too."""
_SHOWN_RESULTS = {"done": "", "failed": " failed", "refused": " refused", "undone": " undone", "expired": " ended"}


@dataclass(frozen=True, slots=True)
class Notification:
    """What is shown."""

    summary: str
    """One line."""
    body: str
    """A sentence or two."""
    urgent: bool
    """Whether it stays until it is read."""


class Notifications:
    """Makes notifications of events: those about a user's own things, and those about nobody's.

    Args:
        uid: Whose things are shown; None for everybody's.
    """

    def __init__(self, uid: int | None) -> None:
        self._uid = uid
        self._shown: OrderedDict[str, None] = OrderedDict()

    def of(self, event: ServerEvent) -> Notification | None:
        """Return what is to be shown of an event, None if nothing is."""
        if not isinstance(event.data, dict):
            return None
        if event.kind == "decision":
            return self._decision(event.data)
        return self._outcome(event.data) if event.kind == "outcome" else None

    def _decision(self, told: dict[str, Any]) -> Notification | None:
        target = told.get("target")
        if target is not None and self._uid not in (None, target.get("uid")):
            return None
        self._shown[told["id"]] = None
        while len(self._shown) > _MOST_DECISIONS:
            self._shown.popitem(last=False)
        rule, urgent = f"rule {told['rule']}", told["level"] == "hard"
        if target is None:
            why = told.get("reason") or "nothing is to give way"
            return Notification(f"This machine is short: {rule}", why, urgent)
        name, see = render.safe(target["name"]), f"resourcectl explain {told['id']}"
        match told["mode"]:
            case "enforce":
                steps = ", then ".join(told["steps"]) or "nothing"
                return Notification(f"{name} must give way", f"What follows: {steps} ({rule}). {see}", urgent)
            case "advise":
                word = f"resourcectl approve {told['id']}"
                return Notification(f"{name} should give way", f"It waits for your word: {word} ({rule})", urgent=True)
        return Notification(f"{name} would have to give way", f"Nothing is done ({rule}). {see}", urgent=False)

    def _outcome(self, told: dict[str, Any]) -> Notification | None:
        added = _SHOWN_RESULTS.get(told["result"])
        if added is None or told["decision_id"] not in self._shown or told["step"] == "notify":
            return None
        ending = told["step"] in ("terminate", "kill")
        return Notification(f"{render.safe(told['target'])}: {told['step']}{added}", told.get("detail") or "", ending)


def command(program: str, shown: Notification) -> list[str]:
    """Return the words that show a notification; its body is text and no markup."""
    urgency = "critical" if shown.urgent else "normal"
    body = html.escape(render.safe(shown.body), quote=False)
    options = ["--app-name=resourced", f"--urgency={urgency}", "--icon=dialog-warning"]
    return [program, *options, "--", render.safe(shown.summary), body]


@click.command()
@click.option("--everybody", is_flag=True, help="What concerns others too, not only your own processes and units.")
@click.option("-n", "--count", type=click.IntRange(1), help="End after so many events.")
@common
def desktop(session: Session, *, everybody: bool, count: int | None) -> None:
    """Show decisions as notifications on this desktop.

    What came of them follows. With --json they are also printed. To have it in every session of yours:
    systemctl --user enable --now resourced-desktop.
    """
    program = shutil.which("notify-send")
    if program is None:
        fail("notify-send is not installed (Debian: libnotify-bin)", Exit.FAILED)
    notifications = Notifications(None if everybody else os.getuid())
    with session.client(patience_seconds=60.0 if count is None else 0.0) as client:
        _show(session, program, notifications, client.events(("decision", "outcome")), count)


def _show(
    session: Session, program: str, notifications: Notifications, events: Iterable[ServerEvent], count: int | None
) -> None:
    for number, event in enumerate(events, 1):
        shown = notifications.of(event)
        if shown is not None:
            _notify(command(program, shown))
            if session.as_json:
                session.show_json({"summary": shown.summary, "body": shown.body, "urgent": shown.urgent})
        if number == count:
            return


def _notify(words: list[str]) -> None:
    """Hand a notification to the desktop; one that can't be shown is said on standard error, and the next is tried."""
    try:
        subprocess.run(words, check=True, timeout=_SHOW_SECONDS, stdin=subprocess.DEVNULL)  # noqa: S603 - no shell
    except (OSError, subprocess.SubprocessError) as error:
        click.echo(f"resourcectl: the desktop did not take a notification: {error}", err=True)
