import os
from pathlib import Path

import pytest

from resourced.collectors.base import KeptFile, read_int, read_text
from resourced.errors import Unavailable
from tests.collectors.host_fakes import taken


@pytest.mark.parametrize("one_record", [False, True])
def test_a_kept_file_is_read_whole_and_anew_each_time(tmp_path: Path, *, one_record: bool) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * 200_000)
    file = KeptFile(path, one_record=one_record)

    assert len(file.read()) == 200_000
    path.write_bytes(b"short")
    assert file.read() == b"short"
    file.close()


def test_a_file_that_the_kernel_gives_in_pieces_is_read_to_its_end() -> None:
    path = Path("/proc/kallsyms")  # tens of thousands of records, which don't change while no module is loaded
    file = KeptFile(path)
    whole = path.read_bytes()

    assert len(whole) > 65536
    assert file.read() == whole
    assert file.read() == whole
    file.close()


def test_a_file_of_one_record_is_read_whole_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, real = [], os.pread

    def counted(descriptor: int, size: int, position: int) -> bytes:
        reads.append(position)
        return real(descriptor, size, position)

    file = KeptFile(Path("/proc/version"), one_record=True)
    monkeypatch.setattr("os.pread", counted)
    assert file.read() == Path("/proc/version").read_bytes()
    assert reads == [0]
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
