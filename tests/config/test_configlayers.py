"""How layers cover one another."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from resourced.configlayers import DEFAULT, Fault, Layer, Merged, Origin

leaves = st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2)
trees = st.recursive(
    st.dictionaries(st.sampled_from("abc"), leaves, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), leaves | inner, max_size=3),
    max_leaves=6,
)


UNKNOWN = "there is no rule of this name that it could change:"
NEW = "A new rule needs metric, all, any or not"


def layer(name: str, data: dict[str, Any]) -> Layer:
    return Layer(data, lambda key: Origin("file", name + "".join(f"/{each}" for each in key)))


def flat(data: dict[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, value in data.items():
        found |= flat(value, (*above, name)) if isinstance(value, dict) else {(*above, name): value}
    return found


@given(st.lists(trees, max_size=4))
def test_each_value_is_that_of_the_last_layer_that_has_it_and_so_is_its_origin(documents: list[dict[str, Any]]) -> None:
    merged = Merged()
    for number, document in enumerate(documents):
        merged.add(layer(str(number), document))

    expected: dict[tuple[str, ...], tuple[int, Any]] = {}
    for number, document in enumerate(documents):
        for key, value in flat(document).items():
            # A value takes the place of a table and of all below it, and a table that of a value.
            covered = [old for old in expected if old[: len(key)] == key or key[: len(old)] == old]
            for old in covered:
                del expected[old]
            expected[key] = (number, value)
        for key in _empty_tables(document):
            for old in [old for old in expected if key[: len(old)] == old]:
                del expected[old]
    assert flat(merged.data) == {key: value for key, (_, value) in expected.items()}
    for key, (number, _) in expected.items():
        assert merged.origin(key).name == "/".join((str(number), *key))


def _empty_tables(data: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, value in data.items():
        if isinstance(value, dict):
            found += _empty_tables(value, (*above, name)) if value else [(*above, name)]
    return found


def rules(*tables: dict[str, Any]) -> dict[str, Any]:
    return {"rule": list(tables)}


LOW = {"name": "low", "metric": "memory.available", "below": "5%", "for": "2s", "cooldown": "1s"}


def test_a_rule_of_a_known_name_changes_only_the_keys_that_it_has() -> None:
    merged = Merged()
    merged.add(layer("a", rules(LOW)))
    merged.add(layer("b", rules({"name": "low", "cooldown": "9s", "mode": "off"})))

    assert merged.data["rule"] == [{**LOW, "cooldown": "9s", "mode": "off"}]
    assert merged.origin(("rule", "low", "below")).name == "a/rule/0/below"
    assert merged.origin(("rule", "low", "cooldown")).name == "b/rule/0/cooldown"


def test_a_new_condition_replaces_the_old_one_whole() -> None:
    merged = Merged()
    merged.add(layer("a", rules(LOW)))
    merged.add(layer("b", rules({"name": "low", "any": [{"metric": "swap.free", "below": 1}]})))

    assert merged.data["rule"] == [{"name": "low", "cooldown": "1s", "any": [{"metric": "swap.free", "below": 1}]}]
    assert ("rule", "low", "for") not in merged.origins
    assert merged.origin(("rule", "low", "any", 0, "below")).name == "b/rule/0/any/0/below"


def test_rules_keep_their_order_and_new_ones_follow() -> None:
    merged = Merged()
    merged.add(layer("a", rules(LOW, {**LOW, "name": "other"})))
    merged.add(layer("b", rules({**LOW, "name": "new"}, {"name": "other", "mode": "off"})))

    assert [rule["name"] for rule in merged.data["rule"]] == ["low", "other", "new"]


def test_rules_that_cannot_be_merged_are_told_and_left_out() -> None:
    merged = Merged()
    merged.add(layer("a", rules(LOW)))
    merged.add(layer("b", {"rule": [3, {"below": 1}, {"name": 4}, {"name": "lwo", "mode": "off"}, LOW, LOW]}))
    merged.add(layer("c", {"rule": {"name": "low"}}))

    assert [str(fault) for fault in merged.faults] == [
        "b/rule/0: rule.0: is not a table; write [[rule]], and its keys below",
        'b/rule/1: rule.1: has no name; write for example name = "memory-low"',
        'b/rule/2: rule.2: has no name; write for example name = "memory-low"',
        f"b/rule/3: rule.lwo: {UNKNOWN} did you mean low? {NEW}",
        "b/rule/5: rule.low: two rules have this name, the other at b/rule/4; names are unique within a file",
        "c/rule: rule: is a list of tables; write [[rule]] in two brackets, with a name",
    ]
    assert merged.data["rule"] == [LOW]


def test_a_name_like_no_other_lists_what_there_is() -> None:
    merged = Merged()
    merged.add(layer("a", rules({"name": "zzz", "mode": "off"})))
    merged.add(layer("b", rules(LOW)))
    merged.add(layer("c", rules({"name": "zzz", "mode": "off"})))

    assert ["there are none." in merged.faults[0].text, "there are low." in merged.faults[1].text] == [True, True]


def test_an_origin_says_where_to_look() -> None:
    assert str(DEFAULT) == "default"
    assert str(Origin("file", "/etc/a.toml", 3)) == "/etc/a.toml:3"
    assert str(Origin("profile", "desktop", 3)) == "profile desktop:3"
    assert str(Origin("environment", "RESOURCED_A__B")) == "RESOURCED_A__B in the environment"
    assert str(Origin("option", "a.b=1")) == "--set a.b=1"


def test_a_fault_of_a_default_names_no_place() -> None:
    assert str(Fault(DEFAULT, ("api", "port"), "is odd")) == "api.port: is odd"
    assert str(Fault(Origin("file", "a"), (), "is odd")) == "a: is odd"


def test_what_was_never_said_is_a_default() -> None:
    assert Merged().origin(("api", "port")) == DEFAULT
