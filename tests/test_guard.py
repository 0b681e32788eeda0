"""The guard: looks at memory between samples, and acts on real processes before anybody writes anything down."""

import os
import select
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.actions import Change
from resourced.actions.handles import ProcessHandle
from resourced.collectors.base import Roots
from resourced.decision import Step
from resourced.errors import Unavailable
from resourced.guard import Guard, GuardSettings
from resourced.process import lock_memory
from resourced.trigger import PressureTrigger
from tests.actions.fakes import STUBBORN, await_stopped, cgroup_of, program, start_of
from tests.attributes import set_attribute
from tests.guarding import CRITICAL, HUNGRY, TOTAL, Machine
from tests.policy.fakes import GIB, MIB, rules, snapshot


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    # The second look of the guard is by the real clock: it stands for the moment of acting.
    monkeypatch.setattr("resourced.guard.time.monotonic", lambda: made.now)
    yield made
    for deed in made.around.deeds:
        deed.target.close()


def test_who_has_grown_since_the_sample_is_asked_to_end(machine: Machine) -> None:
    with program(HUNGRY) as hungry, program() as innocent:
        machine.begin(innocent.pid, hungry.pid)
        machine.look()
        assert machine.around.deeds == []

        machine.memory(500 * MIB)
        machine.look()

        assert hungry.wait() == -signal.SIGTERM
        assert innocent.poll() is None
    [deed] = machine.around.deeds
    assert deed.step is Step.TERMINATE
    assert deed.decision.rule == "critical"
    assert deed.detail == "SIGTERM to 1 process"


def test_who_is_to_be_left_alone_is_passed_over(machine: Machine) -> None:
    with program(HUNGRY) as hungry, program() as other:
        machine.begin(hungry.pid, other.pid)
        # Somebody has said no to a decision on it.
        machine.claims.backoff.leave(f"{hungry.pid}:{start_of(hungry.pid)}", machine.now, 900)
        machine.memory(500 * MIB)
        machine.look()

        assert other.wait() == -signal.SIGTERM
        assert hungry.poll() is None
    [deed] = machine.around.deeds
    assert deed.decision.target is not None
    assert deed.decision.target.pid == other.pid


def test_a_wish_that_came_since_the_sample_is_honoured(machine: Machine) -> None:
    with program(HUNGRY) as hungry, program() as innocent:
        machine.begin(innocent.pid, hungry.pid)
        machine.look()
        set_attribute(machine.root / "cgroup" / f"job{hungry.pid}.service", "user.oomd_omit")
        machine.memory(500 * MIB)
        machine.look()

        assert innocent.wait() == -signal.SIGTERM
        assert hungry.poll() is None
    [deed] = machine.around.deeds
    [spared] = [each for each in deed.decision.candidates if each.pid == hungry.pid]
    assert spared.protected is not None
    assert "asked to omit" in spared.protected


def test_a_shortage_that_is_there_when_the_daemon_starts_is_met_before_processes_are_sampled(machine: Machine) -> None:
    with program(HUNGRY) as hungry:
        machine.show(hungry.pid)
        machine.memory(500 * MIB)
        machine.around.sample(0, 500 * MIB, late=True)
        machine.look()

        assert hungry.wait() == -signal.SIGTERM
    assert len(machine.around.deeds) == 1


def test_a_process_that_the_sample_did_not_know_is_found(machine: Machine) -> None:
    machine.around.sample(0, 4 * GIB)
    machine.look()
    with program(HUNGRY) as hungry:
        machine.show(hungry.pid)
        machine.memory(500 * MIB)
        machine.look()

        assert hungry.wait() == -signal.SIGTERM


def test_nobody_else_is_touched_while_one_is_dealt_with_and_there_is_no_time_left_it_is_hurried(
    machine: Machine,
) -> None:
    with program(HUNGRY) as first, program(HUNGRY) as second:
        machine.begin(first.pid, second.pid)
        machine.memory(500 * MIB)
        for _ in range(20):
            machine.look()
        assert len(machine.around.deeds) == 1
        assert machine.around.hurried == 0

        machine.memory(100 * MIB)
        machine.look()

        assert len(machine.around.deeds) == 1
        assert machine.around.hurried == 1


GENTLE = {**CRITICAL, "name": "gentle", "steps": [{"step": "freeze", "grace": 300}, {"step": "kill", "grace": 5}]}


@pytest.mark.parametrize("others", [(), (GENTLE,)], ids=["itself", "another rule"])
def test_nobody_is_waited_for_who_goes_on_with_nothing_while_the_last_memory_goes(
    machine: Machine, others: tuple[dict[str, object], ...]
) -> None:
    """The manager has decided, and holds the resource, but the thread that should act does not."""
    machine.around.compiled = rules(*others, CRITICAL)
    with program(HUNGRY) as first, program(HUNGRY) as second:
        machine.begin(first.pid, second.pid)
        machine.claims.take("memory", "somebody", 0, machine.now, machine.now + 300, owner="machine")
        machine.memory(100 * MIB)
        for number in range(1, 25):
            machine.around.sample(machine.now - 100.0 + 0.5, 100 * MIB, first.pid, second.pid)
            machine.look(1)
            assert len(machine.around.deeds) == max(0, (number - 1) // 10), number
            assert machine.around.hurried >= number // 2

        assert {first.wait(), second.wait()} == {-signal.SIGKILL}


def test_who_is_held_back_by_another_rule_is_let_go_so_that_it_can_answer(machine: Machine, tmp_path: Path) -> None:
    unit = cgroup_of(tmp_path / "cgroup", "a.service", memory__high="4096")
    with program(HUNGRY) as hungry:
        machine.begin(hungry.pid)
        key = f"{hungry.pid}:{start_of(hungry.pid)}"
        about = (key, "job", "1", "soft", "", Step.FREEZE, 0.0, 0.0, 60.0)
        limit = Change(*about, "/a.service", int(unit.key.rpartition(":")[2]), "memory.high", "max", ("4096",))
        machine.ledger.remember(limit, Change(*about, pid=hungry.pid, start_time_ticks=start_of(hungry.pid)))
        os.kill(hungry.pid, signal.SIGSTOP)
        assert await_stopped(hungry.pid)
        machine.memory(500 * MIB)
        machine.look()

        assert hungry.wait() == -signal.SIGTERM
    assert (tmp_path / "cgroup/a.service/memory.high").read_text().startswith("max")
    assert len(machine.ledger.changes) == 2, "another thread keeps them"


def test_who_goes_down_a_gentler_ladder_is_hurried_down(machine: Machine) -> None:
    gentle = [{"step": each, "grace": 5} for each in ("notify", "freeze", "terminate", "kill")]
    machine.around.compiled = rules({**CRITICAL, "steps": gentle})
    with program(HUNGRY) as hungry:
        machine.begin(hungry.pid)
        machine.memory(100 * MIB)
        machine.look()
        assert machine.around.hurried == 1
        assert machine.around.deeds == []
        assert hungry.poll() is None


def test_the_way_to_a_victim_is_gone_once_before_it_is_needed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[int] = []
    usual = ProcessHandle.release_memory

    def release(it: ProcessHandle) -> bool:
        gone.append(it.pid)
        return usual(it)

    monkeypatch.setattr(ProcessHandle, "release_memory", release)
    with program() as one:
        machine.begin(one.pid)
        machine.show(os.getpid())
        for _ in range(3):
            machine.look()

    assert gone == [os.getpid()]
    assert machine.around.deeds == []


def test_when_nearly_nothing_is_left_nobody_is_asked(machine: Machine) -> None:
    with program(STUBBORN.replace("print", "data = bytearray(64 << 20)\nprint")) as hungry:
        machine.begin(hungry.pid)
        machine.memory(100 * MIB)
        machine.look()

        assert hungry.wait() == -signal.SIGKILL


def test_what_has_recovered_between_looking_and_acting_is_left_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with program(HUNGRY) as hungry:
        machine.begin(hungry.pid)
        machine.memory(500 * MIB)

        def recovered() -> float:
            machine.memory(4 * GIB)
            return machine.now

        reads: list[int] = []
        read = machine.guard._read

        def reading() -> object:
            if reads:
                recovered()
            reads.append(1)
            return read()

        monkeypatch.setattr(machine.guard, "_read", reading)
        machine.look()

        assert machine.around.deeds == []
        assert hungry.poll() is None


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": "observe"},
        {"mode": "advise"},
        {"level": "soft"},
        {"steps": ["throttle", "terminate"]},
        {"except": {"processes": ["python*"]}},
        {"only": {"processes": ["nobody"]}},
    ],
    ids=str,
)
def test_only_what_is_grave_enforced_and_free_to_be_ended_is(machine: Machine, changed: dict[str, object]) -> None:
    machine.around.compiled = rules({**CRITICAL, **changed})
    with program(HUNGRY) as hungry:
        machine.begin(hungry.pid)
        machine.memory(100 * MIB)
        for _ in range(3):
            machine.look()

        assert machine.around.deeds == []
        assert hungry.poll() is None


def test_the_limit_of_ends_holds_for_the_guard_too(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resourced.guard.time.clock_gettime", lambda _: 1000.0)
    for _ in range(10):
        machine.ledger.count_end(990.0, 600.0)
    with program(HUNGRY) as hungry:
        machine.begin(hungry.pid)
        machine.memory(500 * MIB)
        machine.look()

        assert machine.around.deeds == []


def test_judging_ahead_leaves_the_managers_judgement_as_it_is(machine: Machine) -> None:
    machine.around.compiled = rules({**CRITICAL, "metric": "exhaustion(memory.available, 10s)", "below": "1s"})
    machine.around.sample(0, 4 * GIB)
    base = machine.around.base
    assert base is not None
    before = base.state.to_json()
    for _ in range(5):
        machine.look()

    assert base.state.to_json() == before


def test_without_anything_to_enforce_it_hardly_looks(machine: Machine) -> None:
    assert machine.look() == 1.0
    machine.around.compiled = rules({**CRITICAL, "mode": "observe"})
    machine.around.sample(0, 100 * MIB)
    assert machine.look() == 1.0
    assert machine.guard.looks == 0


@given(st.integers(0, TOTAL), st.integers(0, TOTAL))
def test_the_less_is_left_the_sooner_it_looks_again(one: int, other: int) -> None:
    guard = Guard.__new__(Guard)
    guard.settings = GuardSettings()
    guard._hot_until = 0.0
    low, high = sorted((one, other))
    base = snapshot(total=TOTAL).memory
    assert base is not None
    periods = [guard._period(replace(base, available_bytes=left), 1.0) for left in (low, high)]

    assert 0.05 <= periods[0] <= periods[1] <= 1.0
    # Even at the fastest believable rate what is above the low mark is not used up before it looks again.
    headroom = high - 0.05 * TOTAL
    assert periods[1] <= max(0.05, headroom / guard.settings.fill_bytes_per_second)


def test_it_acts_while_everybody_else_hangs(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with program(HUNGRY) as hungry:
        machine.begin(hungry.pid)
        assert machine.around.base is not None
        machine.guard.settings = replace(machine.guard.settings, max_seconds=0.1)
        machine.guard.start()
        try:
            machine.memory(500 * MIB)
            assert machine.around.acted.wait(30)
            assert hungry.wait() == -signal.SIGTERM
        finally:
            machine.guard.stop()
    machine.around.deeds[0].target.close()


def test_a_fault_is_told_once_and_it_goes_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.around.sample(0, 4 * GIB)
    (tmp_path / "meminfo").write_text("nonsense\n")
    machine.guard.settings = replace(machine.guard.settings, max_seconds=0.1)
    machine.guard.start()
    try:
        ends = threading.Event()
        while machine.guard.looks < 3:
            assert not ends.wait(0.01)
    finally:
        machine.guard.stop()

    faults = [reason for _, reason in machine.around.told if "ParseError" in reason]
    assert len(faults) == 1


def test_without_pressure_information_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="by period alone"):
        PressureTrigger(Roots(proc=tmp_path), 0.15, 1.0)


def test_a_trigger_is_taken_by_the_kernel() -> None:
    try:
        trigger = PressureTrigger(Roots(), 0.15, 1.0)
    except Unavailable as error:
        pytest.skip(str(error))
    poll = select.poll()
    poll.register(trigger.fileno(), select.POLLPRI)
    events = dict(poll.poll(0))
    trigger.close()

    assert not events.get(trigger.fileno(), 0) & select.POLLERR


def test_memory_is_locked_or_the_reason_told() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = lock_memory()
        locked = "VmLck:\t       0 kB" not in Path("/proc/self/status").read_text()
        os.write(writing, b"yes" if (told is None) == locked else repr(told).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"yes"
    os.close(reading)
    os.close(writing)
