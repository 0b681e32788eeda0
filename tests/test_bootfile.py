import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from resourced.bootfile import BootFile


def words(saved: Mapping[str, Any]) -> list[str]:
    return [str(each) for each in saved["words"]]


def boot_file(
    directory: Path, *, version: int = 1, boot_id: str | None = "this", told: list[str] | None = None
) -> BootFile:
    report = (told if told is not None else []).append
    return BootFile(directory / "kept.json", version=version, boot_id=boot_id, report=report)


@pytest.mark.parametrize("synced", [True, False])
def test_what_was_written_is_read_and_replaced_whole(tmp_path: Path, *, synced: bool) -> None:
    for said in (["a", "b", "c"], ["d"]):
        boot_file(tmp_path).save({"words": json.dumps(said)}, synced=synced)
        assert boot_file(tmp_path).load(words) == said
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
    assert (tmp_path / "kept.json").stat().st_mode & 0o777 == 0o600


def test_another_boot_and_another_version_say_nothing_and_are_no_fault(tmp_path: Path) -> None:
    told: list[str] = []
    assert boot_file(tmp_path, told=told).load(words) is None
    boot_file(tmp_path).save({"words": "[]"}, synced=False)
    assert boot_file(tmp_path, boot_id="that", told=told).load(words) is None
    assert boot_file(tmp_path, version=2, told=told).load(words) is None
    assert told == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"version": 1, "boot_id": "this"}', "\0"])
def test_what_cannot_be_read_is_told_and_not_taken(tmp_path: Path, text: str) -> None:
    told: list[str] = []
    (tmp_path / "kept.json").write_text(text)
    assert boot_file(tmp_path, told=told).load(words) is None
    [reason] = told
    assert reason.startswith(f"{tmp_path}/kept.json: ")


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    boot_file(tmp_path).save({"words": '["kept"]'}, synced=True)
    (tmp_path / "kept.json.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        boot_file(tmp_path).save({"words": '["lost"]'}, synced=True)
    assert boot_file(tmp_path).load(words) == ["kept"]


def test_without_a_path_nothing_is_kept() -> None:
    nowhere = BootFile(None, version=1, boot_id=None, report=print)
    nowhere.save({"words": "[]"}, synced=True)
    assert nowhere.load(words) is None
