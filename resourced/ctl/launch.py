"""`resourcectl run`: start a command as a workload, in a scope of its own."""

import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from resourced.client import ApiError, ClientError, find_target
from resourced.client.lease import ENVIRONMENT
from resourced.ctl import scope
from resourced.ctl.exits import Exit
from resourced.ctl.options import common
from resourced.ctl.session import Session, exit_code, fail
from resourced.quantities import parse_duration

_PRIORITIES = {"low": -100.0, "normal": 0.0, "high": 100.0}
_NOT_NOW = (404, 429, 500, 502, 503)
"""Statuses that are no fault of the command line: an older daemon, or one with no room."""


def _priority(context: click.Context, option: click.Parameter, value: str) -> float:
    del context, option
    try:
        number = _PRIORITIES[value] if value in _PRIORITIES else float(value)
    except ValueError:
        number = float("nan")
    if not -1000 <= number <= 1000:
        raise click.BadParameter(f"{value!r} is not low, normal, high, or a number from -1000 to 1000")
    return number


def _grace(context: click.Context, option: click.Parameter, value: str) -> float:
    del context, option
    try:
        seconds = parse_duration(value if value[-1:].isalpha() else f"{value}s")
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if seconds > 3600:
        raise click.BadParameter(f"{value!r} is more than an hour")
    return seconds


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started, and as what."""

    command: tuple[str, ...]
    wishes: Mapping[str, Any]
    limits: scope.Limits
    manager: str
    """user or system: which service manager makes the scope."""
    scoped: bool
    """Whether a scope is wanted."""


@click.command(short_help="Start a command as a workload.", context_settings={"allow_interspersed_args": False})
@click.option(
    "--priority",
    metavar="low|normal|high|N",
    callback=_priority,
    default="normal",
    show_default=True,
    help="Higher gives way later; low is -100, high 100. Above 0 takes root or an admin.",
)
@click.option(
    "--grace",
    metavar="DURATION",
    callback=_grace,
    default="30s",
    show_default=True,
    help="Time that it wants once it was told.",
)
@click.option(
    "--memory-high",
    metavar="SIZE",
    callback=scope.size_or_share,
    help="Slow it down above so much memory, such as 8G or 50%.",
)
@click.option("--memory-max", metavar="SIZE", callback=scope.size_or_share, help="The most memory that it may have.")
@click.option(
    "--cpu-weight", type=click.IntRange(1, 10000), help="Its share of processors beside others; 100 is usual."
)
@click.option("--name", help="What people see; by default the command's name.")
@click.option(
    "--tell",
    type=click.Choice(["stream", "signal", "file", "none"]),
    default="stream",
    show_default=True,
    help="How it is told: on the API's stream, by a signal, by a pipe named in $RESOURCED_WORKLOAD_FILE.",
)
@click.option("--signal", "signal_name", help="Which signal, such as USR1; implies --tell signal.")
@click.option("--restartable", is_flag=True, help="It can go on later from where it was.")
@click.option("--no-scope", is_flag=True, help="Start it where this shell is, as a single process.")
@click.option("--user", "manager", flag_value="user", help="A scope of this user's manager; usual for all but root.")
@click.option("--system", "manager", flag_value="system", help="A scope of the system's manager; usual for root.")
@click.option("--within", hidden=True, is_flag=True, help="It is in its scope already.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] COMMAND...")
@common
def run(session: Session, *, command: tuple[str, ...], within: bool, no_scope: bool, **options: Any) -> None:
    """Start COMMAND as a workload that is told before it must give way.

    It gets a scope of its own, with limits if they are given, and becomes COMMAND: signals, input, output and the exit
    code are COMMAND's. $RESOURCED_WORKLOAD is the id of its registration and $MEMORY_PRESSURE_WATCH where systemd's
    protocol for memory pressure is spoken. Without a daemon it runs all the same.
    """
    launch = _launch(command, options, scoped=not no_scope)
    if launch.scoped and not within:
        reason = scope.unavailable(launch.manager, os.environ)
        if reason is None:
            inner = _again(session, launch)
            _become(scope.arguments(launch.limits, launch.manager, launch.wishes["name"], inner), scope.environment())
        if launch.limits:
            fail(f"limits need a scope, and {reason}", Exit.FAILED)
        _say(f"{reason}: {command[0]} runs without a scope")
    elif not launch.scoped and launch.limits:
        raise click.UsageError("limits need a scope; leave --no-scope out")
    wishes = {**launch.wishes, "scope": "unit" if within else "process"}
    _become(command, {**_pressure(session), **_registered(session, wishes)})


def _launch(command: tuple[str, ...], options: Mapping[str, Any], *, scoped: bool) -> Launch:
    tell, wanted = options["tell"], options["signal_name"]
    if wanted is not None:
        given = click.get_current_context().get_parameter_source("tell") is not click.core.ParameterSource.DEFAULT
        if given and tell != "signal":
            raise click.UsageError(f"--signal is for --tell signal, not for --tell {tell}")
        tell, wanted = "signal", wanted.upper() if wanted.upper().startswith("SIG") else f"SIG{wanted.upper()}"
    wishes = {
        "name": options["name"] or Path(command[0]).name,
        "priority": options["priority"],
        "tell": tell,
        "signal": wanted,
        "grace_seconds": options["grace"],
        "restartable": options["restartable"],
    }
    limits = scope.Limits(options["memory_high"], options["memory_max"], options["cpu_weight"])
    manager = options["manager"] or ("system" if os.geteuid() == 0 else "user")
    return Launch(command, wishes, limits, manager, scoped)


def _again(session: Session, launch: Launch) -> list[str]:
    """Return this command as it goes on within the scope. Nothing is imported from where the shell happens to be."""
    wishes = launch.wishes
    told = {"--socket": session.target, "--token-file": session.token_file}
    wished = {
        "--priority": wishes["priority"],
        "--grace": f"{wishes['grace_seconds']}s",
        "--name": wishes["name"],
        "--tell": wishes["tell"],
        "--signal": wishes["signal"],
    }
    flags = ["--within", *(["--restartable"] if wishes["restartable"] else [])]
    front = [f"{name}={value}" for name, value in told.items() if value is not None]
    back = [f"{name}={value}" for name, value in wished.items() if value is not None]
    return [sys.executable, "-P", "-m", "resourced.ctl", *front, "run", *flags, *back, "--", *launch.command]


def _registered(session: Session, wishes: Mapping[str, Any]) -> dict[str, str]:
    """Register this process, which becomes the command; return what the command is told by its environment."""
    try:
        with session.connected() as client:
            made = client.register_workload(**wishes)
    except ApiError as error:
        if error.status not in _NOT_NOW:
            fail(str(error), exit_code(error))
        _say(f"{error}; {wishes['name']} runs without being registered")
        return {}
    except ClientError as error:
        _say(f"{error}; {wishes['name']} runs without being registered")
        return {}
    return {ENVIRONMENT: made.id} | ({f"{ENVIRONMENT}_FILE": made.file} if made.file else {})


def _pressure(session: Session) -> dict[str, str]:
    socket = find_target(session.target).socket
    path = Path(socket).absolute().with_name("pressure.sock") if socket else None
    if path is None or not os.path.exists(path) or "MEMORY_PRESSURE_WATCH" in os.environ:  # noqa: PTH110 - as above
        return {}
    return {"MEMORY_PRESSURE_WATCH": str(path)}


def _become(command: Sequence[str], added: Mapping[str, str]) -> NoReturn:
    """Become the command; what Python ignores for itself is not ignored for it."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], list(command), {**os.environ, **added})  # noqa: S606 - that is what it is for
    except OSError as error:
        code = Exit.NO_COMMAND if isinstance(error, FileNotFoundError) else Exit.CANNOT_RUN
        fail(f"{shlex.quote(command[0])} can't be run: {error.strerror}", code)


def _say(sentence: str) -> None:
    click.echo(f"resourcectl: {sentence}", err=True)
