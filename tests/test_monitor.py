"""The monitor with collectors that are good, raise, hang, vanish and come back."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from resourced.collectors.base import Taken
from resourced.errors import ParseError, ResourcedError, Unavailable
from resourced.monitor import ResourceMonitor
from resourced.snapshot import Snapshot
from resourced.snapshot.memory import Memory
from resourced.sources import Source, sources_of


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.offset = 1.7e9

    def wall(self) -> float:
        return self.now + self.offset

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now


class Reader:
    """A collector whose answer a test sets: a value, an error to raise, or an event to wait for."""

    def __init__(self, name: str, answer: Callable[[], Any]) -> None:
        self.name = name
        self.answer = answer
        self.calls = 0
        self.closed = threading.Event()

    def collect(self) -> Any:
        self.calls += 1
        return self.answer()

    def close(self) -> None:
        self.closed.set()


def raising(error: BaseException) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def increase(before: Taken[int] | None, now: Taken[int], previous: Any) -> Any:
    """Derive (value, increase, the section before), as simple as can be."""
    return (now.sample, None if before is None else now.sample - before.sample, previous and previous[0])


def seen(snapshot: Snapshot, section: str) -> Any:
    return getattr(snapshot, section)


def source(name: str, answer: Callable[[], Any], **more: Any) -> tuple[Source, Reader]:
    reader = Reader(name, answer)
    return Source(name, reader, increase, **{"deadline_seconds": 5.0} | more), reader


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_each_section_is_derived_from_its_own_samples_before(clock: ManualClock) -> None:
    values = iter([10, 14, 15])
    cpu, _ = source("cpu", lambda: next(values))
    monitor = ResourceMonitor([cpu], clock=clock, boot_id="b")
    taken: list[Snapshot] = []
    for _ in range(3):
        taken.append(monitor.sample())
        clock.now += 1.0
    assert [seen(s, "cpu") for s in taken] == [(10, None, None), (14, 4, 10), (15, 1, 14)]
    assert [s.sequence for s in taken] == [1, 2, 3]
    assert [s.interval_seconds for s in taken] == [None, 1.0, 1.0]
    assert taken[0].boot_id == "b"
    assert taken[2].collectors["cpu"].usable
    assert monitor.close() == ()


def test_one_that_raises_is_stale_with_its_reason_and_its_last_value(clock: ManualClock) -> None:
    good, reader = source("memory", lambda: 7)
    other, _ = source("cpu", lambda: 1)
    monitor = ResourceMonitor([good, other], clock=clock)
    monitor.sample()
    reader.answer = raising(ParseError("/proc/meminfo", "rubbish", "a number"))
    clock.now += 1.0
    snapshot = monitor.sample()
    health = snapshot.collectors["memory"]
    assert health.status == "stale"
    assert health.reason == "/proc/meminfo: expected a number, found 'rubbish'"
    assert health.age_seconds == 1.0
    assert health.failures == 1
    assert seen(snapshot, "memory") == (7, None, None), "the last value is still shown"
    assert not snapshot.usable("memory")
    assert snapshot.usable("cpu"), "and nobody else is touched"
    monitor.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "/proc/x"), "/proc/x: Permission denied"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_the_reason_says_what_happened(clock: ManualClock, error: Exception, reason: str) -> None:
    bad, _ = source("disk", raising(error))
    monitor = ResourceMonitor([bad], clock=clock)
    snapshot = monitor.sample()
    assert snapshot.collectors["disk"].reason == reason
    assert snapshot.disk is None
    monitor.close()


def test_failures_are_tried_again_with_growing_pauses_and_forgotten_after_success(clock: ManualClock) -> None:
    bad, reader = source("disk", raising(OSError(5, "Input/output error")), retry_limit_seconds=4.0)
    monitor = ResourceMonitor([bad], clock=clock)
    asked: list[bool] = []
    for _ in range(16):
        before = reader.calls
        monitor.sample()
        asked.append(reader.calls > before)
        clock.now += 1.0
    assert [n for n, was in enumerate(asked) if was] == [0, 1, 3, 7, 11, 15]
    reader.answer = lambda: 3
    clock.now += 10.0
    health = monitor.sample().collectors["disk"]
    assert (health.status, health.failures, health.reason) == ("ok", 0, None)
    monitor.close()


def test_one_that_hangs_is_given_up_and_not_asked_again_until_it_returns() -> None:
    held = threading.Event()
    entered = threading.Event()

    def hang() -> int:
        entered.set()
        held.wait(30)
        return 5

    stuck, reader = source("gpus", hang, deadline_seconds=0.05)
    other, _ = source("cpu", lambda: 1)
    monitor = ResourceMonitor([stuck, other])
    snapshot = monitor.sample()
    assert entered.is_set()
    assert snapshot.collectors["gpus"].status == "stale"
    assert snapshot.collectors["gpus"].reason == "no answer within 0.05 s"
    assert snapshot.usable("cpu")
    for _ in range(5):
        snapshot = monitor.sample()
    assert reader.calls == 1, "a stuck one holds one thread, never more"
    assert snapshot.gpus is None
    reader.answer = lambda: 6
    held.set()
    while monitor.sample().gpus is None:
        pass
    assert monitor.close(5.0) == ()
    assert reader.closed.is_set()


def test_close_names_those_that_are_stuck() -> None:
    held = threading.Event()
    stuck, _ = source("gpus", lambda: held.wait(30), deadline_seconds=0.01)
    monitor = ResourceMonitor([stuck])
    monitor.sample()
    assert monitor.close(0.01) == ("gpus",)
    held.set()


def test_what_the_host_lacks_is_absent_and_looked_for_now_and_then(clock: ManualClock) -> None:
    missing, reader = source("gpus", raising(Unavailable("no NVIDIA driver is loaded")), absent_retry_seconds=30.0)
    monitor = ResourceMonitor([missing], clock=clock)
    snapshot = monitor.sample()
    for _ in range(29):
        clock.now += 1.0
        snapshot = monitor.sample()
    clock.now += 1.0
    assert reader.calls == 1
    health = snapshot.collectors["gpus"]
    assert (health.status, health.reason, health.failures) == ("absent", "no NVIDIA driver is loaded", 0)
    reader.answer = lambda: 2
    assert monitor.sample().collectors["gpus"].status == "ok"
    monitor.close()


def test_a_slow_source_is_shown_again_with_its_age_between_two_readings(clock: ManualClock) -> None:
    slow, reader = source("filesystems", lambda: 1, interval_seconds=10.0)
    monitor = ResourceMonitor([slow], clock=clock)
    ages = []
    for _ in range(12):
        ages.append(monitor.sample().collectors["filesystems"].age_seconds)
        clock.now += 1.0
    assert ages == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert reader.calls == 2
    monitor.close()


def test_sections_that_are_off_say_so(clock: ManualClock) -> None:
    monitor = ResourceMonitor([], clock=clock, off={"gpus": "collectors.gpus.enabled is false"})
    health = monitor.sample().collectors["gpus"]
    assert (health.status, health.reason) == ("off", "collectors.gpus.enabled is false")
    with pytest.raises(Unavailable, match="enabled is false"):
        monitor.gpus()
    monitor.close()
    with pytest.raises(ResourcedError, match="closed"):
        monitor.sample()


def test_other_sources_can_be_put_in_while_running(clock: ManualClock) -> None:
    first, reader = source("cpu", lambda: 1)
    monitor = ResourceMonitor([first], clock=clock)
    monitor.sample()
    second, _ = source("memory", lambda: 2)
    monitor.reconfigure([second], {"cpu": "off now"})
    snapshot = monitor.sample()
    assert snapshot.sequence == 2
    assert snapshot.cpu is None
    assert seen(snapshot, "memory") == (2, None, None)
    assert snapshot.collectors["cpu"].status == "off"
    assert reader.closed.wait(10)
    monitor.close()


def test_the_event_loop_goes_on_while_the_machine_is_sampled() -> None:
    held = threading.Event()
    slow, _ = source("cpu", lambda: held.wait(30) and 4)
    monitor = ResourceMonitor([slow])

    async def both() -> Any:
        sampling = asyncio.create_task(monitor.asample())
        await asyncio.sleep(0)
        held.set()
        return (await sampling).cpu

    assert asyncio.run(both()) == (4, None, None)
    monitor.close()


def test_every_resource_of_this_machine_can_be_read_alone() -> None:
    monitor = ResourceMonitor([replace(each, deadline_seconds=10.0) for each in sources_of()])
    assert monitor.cpu().logical_count >= 1
    memory = monitor.memory()
    assert isinstance(memory, Memory)
    assert memory.total_bytes
    assert "lo" in monitor.network().interfaces
    assert monitor.processes().items
    assert "/" in monitor.filesystems().mounts
    assert monitor.disk().devices is not None
    reasons: dict[str, str] = {}
    for name in ("sensors", "gpus", "cgroups", "pressure"):
        try:
            assert getattr(monitor, name)() is not None
        except Unavailable as error:
            reasons[name] = str(error)
    assert all(reasons.values()), "what is absent says why"
    assert monitor.close(5.0) == ()
