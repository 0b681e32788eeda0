"""Who may register whom, how each is told, and when it ends: with real processes, files and signals."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from resourced.collectors.base import Roots
from resourced.errors import ActionRefused, NotYours, TargetGone, TooMany
from resourced.workloads import Applicant, Cover, State, Tell, Wish
from resourced.workloads.registry import MOST, MOST_OF_ONE
from tests.actions.fakes import start_of
from tests.workloads.fakes import ME, OTHER, STRANGER_UID, Kit, lines, readable, request, root

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_process_registers_itself_with_nothing_said(kit: Kit) -> None:
    lease = kit.registry.register(Wish(), ME)

    assert (lease.pid, lease.start_time_ticks, lease.uid) == (os.getpid(), start_of(os.getpid()), os.getuid())
    assert lease.name == Path("/proc/self/comm").read_text().strip()
    assert (lease.state, lease.scope, lease.tell, lease.grace_seconds) == (State.REGISTERED, "process", "stream", 30.0)
    assert kit.registry.leases == {lease.id: lease}
    assert [each.id for each in kit.registry.workloads] == [lease.id]
    assert (kit.told(), [name for name, _ in kit.reports]) == (["registered"], ["workload_registered"])


def test_the_same_process_under_the_same_name_keeps_its_id_and_what_is_asked_of_it(kit: Kit) -> None:
    first = kit.register("job", grace_seconds=5.0)
    kit.registry.ask(first.id, request())
    again = kit.register("job", grace_seconds=50.0)
    other = kit.register("other")

    assert (again.id, again.grace_seconds, again.state) == (first.id, 50.0, State.TOLD)
    assert other.id != first.id
    assert len(kit.registry.leases) == 2


def test_a_pid_that_nobody_has_is_told(kit: Kit) -> None:
    with pytest.raises(TargetGone):
        kit.register(pid=2**22 - 1)
    with pytest.raises(TargetGone):
        kit.register(applicant=Applicant(0, 0, admin=True))


def test_a_thread_of_the_kernel_is_no_workload(kit: Kit) -> None:
    with pytest.raises((ActionRefused, TargetGone)):
        kit.register(pid=2)


@root
def test_somebody_elses_process_is_refused_unless_an_admin_asks(
    kit: Kit, process: subprocess.Popen[bytes], strangers: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(NotYours):
        kit.register(applicant=OTHER, pid=process.pid)

    assert kit.register("own", OTHER, pid=strangers.pid).uid == STRANGER_UID
    assert kit.register("by root", pid=strangers.pid).uid == STRANGER_UID


@root
def test_a_priority_above_the_usual_is_for_admins(kit: Kit, strangers: subprocess.Popen[bytes]) -> None:
    with pytest.raises(NotYours):
        kit.register(applicant=OTHER, pid=strangers.pid, priority=1.0)
    kit.register(applicant=OTHER, pid=strangers.pid, priority=-1.0)

    assert [each.priority for each in kit.registry.workloads] == [-1.0]


@root
def test_where_users_cannot_be_told_apart_nobody_registers(tmp_path: Path, strangers: subprocess.Popen[bytes]) -> None:
    proc = tmp_path / "proc"
    for name, text in {"sys/kernel/overflowuid": "65534\n", "self/uid_map": "0 0 1\n"}.items():
        (proc / name).parent.mkdir(parents=True, exist_ok=True)
        (proc / name).write_text(text)
    for name in (str(strangers.pid),):
        (proc / name).symlink_to(f"/proc/{name}")
    kit = Kit(tmp_path, Roots(proc=proc))

    with pytest.raises(NotYours, match="who you are"):
        kit.register(applicant=OTHER, pid=strangers.pid)
    kit.registry.close()


def cgroup(directory: Path, pid: int, path: str, pids: list[int]) -> Roots:
    """Make a tree in which a process lives in a control group; /proc has nothing but what is asked for."""
    proc, tree = directory / "p", directory / "c"
    for each in {pid, *pids}:
        (proc / str(each)).mkdir(parents=True)
        (proc / str(each) / "cgroup").write_text(f"0::{path}\n")
        for name in ("status", "stat"):
            (proc / str(each) / name).symlink_to(f"/proc/{each}/{name}")
    (tree / path.lstrip("/")).mkdir(parents=True)
    (tree / path.lstrip("/") / "cgroup.procs").write_text("".join(f"{each}\n" for each in pids))
    return Roots(proc=proc, cgroup=tree)


@root
def test_a_whole_unit_is_registered_if_all_that_lives_in_it_is_the_callers(
    tmp_path: Path, process: subprocess.Popen[bytes], strangers: subprocess.Popen[bytes]
) -> None:
    path = "/user.slice/train.service/payload"
    mine = Kit(tmp_path / "a", cgroup(tmp_path / "1", strangers.pid, path, [strangers.pid]))
    lease = mine.register(applicant=OTHER, pid=strangers.pid, scope=Cover.UNIT)
    assert (lease.cgroup, lease.unit) == ("/user.slice/train.service", "train.service")
    assert [each.cgroup for each in mine.registry.workloads] == ["/user.slice/train.service"]

    shared = Kit(tmp_path / "b", cgroup(tmp_path / "2", strangers.pid, path, [strangers.pid, process.pid]))
    with pytest.raises(NotYours, match=str(process.pid)):
        shared.register(applicant=OTHER, pid=strangers.pid, scope=Cover.UNIT)
    assert shared.register(pid=strangers.pid, scope=Cover.UNIT).scope is Cover.UNIT
    for kit in (mine, shared):
        kit.registry.close()


@pytest.mark.parametrize("path", ["/", "/user.slice", "/system.slice/a.mount"])
def test_what_lives_in_no_service_and_no_scope_has_no_unit_to_register(tmp_path: Path, path: str) -> None:
    kit = Kit(tmp_path / "run", cgroup(tmp_path, os.getpid(), path, [os.getpid()]))
    with pytest.raises(ActionRefused):
        kit.register(scope=Cover.UNIT)
    kit.registry.close()


def test_one_user_and_all_users_have_a_limit(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MOST_OF_ONE):
        kit.register(f"job {number}")
    with pytest.raises(TooMany) as own:
        kit.register("one more")
    assert own.value.own
    kit.register("job 0")  # a renewal takes no place

    monkeypatch.setattr("resourced.workloads.registry.MOST", MOST_OF_ONE)
    with pytest.raises(TooMany) as all_of_them:
        kit.register("one more")
    assert (all_of_them.value.own, MOST) == (False, 1000)


def test_a_workload_is_told_acknowledges_and_is_released(kit: Kit) -> None:
    lease = kit.register()
    kit.registry.ask(lease.id, request())
    assert (kit.now(lease).state, kit.now(lease).request) == (State.TOLD, request())
    assert kit.registry.has_acknowledged(lease.id, "d1") is False

    kit.registry.acknowledge(lease.id, None)
    assert kit.now(lease).state is State.ACKNOWLEDGED
    assert kit.registry.has_acknowledged(lease.id, "d1") is True
    kit.registry.acknowledge(lease.id, "d1")  # again, which says nothing new

    kit.registry.release(lease.id, "released by uid 0")
    assert kit.registry.has_acknowledged(lease.id, "d1") is None
    assert kit.told() == ["registered", "told", "acknowledged", "released"]
    assert kit.changes[-1].reason == "released by uid 0"
    for gone in (kit.registry.heartbeat, lambda each: kit.registry.release(each, "again")):
        with pytest.raises(KeyError):
            gone(lease.id)


def test_nothing_can_be_acknowledged_that_is_not_asked(kit: Kit) -> None:
    lease = kit.register()
    with pytest.raises(ActionRefused):
        kit.registry.acknowledge(lease.id, None)
    kit.registry.ask(lease.id, request("d1"))
    with pytest.raises(ActionRefused):
        kit.registry.acknowledge(lease.id, "d2")


def test_of_two_requests_the_one_that_ends_first_is_shown_until_it_is_withdrawn(kit: Kit) -> None:
    lease = kit.register()
    kit.registry.ask(lease.id, request("late", 1060.0))
    kit.registry.ask(lease.id, request("soon", 1010.0))
    kit.registry.acknowledge(lease.id, "soon")
    shown = kit.now(lease)
    assert (shown.request and shown.request.decision, shown.state) == ("soon", State.ACKNOWLEDGED)

    kit.registry.withdraw(lease.id, "soon", "the rule has recovered")
    shown = kit.now(lease)
    assert (shown.request and shown.request.decision, shown.state) == ("late", State.TOLD)
    kit.registry.withdraw(lease.id, "late", "the rule has recovered")
    kit.registry.withdraw(lease.id, "late", "twice")
    assert (kit.now(lease).request, kit.now(lease).state) == (None, State.REGISTERED)
    assert kit.told()[-2:] == ["withdrawn", "withdrawn"]


def test_a_deadline_moves_and_small_moves_are_not_told(kit: Kit) -> None:
    lease = kit.register()
    kit.registry.ask(lease.id, request())
    before = kit.now(lease)
    kit.registry.move(lease.id, "d1", 1030.2)
    assert kit.now(lease) is before
    kit.registry.move(lease.id, "d1", 1012.0)
    moved = kit.now(lease).request
    assert moved == dataclasses.replace(request(), deadline=1012.0)


def test_silence_ends_a_lease_that_promised_signs_of_life(kit: Kit) -> None:
    quiet, other = kit.register("quiet", heartbeat_seconds=10.0), kit.register("other")
    assert kit.registry.tend() == 10.0
    kit.clock.now += 8.0
    kit.registry.heartbeat(quiet.id)
    assert kit.now(quiet).heard == kit.clock.wall()
    kit.clock.now += 8.0
    assert kit.registry.tend() == pytest.approx(2.0)
    kit.clock.now += 2.0

    assert kit.registry.tend() is None
    assert list(kit.registry.leases) == [other.id]
    assert (kit.changes[-1].change, kit.reports[-1][0]) == ("lapsed", "workload_released")
    assert "nothing was heard of it for 10 s" in kit.reports[-1][1]["reason"]


def test_the_end_of_its_process_ends_a_lease(kit: Kit, process: subprocess.Popen[bytes]) -> None:
    lease = kit.register(pid=process.pid)
    [descriptor] = kit.registry.descriptors()
    assert not readable(descriptor)
    process.kill()
    process.wait()

    assert readable(descriptor)
    kit.registry.tend()
    assert (dict(kit.registry.leases), kit.registry.workloads) == ({}, ())
    assert (kit.changes[-1].change, kit.changes[-1].reason) == ("released", "its process has ended")
    assert kit.changes[-1].workload.id == lease.id


def test_leases_outlive_the_process_and_what_was_asked_is_withdrawn(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    before = Kit(tmp_path)
    kept = before.register("kept", tell=Tell.FILE, pid=process.pid, priority=3.0, heartbeat_seconds=60.0)
    assert kept.file is not None
    reader = os.open(kept.file, os.O_RDWR | os.O_NONBLOCK)
    before.registry.ask(kept.id, request())
    before.registry.acknowledge(kept.id, None)
    assert [each["change"] for each in lines(reader)] == ["told"]
    before.registry.close()  # a daemon that is killed writes no more than this one
    assert not readable(reader)

    after = Kit(tmp_path)
    now = after.now(kept)
    assert (now.id, now.name, now.pid, now.priority, now.file) == (kept.id, "kept", process.pid, 3.0, kept.file)
    assert (now.state, now.request) == (State.REGISTERED, None)
    assert [each["change"] for each in lines(reader)] == ["withdrawn"]
    os.close(reader)
    after.registry.ask(kept.id, request("d2"))
    assert after.now(kept).state is State.TOLD
    after.registry.close()


@pytest.mark.parametrize("spoil", ["another boot", "process", "version", "garbage", "fields"])
def test_what_was_kept_and_does_not_hold_any_more_is_forgotten(
    tmp_path: Path, spoil: str, process: subprocess.Popen[bytes]
) -> None:
    before = Kit(tmp_path)
    lease = before.register(pid=process.pid, tell=Tell.FILE)
    assert lease.file is not None
    before.registry.close()
    file = tmp_path / "workloads.json"
    saved = json.loads(file.read_text())
    spoiled: dict[str, Callable[[], object]] = {
        "another boot": lambda: None,
        "process": lambda: saved["workloads"][0].update(start_time_ticks=1),
        "version": lambda: saved.update(version=99),
        "garbage": lambda: None,
        "fields": lambda: saved["workloads"][0].pop("pid"),
    }
    spoiled[spoil]()
    file.write_text("{" if spoil == "garbage" else json.dumps(saved))

    after = Kit(tmp_path, boot_id="another" if spoil == "another boot" else "boot")

    assert after.registry.leases == {}
    assert not Path(lease.file).exists()
    names = [name for name, _ in after.reports]
    assert names == {
        "process": ["workload_released"],
        "garbage": ["workloads_failed"],
        "fields": ["workloads_failed"],
    }.get(spoil, [])
    after.registry.close()


def test_a_registry_that_has_ended_writes_nothing_any_more(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.register("kept")
    kit.registry.close()
    text = (tmp_path / "workloads.json").read_text()
    kit.register("late")
    assert (tmp_path / "workloads.json").read_text() == text
    kit.registry.close()
