"""The documentation of the configuration is in step with the models, and what it shows works."""

import re
import tomllib
from pathlib import Path

import pytest

from resourced.parts import rules_of
from tests.config.fakes import read, write
from tests.config.reference import DOCUMENT, exits, reference, with_reference

TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def test_the_settings_in_the_document_are_those_of_the_models() -> None:
    assert TEXT.count(reference()) == 1, "run python -m tests.config.reference"
    assert with_reference(TEXT) == TEXT


def test_every_exit_code_is_in_the_document() -> None:
    assert [row for row in exits() if row not in TEXT] == []


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_configuration(tmp_path: Path, example: str) -> None:
    assert tomllib.loads(example)
    loaded = read(write(tmp_path / "r.toml", example))
    assert loaded.warnings == ()
    assert rules_of(loaded.config)
