"""`resourcectl decisions`, `explain`, `why`, `approve` and `veto`."""

from typing import Any

import click

from resourced.client.answers import items
from resourced.ctl import render, screen
from resourced.ctl.options import common
from resourced.ctl.session import Session


@click.command()
@click.option("--since", help="A time, or how long ago.")
@click.option("--until", help="A time, or how long ago.")
@click.option("--rule", help="Only of this rule.")
@click.option("--unit", help="Only on this unit.")
@click.option("--user", help="Only on this user.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@common
def decisions(session: Session, **filters: Any) -> None:
    """List what was decided, newest first."""
    with session.client() as client:
        found = items(client.get("/decisions", **filters), "decisions")
    if session.as_json:
        session.show_json(found)
    elif not found:
        screen.show("Nothing was decided in this time.")
    else:
        rows = [
            (
                d["id"],
                render.moment(d["time"]),
                d["level"],
                d["mode"],
                d["rule"],
                (d.get("target") or {}).get("name", "-"),
            )
            for d in found
        ]
        screen.table(("ID", "TIME", "LEVEL", "MODE", "RULE", "TARGET"), rows, left=6)


@click.command(short_help="Explain one decision, and what came of it.")
@click.argument("identity", metavar="ID")
@common
def explain(session: Session, identity: str) -> None:
    """Explain one decision: why, who was considered, and what came of it."""
    with session.client() as client:
        if session.as_json:
            session.show_json(client.get(f"/decisions/{identity}"))
            return
        found = client.decision(identity)
    decision = found.decision
    from resourced.policy.explain import explain as paragraph  # noqa: PLC0415 - nobody else here needs the policy

    screen.tell(f"{render.moment(decision.time)}  {paragraph(decision)}")
    screen.show(f"Mode {decision.mode}, steps {', '.join(decision.steps) or 'none'}")
    unit = decision.gain_unit or "By"
    rows = [
        (
            f"{c.score:.3g}",
            render.quantity(c.usage, unit),
            render.quantity(c.expected_gain, unit),
            c.name,
            c.protected or c.note or ("chosen" if c == decision.target else ""),
        )
        for c in decision.candidates
    ]
    if rows:
        screen.show("")
        screen.table(("SCORE", "USES", "WOULD FREE", "CANDIDATE", "REMARK"), rows, left=2)
    for outcome in found.outcomes:
        what = f"{outcome.step} {outcome.result} on {outcome.target}"
        gain = f", freed {render.quantity(outcome.measured_gain, unit)}" if outcome.measured_gain is not None else ""
        detail = f": {outcome.detail}" if outcome.detail else ""
        screen.tell(f"{render.moment(outcome.time)}  {what + gain + detail}")


@click.command()
@click.argument("identity", metavar="ID")
@common
def approve(session: Session, identity: str) -> None:
    """Agree to a decision that waits."""
    with session.client() as client:
        body = client.approve(identity)
    _done(session, body, f"Decision {identity} is approved.")


@click.command()
@click.argument("identity", metavar="ID")
@common
def veto(session: Session, identity: str) -> None:
    """Call a decision off, undo what can be undone.

    It may wait or be under way. Its target is left alone for 15 minutes.
    """
    with session.client() as client:
        body = client.veto(identity)
    _done(session, body, f"Decision {identity} is called off.")


def _done(session: Session, body: Any, sentence: str) -> None:
    if session.as_json:
        session.show_json(body)
    else:
        screen.show(sentence)
