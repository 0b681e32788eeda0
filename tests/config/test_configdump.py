"""The configuration as text, and back."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.config import ResourceConfig
from resourced.configdump import default_text, effective_text
from resourced.configfiles import load
from resourced.configlayers import Origin
from resourced.configschema import settings
from resourced.policy.profiles import PROFILES
from tests.config.fakes import read, write


def test_the_default_file_changes_nothing(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", default_text()))

    assert loaded.config == load([write(tmp_path / "empty.toml", "")], environ={}, uid=0).config
    assert {origin.source for origin in loaded.origins.values()} == {"default", "profile"}


def test_the_default_file_with_every_line_in_force_equals_the_defaults(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=[a-z_]+ = )", "", default_text(), flags=re.MULTILINE)

    loaded = read(write(tmp_path / "r.toml", text))

    assert loaded.config.model_copy(update={"rule": ()}) == ResourceConfig()
    unset = {".".join(each.key) for each in settings() if each.default is None}
    assert {key for key, origin in loaded.origins.items() if origin.source == "default"} == unset


def test_the_example_rule_in_the_default_file_is_one(tmp_path: Path) -> None:
    example = default_text().rpartition("For example")[2] if "For example" in default_text() else ""
    example = example or default_text().rpartition("For\n# example")[2] or default_text().rpartition("example\n")[2]
    text = "\n".join(line.removeprefix("# ").removeprefix("#") for line in example.splitlines())

    loaded = read(write(tmp_path / "r.toml", text))

    assert [rule["name"] for rule in tomllib.loads(text)["rule"]] == ["memory-critical", "batch-memory"]
    assert loaded.config.rule[-1].name == "batch-memory"


def test_the_default_file_names_every_setting_and_stays_within_the_width() -> None:
    text = default_text()

    for each in settings():
        assert f"#{each.key[-1]} = " in text or f"# {each.key[-1]} is " in text
    assert max(len(line) for line in text.splitlines() if line.startswith("# ")) <= 102


@pytest.mark.parametrize("profile", [*PROFILES, "none"])
def test_what_is_shown_means_the_same_when_it_is_read(tmp_path: Path, profile: str) -> None:
    path = write(tmp_path / "r.toml", f"[policy]\nprofile = '{profile}'\n[api]\nport = 9\n")
    shown = read(path, "log.level=debug")

    again = read(write(tmp_path / "again.toml", effective_text(shown)))

    assert again.config == shown.config


def test_every_value_is_shown_with_its_origin(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "[api]\nport = 9\n[[rule]]\nname = 'memory-low'\nbelow = '20%'\n")

    lines = effective_text(read(path, "log.level=debug", RESOURCED_API__TOP="3")).splitlines()

    assert f"port = 9  # {tmp_path}/r.toml:2" in lines
    assert "top = 3  # RESOURCED_API__TOP in the environment" in lines
    assert 'level = "debug"  # --set log.level=debug' in lines
    assert 'interval = "1s"  # default' in lines
    assert "# socket is not set" in lines
    assert f'below = "20%"  # {tmp_path}/r.toml:5' in lines
    assert any(line.startswith('for = "10s"  # profile default:') for line in lines)


def test_an_origin_can_not_break_out_of_its_comment(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", ""))
    hostile = Origin("file", "a\nmode = 'off' #")
    loaded = type(loaded)(loaded.config, {**loaded.origins, "policy.mode": hostile})

    assert "# a?mode = 'off' #" in effective_text(loaded)
    assert tomllib.loads(effective_text(loaded))["policy"]["mode"] == "observe"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
documents = st.fixed_dictionaries(
    {},
    optional={
        "sampling": st.fixed_dictionaries({}, optional={"interval": st.floats(0.1, 60)}),
        "history": st.fixed_dictionaries({"max_size": st.integers(8 * 1024**2, 1024**4)}),
        "policy": st.fixed_dictionaries(
            {
                "protect": st.fixed_dictionaries({"units": st.lists(texts, max_size=3)}),
                "priorities": st.dictionaries(texts, st.floats(-1000, 1000), max_size=3),
                "mode": st.sampled_from(["off", "observe", "enforce"]),
            }
        ),
        "guard": st.fixed_dictionaries({"low": st.floats(0, 1)}),
        "rule": st.just([]),
    },
)


@given(documents)
def test_whatever_is_set_is_shown_so_that_it_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    config = ResourceConfig.model_validate({**document, "policy": {"profile": "none", **document.get("policy", {})}})
    loaded = read(write(tmp_path_factory.getbasetemp() / "empty.toml", ""))

    text = effective_text(type(loaded)(config, {}))

    assert read(write(tmp_path_factory.getbasetemp() / "shown.toml", text)).config == config
