"""Command lines of processes that answer, and of those that hold up whoever reads."""

import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from resourced.collectors.base import Roots
from resourced.commandlines import CommandLines

START = 77


class Tree:
    """Processes in a directory; one that hangs has a FIFO that nobody writes to in place of its command line."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self.started: dict[int, int] = {}

    def add(self, pid: int, *, hangs: bool = False) -> None:
        directory = self.proc / str(pid)
        directory.mkdir()
        numbers = [0] * 49
        numbers[18] = START
        (directory / "stat").write_text(f"{pid} (job) S {' '.join(map(str, numbers))}\n")
        if hangs:
            os.mkfifo(directory / "cmdline")
        else:
            (directory / "cmdline").write_bytes(b"job\0--id=%d\0" % pid)
        self.started[pid] = START

    def let_go(self, pid: int) -> None:
        """Let a process that hangs answer."""
        with (self.proc / str(pid) / "cmdline").open("wb") as file:
            file.write(b"job\0--id=%d\0" % pid)


def reading(before: Sequence[threading.Thread] = ()) -> list[threading.Thread]:
    """Return the threads that read, without those that did so before."""
    return [each for each in threading.enumerate() if each.name == "command-lines" and each not in before]


def told(*pids: int) -> dict[int, str]:
    return {pid: f"job --id={pid}" for pid in pids}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


async def test_they_are_read_at_once_for_all_who_ask(tree: Tree) -> None:
    for pid in range(1, 200):
        tree.add(pid)
    lines = CommandLines(Roots(proc=tree.proc))
    asked = [lines.read(tree.started) for _ in range(5)]

    assert list(await asyncio.gather(*asked)) == [told(*range(1, 200))] * 5
    assert await lines.read({7: START, 8: START + 1, 999: START}) == {**told(7), 8: None, 999: None}
    assert await lines.read({}) == {}


async def test_one_that_hangs_holds_one_thread_and_is_read_again_when_it_has_answered(tree: Tree) -> None:
    for pid in (1, 2, 3):
        tree.add(pid, hangs=pid == 2)
    lines = CommandLines(Roots(proc=tree.proc), patience_seconds=0.2)
    before = reading()

    asked = await asyncio.gather(*(lines.read(tree.started) for _ in range(4)))
    assert {**told(1, 3), 2: None} in asked
    assert await lines.read(tree.started) == {**told(1, 3), 2: None}
    assert lines._hanging == {2}

    tree.let_go(2)
    for thread in reading(before):
        thread.join(30)
    (tree.proc / "2/cmdline").unlink()
    (tree.proc / "2/cmdline").write_bytes(b"job\0--id=2\0")
    assert await lines.read(tree.started) == told(1, 2, 3)


async def test_many_that_hang_hold_a_few_threads(tree: Tree) -> None:
    tree.add(1)
    for pid in range(2, 9):
        tree.add(pid, hangs=True)
    lines = CommandLines(Roots(proc=tree.proc), patience_seconds=0.1)
    before = reading()

    for _ in range(7):
        assert (await lines.read(tree.started))[8] is None
    held = reading(before)
    assert len(held) == 4
    assert await asyncio.to_thread(lambda: 5) == 5

    for pid in range(2, 6):
        tree.let_go(pid)
    for thread in held:
        thread.join(30)
    assert await lines.read({1: START}) == told(1)
