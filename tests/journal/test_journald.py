import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.journal.journald import JournaldSink, is_journal_stream
from resourced.journal.record import Priority, Record
from tests.journal.fakes import FakeJournald


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[FakeJournald]:
    fake = FakeJournald(tmp_path / "socket")
    yield fake
    fake.close()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[JournaldSink]:
    made = JournaldSink("resourced", tmp_path / "socket")
    yield made
    made.close()


def line(message: str) -> Record:
    return Record(1.0, Priority.INFO, "event", message, "test")


def test_an_entry_arrives_with_several_lines_in_its_message(journald: FakeJournald, sink: JournaldSink) -> None:
    sink.write(line("one\ntwo=2"))
    assert journald.receive()["MESSAGE"] == "one\ntwo=2"


def test_an_entry_too_large_for_a_datagram_comes_as_a_sealed_file(journald: FakeJournald, sink: JournaldSink) -> None:
    text = "x" * 5_000_000
    sink.write(line(text))
    assert journald.receive()["MESSAGE"] == text
    assert journald.seals is not None
    assert journald.seals & (fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK) == fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK
    assert sink.dropped == 0


def test_a_frozen_journald_loses_lines_which_are_counted_and_told_later(
    journald: FakeJournald, sink: JournaldSink
) -> None:
    for number in range(2000):
        sink.write(line(str(number)))
    assert 0 < sink.dropped < 2000
    lost = sink.dropped
    for _ in range(2000 - lost):
        journald.receive()
    sink.write(line("after"))
    assert journald.receive()["MESSAGE"] == "after"
    assert journald.receive()["RESOURCED_COUNT"] == str(lost)


def test_an_absent_journald_loses_lines_and_its_return_is_noticed(tmp_path: Path, sink: JournaldSink) -> None:
    sink.write(line("lost"))
    assert sink.dropped == 1
    journald = FakeJournald(tmp_path / "socket")
    sink.write(line("found"))
    assert journald.receive()["MESSAGE"] == "found"
    assert "could not be given" in journald.receive()["MESSAGE"]
    journald.close()


def test_a_stream_is_the_journals_if_device_and_inode_agree(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert is_journal_stream(stream, f"{status.st_dev}:{status.st_ino}")
        assert not is_journal_stream(stream, f"{status.st_dev}:{status.st_ino + 1}")
        assert not is_journal_stream(stream, None)
    assert not is_journal_stream(stream, "1:2")
