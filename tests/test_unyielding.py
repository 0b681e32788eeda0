"""Reading without letting go of the interpreter."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resourced.precedence import go_first
from resourced.unyielding import UnyieldingReader
from tests.actions.fakes import program
from tests.attributes import set_attribute

_LONG_SECONDS = 5.0


@contextmanager
def busy() -> Iterator[list[int]]:
    """Let a thread count for as long as the block lasts, whenever it has the interpreter, and yield the count."""
    count, ended, begun = [0], threading.Event(), threading.Event()

    def counting() -> None:
        begun.set()
        while not ended.is_set():
            count[0] += 1

    thread = threading.Thread(target=counting)
    usual = sys.getswitchinterval()
    thread.start()
    assert begun.wait(30)
    try:
        yield count
    finally:
        sys.setswitchinterval(usual)
        ended.set()
        thread.join()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_what_is_read_is_what_the_file_holds(tmp_path: Path) -> None:
    reader = UnyieldingReader()
    (tmp_path / "small").write_bytes(b"one\0two\n")
    (tmp_path / "large").write_bytes(b"x" * 100_000)

    assert reader.read(os.fsencode(tmp_path / "small")) == b"one\0two\n"
    assert reader.read(os.fsencode(tmp_path / "large")) == b"x" * 65536
    assert reader.read(b"/proc/self/oom_score_adj") == Path("/proc/self/oom_score_adj").read_bytes()


def test_what_can_not_be_read_is_unknown(tmp_path: Path) -> None:
    reader = UnyieldingReader()

    assert reader.read(os.fsencode(tmp_path / "absent")) is None
    assert reader.read(os.fsencode(tmp_path)) is None
    assert reader.names(os.fsencode(tmp_path / "absent")) == []


@pytest.mark.parametrize("glibc", [True, False])
def test_all_names_of_a_directory_are_listed(tmp_path: Path, *, glibc: bool) -> None:
    reader = UnyieldingReader()
    if not glibc:
        reader._entries = None
    names = {os.fsencode(f"{number}-{'ü' * (number % 100)}") for number in range(3000)}
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()

    assert {*reader.names(os.fsencode(tmp_path))} - {b".", b".."} == names


def test_an_attribute_is_what_was_set_and_unknown_where_none_is(tmp_path: Path) -> None:
    reader, path = UnyieldingReader(), os.fsencode(tmp_path)
    set_attribute(tmp_path, "user.short")
    set_attribute(tmp_path, "user.longer", b"x" * 17)

    assert reader.attribute(path, b"user.short") == b"1"
    assert reader.attribute(path, b"user.longer") is None
    assert reader.attribute(path, b"user.absent") is None
    assert reader.attribute(path + b"/absent", b"user.short") is None


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    reader = UnyieldingReader()
    before = descriptors()
    for _ in range(100):
        reader.read(b"/proc/self/stat")
        reader.read(os.fsencode(tmp_path))
        reader.names(b"/proc")

    assert descriptors() == before


def test_nobody_else_runs_between_two_reads() -> None:
    reader = UnyieldingReader()
    with program() as one, busy() as count:
        path = os.fsencode(f"/proc/{one.pid}/stat")
        # Whoever waits for the interpreter by now may ask for it once more by the interval of before.
        sys.setswitchinterval(_LONG_SECONDS)
        moved = 0
        for _ in range(20):
            before = count[0]
            for _ in range(50):
                reader.read(path)
                reader.attribute(b"/", b"trusted.oomd_omit")
            reader.names(b"/proc")
            moved += count[0] != before
            assert moved <= 1


def test_a_thread_that_goes_first_has_its_name_and_is_nicer_to_nobody() -> None:
    found: list[tuple[str, int]] = []

    def first() -> None:
        thread = threading.get_native_id()
        go_first("guard")
        comm = Path(f"/proc/self/task/{thread}/comm").read_text()
        found.append((comm, os.getpriority(os.PRIO_PROCESS, thread)))

    before = os.getpriority(os.PRIO_PROCESS, 0)
    made = threading.Thread(target=first)
    made.start()
    made.join()

    [(comm, niceness)] = found
    assert comm == "guard\n"
    assert niceness in {-20, before}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before, "the others are as nice as ever"
