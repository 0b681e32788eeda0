"""What is found in a thread and kept: once for all who ask, and nobody waits for one that hangs."""

import asyncio
import threading

import pytest

from resourced.kept import Kept


class Slow:
    """Counts how often it was looked for, and finds it when it may."""

    def __init__(self) -> None:
        self.looked = 0
        self.threads: set[int] = set()
        self.go_on = threading.Event()
        self.error: Exception | None = None

    def find(self) -> int:
        self.looked += 1
        self.threads.add(threading.get_ident())
        assert self.go_on.wait(30)
        if self.error is not None:
            raise self.error
        return self.looked


async def test_it_is_found_once_for_all_who_ask_and_kept() -> None:
    slow = Slow()
    kept = Kept(slow.find, seconds=60.0, patience_seconds=30.0)
    asking = [asyncio.create_task(kept.get()) for _ in range(20)]
    await asyncio.sleep(0)
    slow.go_on.set()

    assert {await each for each in asking} == {1}
    assert await kept.get() == 1
    assert threading.get_ident() not in slow.threads


async def test_it_is_found_anew_when_it_is_too_old() -> None:
    slow = Slow()
    slow.go_on.set()
    kept = Kept(slow.find, seconds=0.0, patience_seconds=30.0)

    assert [await kept.get() for _ in range(3)] == [1, 2, 3]


async def test_nobody_waits_for_one_that_hangs_and_it_is_not_looked_for_again() -> None:
    slow = Slow()
    slow.go_on.set()
    kept = Kept(slow.find, seconds=0.0, patience_seconds=0.01)
    while await kept.get() is None:
        pass
    slow.go_on.clear()

    first = slow.looked
    assert {await kept.get() for _ in range(3)} <= {first, first + 1}
    assert slow.looked <= first + 1
    slow.go_on.set()


async def test_why_it_was_not_found_is_told() -> None:
    slow = Slow()
    slow.go_on.set()
    slow.error = OSError("gone")
    kept = Kept(slow.find, seconds=60.0, patience_seconds=30.0)

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            await kept.get()
    slow.error = None
    assert await kept.get() == 3
