"""What may be set, as a list."""

from enum import Enum
from typing import Annotated, Literal

import pytest
from pydantic import Field

from resourced.configkinds import Duration
from resourced.configschema import Setting, by_key, known_names, nearest, rule_setting, settings, tables


def test_every_setting_is_listed_once_below_its_table() -> None:
    keys = [each.key for each in settings()]

    assert len(keys) == len(set(keys)) == len(by_key())
    assert {key[:-1] for key in keys} <= set(tables())
    assert ("collectors", "gpus", "retry") in keys
    assert not any(key[0] == "rule" for key in keys)


@pytest.mark.parametrize(
    ("key", "allowed", "written"),
    [
        ("api.port", "a whole number, from 0 to 65535", 8414),
        ("api.tcp", "true or false", True),
        ("api.socket", "an absolute path", None),
        ("sampling.deadline", "a duration, from 10ms to 1min", None),
        ("collectors.sensors.interval", "a duration, from 100ms to 1h", "2s"),
        ("collectors.cpu.interval", "a duration, from 100ms to 1h", None),
        ("history.max_size", "a size, from 8MiB to 1TiB", "256MiB"),
        ("guard.low", "a share, from 0% to 100%", "5%"),
        ("policy.mode", "one of off, observe, advise, enforce", "observe"),
        ("policy.protect.units", "a list of texts", ()),
        ("policy.priorities", "a table of numbers", {}),
        ("log.format", "one of auto, journald, console, json", "auto"),
        ("daemon.nice", "a whole number, from -20 to 19", None),
    ],
)
def test_a_setting_says_what_may_stand_there(key: str, allowed: str, written: object) -> None:
    setting = by_key()[tuple(key.split("."))]

    assert setting.allowed == allowed
    assert setting.written(setting.default) == written


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (("below",), "a number or text"),
        (("for",), "a duration, at least 0s"),
        (("all", 0, "for"), "a duration, at least 0s"),
        (("steps", 0, "grace"), "a duration, at least 0s"),
        (("steps",), "a list of tables"),
        (("only",), "a table"),
        (("except", "units"), "a list of texts"),
        (("rank", "largest"), "a table of numbers"),
        (("scope",), "one of process, tree, unit, slice, user, gpu_process, workload"),
    ],
)
def test_a_key_of_a_rule_says_what_may_stand_there(names: tuple[str | int, ...], allowed: str) -> None:
    setting = rule_setting(names)

    assert setting is not None
    assert setting.allowed == allowed


def test_a_rule_has_no_other_keys() -> None:
    assert rule_setting(("nonsense",)) is None


@pytest.mark.parametrize(
    ("meant", "found"),
    [
        ("api.prot", "api.port"),
        ("daemon.port", "api.port"),
        ("port", "api.port"),
        ("guards", "guard"),
        ("log.guard", "guard"),
        ("api_port", "api.port"),
        ("history.retention_raw", "history.retention.raw"),
        ("api.xyzzy", None),
        ("rule.a.belwo", "rule.a.below"),
        ("rule.a.xyzzy", None),
    ],
)
def test_the_nearest_key_is_a_sibling_or_one_of_that_name_elsewhere(meant: str, found: str | None) -> None:
    assert nearest(tuple(meant.split("."))) == found


def test_known_names_are_those_of_the_table() -> None:
    assert known_names(("sampling",)) == ["interval", "deadline"]
    assert known_names(("rule", "a", "all", 0, "not"))[0] == "metric"
    assert known_names(("nonsense",)) == []
    assert known_names(("api", "port")) == []


class _Colour(Enum):
    RED = 1


@pytest.mark.parametrize(("type_", "low", "allowed"), [(str, None, "text"), (float, 3.5, "a number, at least 3.5")])
def test_a_bound_may_be_missing(type_: type, low: float | None, allowed: str) -> None:
    assert Setting(("a",), type_, None, "", None, low).allowed == allowed


def test_types_have_names_for_people() -> None:
    assert Setting(("a",), Literal["x", "y"], None, "").allowed == "one of x, y"
    assert Setting(("a",), _Colour, None, "").allowed == "one of 1"
    assert Setting(("a",), tuple[Annotated[str, Field(max_length=3)], ...], None, "").allowed == "a list of texts"
    assert Setting(("a",), tuple[Duration, ...], None, "").allowed == "a list of tables"
