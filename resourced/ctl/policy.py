"""`resourcectl policy`: look at a policy before it is in force."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resourced.client import ClientError, NotRunning
from resourced.ctl import render, screen
from resourced.ctl.exits import Exit
from resourced.ctl.options import common
from resourced.ctl.session import Session, exit_code, fail
from resourced.decision import Decision, Level
from resourced.errors import ConfigError, HistoryError, QueryError
from resourced.times import parse_time

if TYPE_CHECKING:
    from resourced.history import Recording
    from resourced.policy import ReplayResult
    from resourced.rehearsal import Policy, Rehearsal

_ROWS = 40


@click.group(
    short_help="Check, rehearse or suggest a policy.", context_settings={"help_option_names": ["-h", "--help"]}
)
def policy() -> None:
    """Check a policy, rehearse it on the recorded past, or have thresholds suggested."""


@policy.command()
@click.argument("file")
@common
def check(session: Session, file: str) -> None:
    """Say what is wrong or odd in the rules of FILE, or of a profile. Ends with 1 if something is wrong."""
    from resourced import rehearsal  # noqa: PLC0415 - --help needs neither the policy nor the history

    try:
        loaded = rehearsal.load_policy(file)
    except ConfigError as error:
        found = [{"severity": "error", "rule": None, "text": line} for line in str(error).splitlines()]
        rules = 0
    else:
        found = [asdict(each) for each in rehearsal.findings(loaded)]
        rules = sum(rule.mode != "off" for rule in loaded.config.rule)
    faults = sum(each["severity"] == "error" for each in found)
    if session.as_json:
        session.show_json({"good": not faults, "rules": rules, "findings": found})
    else:
        for each in found:
            screen.tell(f"{each['severity']}: {each['text']}")
        if not faults:
            screen.show(f"The policy is good: {rules} rules, {len(found)} warnings.")
    if faults:
        raise SystemExit(Exit.FAILED)


def _over_the_past(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which past is meant; the verb receives it opened, with its bounds."""
    for option in (
        click.option("--until", default="now", show_default=True, help="A time, or how long ago."),
        click.option("--since", help="A time, or how long ago; by default a week ago, or a recording's beginning."),
        click.option(
            "--recording",
            type=click.Path(readable=False, path_type=Path),
            help="An exported recording, or a store; by default the daemon's own.",
        ),
    ):
        function = option(function)

    @wraps(function)
    def wrapped(session: Session, *, recording: Path | None, since: str | None, until: str, **arguments: Any) -> None:
        now = time.time()
        try:
            end = parse_time(until, now)
            start = parse_time(since or "7d", now) if since or recording is None else 0.0
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        if end <= start:
            raise click.UsageError("--until is not after --since")
        with _told(), _past(session, recording, start, end) as past:
            function(session, past=past, since=start, until=end, **arguments)

    return wrapped


@contextmanager
def _told() -> Iterator[None]:
    """End with a sentence and a code where the past or a policy can't be used."""
    try:
        yield
    except PermissionError as error:
        refused = f"{error.filename or error} may not be read"
        fail(f"{refused}; ask as root, or give an exported recording by --recording", Exit.NOT_ALLOWED)
    except (ConfigError, HistoryError, QueryError) as error:
        fail(str(error), Exit.FAILED)


@contextmanager
def _past(session: Session, recording: Path | None, since: float, until: float) -> "Iterator[Recording]":
    """Yield the past: a recording that is named, one that the daemon makes now, or its store where it isn't running."""
    from resourced import rehearsal  # noqa: PLC0415 - --help needs neither the policy nor the history

    with tempfile.TemporaryDirectory(prefix="resourcectl-") as place:
        path = recording or _taken(session, Path(place, "past"), since, until) or rehearsal.find_store()
        if not path.exists():  # PermissionError where not even the folder may be looked into
            fail(f"there is no history at {path}; name a recording by --recording", Exit.NOT_FOUND)
        with rehearsal.opened(path) as past:
            yield past


def _taken(session: Session, path: Path, since: float, until: float) -> Path | None:
    """Let the daemon write a recording to a file, and return the file; None if no daemon is running."""
    try:
        with session.connected() as client:
            client.export(path, start=since, end=until)
    except NotRunning:
        return None
    except ClientError as error:
        fail(f"{error}; a recording that somebody else took can be named by --recording", exit_code(error))
    return path


def _policy(name: str) -> "Policy":
    from resourced import rehearsal  # noqa: PLC0415 - --help needs neither the policy nor the history

    return rehearsal.policy_of(rehearsal.load_policy(name), name)


@policy.command()
@click.option("--policy", "new", metavar="NEW", help="A file, or a profile; by default the policy in force.")
@click.option("--against", "old", metavar="OLD", help="Compare with this policy instead of with what was decided.")
@common
@_over_the_past
def replay(
    session: Session, *, new: str | None, old: str | None, past: "Recording", since: float, until: float
) -> None:
    """Show what a policy would have decided over the recorded past, and how that differs from what was decided.

    Nothing is done to anything. The same code judges as in the daemon.
    """
    from resourced import rehearsal  # noqa: PLC0415 - --help needs neither the policy nor the history

    chosen = _policy(new) if new else rehearsal.present_policy()
    found = rehearsal.rehearse(past, chosen, since, until, _policy(old) if old else None)
    if session.as_json:
        session.show_json(_as_json(found))
    else:
        _show(found)


def _as_json(found: "Rehearsal") -> dict[str, Any]:
    def result(of: "ReplayResult") -> dict[str, Any]:
        named = ("start", "end", "ticks", "prunes", "prunes_per_day", "false_prunes")
        lists = ("decisions", "kills", "stalls")
        return {name: getattr(of, name) for name in named} | {
            name: [asdict(each) for each in getattr(of, name)] for name in lists
        }

    differs = found.comparison
    return {
        "policy": found.policy,
        **result(found.result),
        "against": {"policy": found.against, **(result(found.before) if found.before else {})},
        "comparison": {
            "same": [each.id for each in differs.same],
            "new": [asdict(each) for each in differs.new],
            "gone": [asdict(each) for each in differs.gone],
            "moved": [asdict(each) for each in differs.moved],
        },
    }


def _show(found: "Rehearsal") -> None:
    result = found.result
    if result.start is None or result.end is None:
        screen.show("Nothing was recorded in this time.")
        return
    span = render.quantity(result.end - result.start, "s")
    screen.tell(
        f"{render.safe(found.policy)}: {render.moment(result.start)} to {render.moment(result.end)} ({span}, "
        f"{result.ticks} samples)"
    )
    _section("Decisions", ("TIME", "LEVEL", "MODE", "WOULD FREE", "RULE", "TARGET"), map(_decision, result.decisions))
    troubles = [
        (each.time, (render.moment(each.time), "kill", "-", *_warned(each.seconds_before))) for each in result.kills
    ] + [
        (
            each.time,
            (render.moment(each.time), "stall", render.quantity(each.seconds, "s"), *_warned(each.seconds_before)),
        )
        for each in result.stalls
    ]
    _section(
        "Kills by the kernel, and stalls for want of memory",
        ("TIME", "WHAT", "LASTED", "DECIDED BEFORE"),
        [row for _, row in sorted(troubles)],
    )
    daily = "-" if result.prunes_per_day is None else f"{result.prunes_per_day:.3g}"
    screen.show("")
    screen.tell(
        f"Prunes: {result.prunes} ({daily} a day), of which {result.false_prunes} neither in a stall nor followed by"
        " a kill or a stall within 10 min."
    )
    _show_comparison(found)


def _show_comparison(found: "Rehearsal") -> None:
    differs = found.comparison
    counts = ", ".join(
        f"{len(each)} {what}"
        for each, what in (
            (differs.same, "the same"),
            (differs.new, "new"),
            (differs.gone, "gone"),
            (differs.moved, "moved"),
        )
    )
    screen.tell(f"Against {found.against}: {counts}.")
    rows = [(each.time, ("new", *_decision(each))) for each in differs.new]
    rows += [(each.time, ("gone", *_decision(each))) for each in differs.gone]
    for each in differs.moved:
        later = "at the same time" if not each.seconds else f"{render.quantity(abs(each.seconds), 's')} "
        later += "" if not each.seconds else "later" if each.seconds > 0 else "earlier"
        was = _named(each.old)
        *front, target = _decision(each.new)
        rows.append((each.new.time, ("moved", *front, f"{target} ({later}; was {was})")))
    head = ("", "TIME", "LEVEL", "MODE", "WOULD FREE", "RULE", "TARGET")
    _section("Differences", head, [row for _, row in sorted(rows)])


def _section(title: str, head: tuple[str, ...], rows: Any) -> None:
    rows = list(rows)
    if not rows:
        return
    screen.show(f"\n{title}: {len(rows)}")
    screen.table(head, rows[:_ROWS], left=2)
    if len(rows) > _ROWS:
        screen.show(f"… and {len(rows) - _ROWS} more; --json gives all")


def _decision(each: Decision) -> tuple[str, ...]:
    rule = f"{each.rule} ({each.instance})" if each.instance else each.rule
    gain = render.quantity(each.expected_gain, each.gain_unit or "By")
    return render.moment(each.time), each.level.value, each.mode.value, gain, rule, _named(each)


def _named(each: Decision) -> str:
    if each.target is None:
        return "-" if each.level is Level.WARN else "nobody"
    return each.target.name if each.target.pid is None else f"{each.target.name} (pid {each.target.pid})"


def _warned(seconds: float | None) -> tuple[str]:
    return ("not decided" if seconds is None else f"{render.quantity(seconds, 's')} before",)


@policy.command("suggest")
@click.option("--policy", "name", metavar="FILE", help="A file, or a profile; by default the policy in force.")
@common
@_over_the_past
def suggest_(session: Session, *, name: str | None, past: "Recording", since: float, until: float) -> None:
    """Suggest thresholds from this machine's own past, with the reason. Nothing applies them by itself."""
    from resourced import rehearsal  # noqa: PLC0415 - --help needs neither the policy nor the history

    chosen = _policy(name) if name else rehearsal.present_policy()
    found = rehearsal.suggestions(past, chosen, since, until)
    if session.as_json:
        session.show_json([asdict(each) for each in found])
        return
    if not found:
        screen.show("Too little is known: ten minutes of samples are needed.")
        return
    for each in found:
        present, suggested = (render.quantity(value, each.unit) for value in (each.present, each.suggested))
        screen.tell(f"{each.rule}: {each.metric} {each.comparison} {present}; suggested {suggested}")
        screen.tell(each.reason, before="  ")
