"""The rungs, on real processes where there are any and on files like those of the kernel where there are none."""

import os
import pty
import select
import signal
import tty
from dataclasses import replace
from pathlib import Path

import pytest

from resourced.actions import Order, Target, all_actions
from resourced.actions.notify import Notify, sentence, tell_terminals
from resourced.actions.terminate import holds_on
from resourced.decision import Candidate, Scope, Step
from resourced.errors import ActionFailed, ActionRefused, StepImpossible, TargetGone
from tests.actions.fakes import (
    MIB,
    STUBBORN,
    FakeWorld,
    await_stopped,
    cgroup_of,
    decision,
    process_candidate,
    program,
    real_world,
    rule,
)

ACTIONS = all_actions()


def order_for(world: FakeWorld, candidate: Candidate, resource: str = "memory", name: str = "low") -> Order:
    look = world.look(decision(world.wanted[0], candidate), candidate, fresh=False)
    target = world.open(candidate, look)
    return Order(decision(rule(name), candidate), resource, target, world.ledger, 60.0)


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return real_world(rule(), directory=tmp_path)


def test_a_stopped_process_runs_on_when_it_is_undone(world: FakeWorld) -> None:
    with program() as process:
        order = order_for(world, process_candidate(process.pid))

        assert ACTIONS[Step.FREEZE].take(order) == "1 process stopped"
        assert await_stopped(process.pid)
        [change] = world.ledger.changes
        assert world.ledger.put_back(change) == f"process {process.pid} runs on"
        assert await_stopped(process.pid, stopped=False)
        assert world.ledger.changes == ()


def test_a_process_that_was_stopped_by_somebody_else_stays_so(world: FakeWorld) -> None:
    with program() as process:
        process.send_signal(signal.SIGSTOP)
        assert await_stopped(process.pid)

        assert ACTIONS[Step.FREEZE].take(order_for(world, process_candidate(process.pid))) == "0 processes stopped"
        assert world.ledger.changes == ()


def test_who_is_asked_to_end_is_thawed_first(world: FakeWorld) -> None:
    with program() as process:
        order = order_for(world, process_candidate(process.pid))
        ACTIONS[Step.FREEZE].take(order)

        assert ACTIONS[Step.TERMINATE].take(order) == "SIGTERM to 1 process"
        assert process.wait() == -signal.SIGTERM
        assert world.ledger.changes == ()


def test_who_ignores_it_is_killed_and_its_memory_freed_at_once(world: FakeWorld) -> None:
    with program(STUBBORN) as process:
        order = order_for(world, process_candidate(process.pid))
        ACTIONS[Step.TERMINATE].take(order)

        assert ACTIONS[Step.KILL].take(order).startswith("SIGKILL to 1 process")
        assert process.wait() == -signal.SIGKILL


def test_nobody_is_killed_twice(world: FakeWorld) -> None:
    with program() as process:
        order = order_for(world, process_candidate(process.pid))
        process.kill()
        process.wait()

        for step in (Step.TERMINATE, Step.KILL):
            with pytest.raises(TargetGone):
                ACTIONS[step].take(order)


def test_all_of_a_cgroup_is_asked_to_end(world: FakeWorld, tmp_path: Path) -> None:
    with program() as first, program() as second:
        candidate = cgroup_of(tmp_path, "a.service", cgroup__procs=f"{first.pid}\n{second.pid}")

        assert ACTIONS[Step.TERMINATE].take(order_for(world, candidate)) == "SIGTERM to 2 processes"
        assert (first.wait(), second.wait()) == (-signal.SIGTERM, -signal.SIGTERM)


def test_a_cgroup_without_a_kill_file_is_killed_one_by_one(world: FakeWorld, tmp_path: Path) -> None:
    with program() as process:
        candidate = cgroup_of(tmp_path, "a.service", cgroup__procs=str(process.pid))

        assert ACTIONS[Step.KILL].take(order_for(world, candidate)).startswith("SIGKILL to")
        assert process.wait() == -signal.SIGKILL


def test_a_cgroup_is_killed_as_a_whole_where_the_kernel_can(world: FakeWorld, tmp_path: Path) -> None:
    with program() as process:
        candidate = cgroup_of(tmp_path, "a.service", cgroup__procs=str(process.pid), cgroup__kill="0")

        assert ACTIONS[Step.KILL].take(order_for(world, candidate)) == "SIGKILL to 1 process"
        assert (tmp_path / "a.service/cgroup.kill").read_text().startswith("1")


def test_memory_high_is_what_is_used_and_follows_downwards_only(world: FakeWorld, tmp_path: Path) -> None:
    high, current = tmp_path / "a.service/memory.high", tmp_path / "a.service/memory.current"
    candidate = cgroup_of(tmp_path, "a.service", memory__high="max", memory__current=str(100 * MIB - 1))
    order = order_for(world, candidate)

    assert "100 MiB" in ACTIONS[Step.THROTTLE].take(order)
    assert int(high.read_text()[:9]) == 100 * MIB
    high.write_text(f"{100 * MIB}\n")
    for used, expected in ((200, 100), (60, 60), (80, 60), (10, 10)):
        current.write_text(f"{used * MIB}\n")
        ACTIONS[Step.THROTTLE].press(order)
        assert high.read_text().startswith(str(expected * MIB))
        high.write_text(f"{expected * MIB}\n")
    [change] = world.ledger.changes
    high.write_text(f"{10 * MIB}\n")
    assert world.ledger.put_back(change) == "memory.high is max again"
    assert high.read_text().startswith("max")


def test_a_limit_that_somebody_else_has_set_is_neither_lowered_nor_put_back(world: FakeWorld, tmp_path: Path) -> None:
    high = tmp_path / "a.service/memory.high"
    order = order_for(world, cgroup_of(tmp_path, "a.service", memory__high="max", memory__current=str(100 * MIB)))
    ACTIONS[Step.THROTTLE].take(order)
    high.write_text(f"{500 * MIB}\n")
    (tmp_path / "a.service/memory.current").write_text(str(10 * MIB))

    ACTIONS[Step.THROTTLE].press(order)
    told = world.ledger.put_back(world.ledger.changes[0])

    assert high.read_text() == f"{500 * MIB}\n"
    assert "by somebody else" in told


def test_a_limit_below_use_is_left_as_it_is(world: FakeWorld, tmp_path: Path) -> None:
    order = order_for(world, cgroup_of(tmp_path, "a.service", memory__high=str(MIB), memory__current=str(100 * MIB)))

    assert "stays" in ACTIONS[Step.THROTTLE].take(order)
    assert world.ledger.changes == ()


def test_processor_time_is_limited_to_a_little_less_and_weighs_less(world: FakeWorld, tmp_path: Path) -> None:
    candidate = cgroup_of(tmp_path, "a.service", cpu__max="max 100000", cpu__weight="100")
    order = order_for(world, Candidate(candidate.scope, candidate.key, candidate.name, usage=3.0), "cpu")

    assert ACTIONS[Step.THROTTLE].take(order) == (
        "cpu.weight 10 instead of 100 and cpu.max 2.4 processors, of 3 that it used"
    )
    assert (tmp_path / "a.service/cpu.max").read_text().startswith("240000 100000")
    assert [each.original for each in world.ledger.changes] == ["100", "max 100000"]


def test_processor_time_is_lowered_step_by_step_and_given_back(world: FakeWorld, tmp_path: Path) -> None:
    limit = tmp_path / "a.service/cpu.max"
    candidate = cgroup_of(tmp_path, "a.service", cpu__max="max 100000")
    order = order_for(world, replace(candidate, usage=0.2), "cpu")
    ACTIONS[Step.THROTTLE].take(order)

    for expected in ("16000", "12800", "10240", "10000", "10000"):
        assert limit.read_text().startswith(f"{expected} 100000")
        limit.write_text(f"{expected} 100000\n")  # as the kernel shows it
        ACTIONS[Step.THROTTLE].press(order)
    [change] = world.ledger.changes
    assert world.ledger.put_back(change) == "cpu.max is max 100000 again"


def test_processor_time_that_somebody_else_has_set_is_not_lowered(world: FakeWorld, tmp_path: Path) -> None:
    limit = tmp_path / "a.service/cpu.max"
    candidate = replace(cgroup_of(tmp_path, "a.service", cpu__max="50000 100000"), usage=3.0)
    order = order_for(world, candidate, "cpu")
    assert ACTIONS[Step.THROTTLE].take(order) == "its limits are lower already"
    ACTIONS[Step.THROTTLE].press(order)
    assert limit.read_text() == "50000 100000\n"

    limit.write_text("max 100000\n")
    ACTIONS[Step.THROTTLE].take(order)
    for theirs in ("100000 100000", "max 100000", "240000 50000"):
        limit.write_text(f"{theirs}\n")
        ACTIONS[Step.THROTTLE].press(order)
        assert limit.read_text() == f"{theirs}\n"


def test_a_lower_limit_that_cannot_be_kept_is_not_set(world: FakeWorld, tmp_path: Path) -> None:
    limit = tmp_path / "a.service/cpu.max"
    order = order_for(world, replace(cgroup_of(tmp_path, "a.service", cpu__max="max 100000"), usage=2.0), "cpu")
    ACTIONS[Step.THROTTLE].take(order)
    limit.write_text("160000 100000\n")
    (tmp_path / "actions.json.new").mkdir()

    with pytest.raises(ActionFailed, match="can't be kept"):
        ACTIONS[Step.THROTTLE].press(order)
    assert limit.read_text() == "160000 100000\n"


def test_disk_time_weighs_less(world: FakeWorld, tmp_path: Path) -> None:
    order = order_for(world, cgroup_of(tmp_path, "a.service", io__weight="default 100\n8:0 50"), "io")

    assert ACTIONS[Step.THROTTLE].take(order) == "io.weight 10 instead of 100"
    assert world.ledger.changes[0].original == "default 100"


def test_disk_time_is_given_back_where_single_devices_have_weights_of_their_own(
    world: FakeWorld, tmp_path: Path
) -> None:
    weights = tmp_path / "a.service/io.weight"
    order = order_for(world, cgroup_of(tmp_path, "a.service", io__weight="default 100\n8:0 50"), "io")
    ACTIONS[Step.THROTTLE].take(order)
    weights.write_text("default 10\n8:0 50\n")  # as the kernel shows it

    assert world.ledger.put_back(world.ledger.changes[0]) == "io.weight is default 100 again"
    assert weights.read_text().startswith("default 100")


def test_disk_time_that_weighs_less_already_is_not_raised(world: FakeWorld, tmp_path: Path) -> None:
    order = order_for(world, cgroup_of(tmp_path, "a.service", io__weight="default 1"), "io")

    assert ACTIONS[Step.THROTTLE].take(order) == "io.weight stays at 1, which is no more than 10"
    assert (tmp_path / "a.service/io.weight").read_text() == "default 1\n"
    assert world.ledger.changes == ()


def test_who_stands_still_because_of_another_rule_is_thawed_before_it_is_asked_to_end(world: FakeWorld) -> None:
    with program() as process:
        as_process = process_candidate(process.pid)
        as_tree = replace(as_process, scope=Scope.TREE, key=f"tree-{as_process.key}")
        ACTIONS[Step.FREEZE].take(order_for(world, as_tree))
        assert await_stopped(process.pid)

        ACTIONS[Step.TERMINATE].take(order_for(world, as_process))

        assert process.wait() == -signal.SIGTERM
        assert world.ledger.changes == ()


def test_a_number_that_was_anothers_who_was_stopped_keeps_nobody(world: FakeWorld) -> None:
    with program() as process:
        candidate = process_candidate(process.pid)
        ACTIONS[Step.FREEZE].take(order_for(world, replace(candidate, key="tree")))
        [change] = world.ledger.changes
        target = order_for(world, candidate).target
        assert holds_on(world.ledger, target) == (change,)
        world.ledger.changes = (replace(change, start_time_ticks=1),)

        assert holds_on(world.ledger, target) == ()


def test_what_keeps_a_target_from_answering_is_found_above_it_and_below(world: FakeWorld, tmp_path: Path) -> None:
    outer, other = cgroup_of(tmp_path, "a.slice"), cgroup_of(tmp_path, "b.service")
    inner = cgroup_of(tmp_path / "a.slice", "c.service")
    inner = replace(inner, key=f"/a.slice{inner.key}", cgroup="/a.slice/c.service")
    orders = {each.name: order_for(world, each) for each in (outer, inner, other)}
    for name in ("a.slice", "b.service"):
        ACTIONS[Step.FREEZE].take(orders[name])
    ACTIONS[Step.THROTTLE].take(order_for(world, cgroup_of(tmp_path, "d.slice", io__weight="default 100"), "io"))

    assert [each.target for each in holds_on(world.ledger, orders["c.service"].target)] == ["a.slice"]
    world.ledger.put_back(world.ledger.changes[0])
    ACTIONS[Step.FREEZE].take(orders["c.service"])
    assert [each.target for each in holds_on(world.ledger, orders["a.slice"].target)] == ["c.service"]


def test_a_cgroup_is_frozen_and_thawed(world: FakeWorld, tmp_path: Path) -> None:
    frozen = tmp_path / "a.service/cgroup.freeze"
    order = order_for(world, cgroup_of(tmp_path, "a.service", cgroup__events="populated 1\nfrozen 1"))

    assert ACTIONS[Step.FREEZE].take(order) == "frozen"
    assert frozen.read_text().startswith("1")
    frozen.write_text("1\n")
    world.ledger.put_back(world.ledger.changes[0])
    assert frozen.read_text().startswith("0")


def test_what_was_frozen_before_stays_frozen(world: FakeWorld, tmp_path: Path) -> None:
    order = order_for(world, cgroup_of(tmp_path, "a.service", cgroup__freeze="1"))

    assert ACTIONS[Step.FREEZE].take(order) == "it was frozen already, and stays so"
    assert world.ledger.changes == ()


def test_a_quarter_is_reclaimed_in_pieces(world: FakeWorld, tmp_path: Path) -> None:
    candidate = cgroup_of(tmp_path, "a.service", memory__current=str(400 * MIB), memory__reclaim="")
    order = order_for(world, candidate)

    assert ACTIONS[Step.RECLAIM].take(order) == "0 MiB of 400 MiB taken back"
    assert (tmp_path / "a.service/memory.reclaim").read_text().startswith(str(4 * MIB))


@pytest.mark.parametrize(
    ("step", "resource"),
    [(Step.RECLAIM, "memory"), (Step.THROTTLE, "memory"), (Step.THROTTLE, "cpu")],
)
def test_a_process_has_no_limits_of_its_own(world: FakeWorld, step: Step, resource: str) -> None:
    with program() as process:
        order = order_for(world, process_candidate(process.pid), resource)
        with pytest.raises(StepImpossible):
            ACTIONS[step].take(order)


@pytest.mark.parametrize(("step", "resource"), [(Step.RECLAIM, "cpu"), (Step.THROTTLE, "gpu_memory")])
def test_a_step_that_frees_something_else_is_impossible(
    world: FakeWorld, tmp_path: Path, step: Step, resource: str
) -> None:
    with pytest.raises(StepImpossible):
        ACTIONS[step].take(order_for(world, cgroup_of(tmp_path, "a.service"), resource))


def test_what_cannot_be_kept_is_not_changed(tmp_path: Path) -> None:
    world = real_world(rule(), directory=tmp_path)
    candidate = cgroup_of(tmp_path, "a.service", memory__high="max", memory__current=str(MIB))
    (tmp_path / "actions.json.new").mkdir()

    with pytest.raises(ActionFailed, match="can't be kept"):
        ACTIONS[Step.THROTTLE].take(order_for(world, candidate))
    assert (tmp_path / "a.service/memory.high").read_text() == "max\n"
    assert world.ledger.changes == ()


def test_the_owner_reads_of_it_on_the_terminal(tmp_path: Path) -> None:
    main, terminal = pty.openpty()
    tty.setraw(terminal)
    (tmp_path / "pts").symlink_to("/dev/pts")

    told = tell_terminals(tmp_path, os.fstat(terminal).st_uid, "give way")
    text = os.read(main, 100)
    os.close(main)
    os.close(terminal)

    assert told >= 1
    assert text == b"\r\ngive way\r\n"


def test_a_file_among_the_terminals_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "pts").mkdir()
    (tmp_path / "pts/0").write_text("mine")

    assert tell_terminals(tmp_path, os.getuid(), "x") == 0
    assert (tmp_path / "pts/0").read_text() == "mine"


def test_what_is_no_terminal_of_the_owner_is_not_even_opened(tmp_path: Path) -> None:
    (tmp_path / "pts").mkdir()
    os.mkfifo(tmp_path / "pts/0")
    reader = os.open(tmp_path / "pts/0", os.O_RDONLY | os.O_NONBLOCK)

    assert tell_terminals(tmp_path, os.getuid(), "x") == 0
    hung_up = select.select([reader], [], [], 0)[0]  # a FIFO tells that it was opened for writing and closed again
    os.close(reader)
    assert hung_up == []


def test_a_name_cannot_steer_a_terminal(world: FakeWorld) -> None:
    with program() as process:
        order = order_for(world, process_candidate(process.pid))
        order.target.name = "evil\x1b[2J\r\n\x9b"

        assert sentence(order).isprintable()
        assert "terminate, kill" in sentence(order)
        assert "0 terminals" in Notify(Path("/nowhere")).take(order)


def test_terminals_are_left_alone_where_that_is_wished(world: FakeWorld, tmp_path: Path) -> None:
    ours, terminal = pty.openpty()
    (tmp_path / "pts").symlink_to("/dev/pts")
    with program() as process:
        order = order_for(world, process_candidate(process.pid))
        assert "terminal" not in Notify(tmp_path).take(replace(order, terminals=False))
    assert select.select([ours], [], [], 0)[0] == []
    for each in (ours, terminal):
        os.close(each)


def test_a_protected_target_is_looked_for_at_the_moment_of_acting(tmp_path: Path) -> None:
    world = real_world(rule(), directory=tmp_path)
    with program() as process:
        candidate = cgroup_of(tmp_path, "a.service", cgroup__procs=str(process.pid))
        target: Target = order_for(world, candidate).target
        (tmp_path / "a.service/cgroup.procs").write_text("1\n")

        with pytest.raises(ActionRefused):
            target.check()
