from pathlib import Path

import pytest

from resourced.collectors.base import KeptFile, read_int, read_text
from resourced.errors import Unavailable
from tests.collectors.host_fakes import taken


def test_a_kept_file_is_read_whole_and_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * 200_000)
    file = KeptFile(path)

    assert len(file.read()) == 200_000
    path.write_bytes(b"short")
    assert file.read() == b"short"
    file.close()


def test_a_missing_file_is_unavailable_and_a_failed_read_closes(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not exist"):
        KeptFile(tmp_path / "none").read()
    directory = KeptFile(tmp_path)
    with pytest.raises(IsADirectoryError):
        directory.read()
    assert directory._fd == -1


def test_small_files_that_can_not_be_read_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "number").write_text(" 12\n")
    (tmp_path / "word").write_text("max\n")

    assert (read_int(tmp_path / "number"), read_int(tmp_path / "word"), read_int(tmp_path / "no")) == (12, None, None)
    assert (read_text(tmp_path / "word"), read_text(tmp_path / "no")) == ("max", None)


def test_without_a_sample_before_no_time_has_passed() -> None:
    assert taken(1, 5.0).seconds_since(None) == 0.0
    assert taken(1, 5.0).seconds_since(taken(0, 3.0)) == 2.0
