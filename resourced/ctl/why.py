"""`resourcectl why`: whether a process or a unit would have to give way, and how near it is."""

from collections.abc import Iterator
from typing import Any

import click

from resourced.ctl import render, screen
from resourced.ctl.options import common
from resourced.ctl.session import Session

_HEAD = ("LEVEL", "STANDS", "PLACE", "NOW", "FIRES", "LEFT", "RULE", "METRIC")


@click.command(short_help="Tell how near one is to having to give way.")
@click.argument("subject", metavar="PID|UNIT")
@common
def why(session: Session, subject: str) -> None:
    """Tell whether a process or unit would have to give way, and how near it is.

    PLACE is its place among those whom a rule could choose, 1 going first. LEFT is the time until the rule would fire
    if things went on as they do.
    """
    with session.client() as client:
        found = client.prune(pid=int(subject)) if subject.isdecimal() else client.prune(unit=subject)
    if session.as_json:
        session.show_json(found)
        return
    screen.tell(render.safe(_verdict(f"process {subject}" if subject.isdecimal() else subject, found)))
    if found["rules"]:
        screen.show("")
        screen.table(_HEAD, [row for rule in found["rules"] for row in _rows(rule)], left=2)


def _verdict(name: str, found: dict[str, Any]) -> str:
    """Return the answer in a sentence."""
    name = name[0].upper() + name[1:] if name.startswith("process ") else name
    if found["protected"]:
        return f"{name} does not have to give way: {found['protected']}."
    firing = [each["rule"] for each in found["rules"] if each["place"] == 1 and each["phase"] == "firing"]
    if found["prune"]:
        return f"{name} has to give way now, by {', '.join(firing) or 'a rule that fires'}."
    if all(each["place"] is None for each in found["rules"]):
        return f"{name} does not have to give way: no rule has it, or what it is part of, to choose from."
    if not found["next"]:
        return f"{name} does not have to give way, and others would go first."
    first = ", ".join(each["rule"] for each in found["rules"] if each["place"] == 1)
    left = found["seconds_left"]
    when = "none of these is approached" if left is None else f"at the present pace that is in {render.remaining(left)}"
    return f"{name} does not have to give way now. It would be the first if one of these fired: {first}; {when}."


def _rows(rule: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each comparison of a rule, the rule's name with the first alone."""
    instance = f" {rule['instance']}" if rule["instance"] else ""
    place = "-" if rule["place"] is None else f"{rule['place']} of {rule['of']}"
    about, name = (rule["level"], rule["phase"], place), render.safe(rule["rule"] + instance)
    for margin in rule["margins"]:
        left = margin["seconds_left"]
        yield (
            *about,
            render.quantity(margin["value"], margin["unit"]),
            f"{margin['comparison']} {render.quantity(margin['threshold'], margin['unit'])}",
            "-" if left is None else render.remaining(left),
            name,
            render.safe(margin["metric"]),
        )
        about, name = ("", "", ""), ""
