import re
from pathlib import Path

from resourced.decision import Step
from resourced.journal import EVENTS, step_event
from resourced.journal.catalog import catalog

ROOT = Path(__file__).parents[2]


def test_identities_are_128_bits_and_each_has_one() -> None:
    identities = [event.message_id for event in EVENTS.values()]
    assert all(re.fullmatch("[0-9a-f]{32}", identity) for identity in identities)
    assert len(set(identities)) == len(identities)


def test_identities_do_not_change() -> None:
    assert EVENTS["decision"].message_id == "fe0c3b84e8604e82ac5095d522e83721"
    assert EVENTS["step_kill"].message_id == "25b6d0fd57ad431089fece9c939a79a6"


def test_the_installed_catalog_is_the_tables() -> None:
    assert (ROOT / "systemd/resourced.catalog").read_text() == catalog()


def test_every_result_of_every_step_is_an_event() -> None:
    for step in Step:
        for result in ("done", "called_off", "refused", "failed", "undone", "expired"):
            assert step_event(step, result) in EVENTS


def test_every_event_is_in_the_document() -> None:
    text = (ROOT / "docs/journal.md").read_text()
    assert [name for name in EVENTS if f"`{name}`" not in text] == []
