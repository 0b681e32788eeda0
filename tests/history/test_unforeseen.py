"""What nobody foresaw keeps nothing from being written for good."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resourced.decision import Scope
from tests.history.fakes import Kit, decision


def test_a_name_that_can_not_be_written_keeps_nothing_from_being_written(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.fill(10)
    target = decision().target
    assert target is not None
    kit.history.record(decision(target=replace(target, unit="hog\udcff.service", scope=Scope.USER, name="a\udcff")))

    assert kit.history.flush()
    assert kit.events == []
    kit.reopen()
    assert [each.id for each in kit.history.decisions()] == [decision().id]


def test_a_fault_is_told_and_writing_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Kit(tmp_path, flush_seconds=0.01)
    kit.fill(10)
    told = threading.Event()

    def report(event: str, fields: Mapping[str, Any]) -> None:
        kit.reports.append((event, fields))
        told.set()

    def fault() -> bool:
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr(kit.history._keeper, "_report", report)
    monkeypatch.setattr(kit.history._keeper, "flush", fault)
    kit.history.open()
    assert told.wait(30)
    monkeypatch.undo()
    kit.add(1.0)
    kit.clock.up += 60
    kit.history.close()

    assert kit.reports[0] == ("store_unwritable", {"reason": "a fault in resourced: KeyError: 'nobody foresaw this'"})
    kit.history = kit.made()
    assert list(kit.values().values())[-1] == 1.0
