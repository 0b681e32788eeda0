"""Courses whose steps are taken for good, on processes of the test and on files like the kernel's."""

import os
import signal
from pathlib import Path

from resourced.actions import Ledger, Machine, Settings, Target
from resourced.actions.course import Status
from resourced.collectors.base import Roots
from resourced.decision import Step
from resourced.policy import Myself, Need
from tests.actions.fakes import (
    MIB,
    STUBBORN,
    await_stopped,
    cgroup_of,
    decision,
    go_on,
    machine_of,
    process_candidate,
    program,
    real_world,
    rule,
)


def test_a_real_ladder_ends_with_a_kill(tmp_path: Path) -> None:
    wanted = rule(steps=("notify", "freeze", "terminate", "kill"))
    world = real_world(wanted, directory=tmp_path)
    machine = machine_of(world)
    with program(STUBBORN) as process:
        machine.submit(decision(wanted, process_candidate(process.pid)))
        go_on(machine, world, 6)
        assert await_stopped(process.pid)
        go_on(machine, world, 5)
        assert await_stopped(process.pid, stopped=False)
        go_on(machine, world, 5)
        assert process.wait() == -signal.SIGKILL
        go_on(machine, world, 5)

    assert [each for each in world.results() if each[1] == "done"] == [
        (step, "done") for step in ("notify", "freeze", "terminate", "kill")
    ]
    assert machine.courses == []


def test_recovery_puts_back_what_was_changed(tmp_path: Path) -> None:
    wanted = rule(steps=("throttle", "freeze"), scope="unit")
    world = real_world(wanted, directory=tmp_path)
    machine = machine_of(world)
    unit = cgroup_of(tmp_path, "a.service", memory__high="max", memory__current=str(100 * MIB))
    with program() as process:
        (tmp_path / "a.service/cgroup.procs").write_text(str(process.pid))
        machine.submit(decision(wanted, unit))
        go_on(machine, world, 11)
        (tmp_path / "a.service/cgroup.freeze").write_text("1\n")
        (tmp_path / "a.service/memory.high").write_text(f"{100 * MIB}\n")
        assert [each.file for each in world.ledger.changes] == ["memory.high", "cgroup.freeze"]
        assert [each.status for each in machine.courses] == [Status.WATCHING]

        world.needs["low"] = Need.OVER
        go_on(machine, world, 6)

    assert (tmp_path / "a.service/cgroup.freeze").read_text().startswith("0")
    assert (tmp_path / "a.service/memory.high").read_text().startswith("max")
    assert machine.changes == ()
    assert [each for each in world.results() if each[1] == "undone"] == [("freeze", "undone"), ("throttle", "undone")]


def test_what_is_frozen_is_thawed_after_its_time_though_the_rule_holds(tmp_path: Path) -> None:
    wanted = rule(steps=("freeze",))
    world = real_world(wanted, directory=tmp_path)
    machine = machine_of(world, freeze_seconds=30.0)
    with program() as process:
        machine.submit(decision(wanted, process_candidate(process.pid)))
        go_on(machine, world, 29)
        assert await_stopped(process.pid)
        go_on(machine, world, 2)
        assert await_stopped(process.pid, stopped=False)

    assert ("freeze", "expired") in world.results()


def test_the_end_of_the_daemon_puts_everything_back(tmp_path: Path) -> None:
    wanted = rule(steps=("freeze",))
    world = real_world(wanted, directory=tmp_path)
    machine = machine_of(world)
    with program() as process:
        machine.submit(decision(wanted, process_candidate(process.pid)))
        go_on(machine, world, 1)
        assert await_stopped(process.pid)
        machine.end()
        assert await_stopped(process.pid, stopped=False)


def test_a_crash_is_put_right_at_the_next_start(tmp_path: Path) -> None:
    wanted = rule(steps=("freeze",))
    world = real_world(wanted, directory=tmp_path)
    machine = machine_of(world)
    with program() as process:
        machine.submit(decision(wanted, process_candidate(process.pid)))
        go_on(machine, world, 1)
        assert await_stopped(process.pid)

        after = real_world(wanted, directory=tmp_path)
        after.ledger = Ledger(tmp_path / "actions.json", "boot", Roots(), lambda _: None)
        Machine(after, Settings()).advance()

        assert await_stopped(process.pid, stopped=False)
    assert after.results() == [("freeze", "undone")]


def test_the_guard_hands_over_what_it_has_begun(tmp_path: Path) -> None:
    hard = rule("critical", steps=("terminate", "kill"), level="hard")
    world = real_world(hard, directory=tmp_path)
    machine = machine_of(world)
    with program(STUBBORN) as process:
        candidate = process_candidate(process.pid)
        decided = decision(hard, candidate)
        look = world.look(decided, candidate, fresh=False)
        target = Target.open(candidate, look.members, roots=Roots(), myself=Myself(os.getpid()))
        machine.adopt(decided, target, Step.TERMINATE, "SIGTERM to 1 process", look, world.clock.now)
        go_on(machine, world, 6)
        assert process.wait() == -signal.SIGKILL


def test_who_is_held_back_stays_so_when_the_limit_of_kills_is_reached(tmp_path: Path) -> None:
    wanted = rule(steps=("throttle", "terminate"), scope="unit")
    world = real_world(wanted, directory=tmp_path)
    machine = machine_of(world, kill_limit=0, approval_seconds=30.0)
    unit = cgroup_of(tmp_path, "a.service", memory__high="max", memory__current=str(100 * MIB))
    with program() as process:
        (tmp_path / "a.service/cgroup.procs").write_text(str(process.pid))
        machine.submit(decision(wanted, unit))
        for seconds, status in ((10, Status.WAITING), (40, Status.WATCHING)):
            go_on(machine, world, seconds)
            assert [each.status for each in machine.courses] == [status]
            assert (tmp_path / "a.service/memory.high").read_text().startswith(str(100 * MIB))
        assert process.poll() is None
        machine.end()
    assert world.events().count("approval_needed") == 1
