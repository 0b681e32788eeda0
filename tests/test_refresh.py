"""Bringing a snapshot up to date in what victims are chosen by."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from resourced.collectors.base import Roots
from resourced.refresh import Refresher
from tests.actions.fakes import program, start_of
from tests.policy.fakes import MIB, cgroup, process, snapshot


def test_who_lives_is_found_with_what_it_holds_now() -> None:
    own = os.getpid()
    before = snapshot(
        processes=[process(own, "me", start_time_ticks=start_of(own), memory_bytes=MIB), process(999_999)]
    )
    with program() as other:
        after = Refresher(Roots()).refresh(before, before.monotonic_seconds + 2.0)

        assert after.processes is not None
        found = {each.pid: each for each in after.processes.items}
        assert other.pid in found
    assert 999_999 not in found
    mine = found[own]
    assert mine.memory_bytes > 10 * MIB
    assert mine.memory_growth_bytes_per_second == (mine.memory_bytes - MIB) / 2.0
    assert found[other.pid].uid == os.getuid()
    assert found[other.pid].oom_score_adj is not None


def test_a_number_that_is_anothers_by_now_is_a_new_process() -> None:
    own = os.getpid()
    before = snapshot(processes=[process(own, "before", start_time_ticks=1, oom_score_adj=-1000)])
    after = Refresher(Roots()).refresh(before, before.monotonic_seconds + 1.0)

    assert after.processes is not None
    [mine] = [each for each in after.processes.items if each.pid == own]
    assert (mine.name == "before", mine.start_time_ticks) == (False, start_of(own))


@pytest.mark.parametrize("name", ["Uid:x", "Uid:4711"])
def test_a_program_called_like_a_line_of_status_is_its_owners_and_hides_nobody(tmp_path: Path, name: str) -> None:
    shutil.copy("/bin/sleep", tmp_path / name)
    before = snapshot(processes=[process(999_999)])
    other = subprocess.Popen([tmp_path / name, "300"])
    try:
        after = Refresher(Roots()).refresh(before, before.monotonic_seconds + 1.0)
    finally:
        other.kill()
        other.wait()

    assert after.processes is not None
    found = {each.pid: each for each in after.processes.items}
    assert (found[other.pid].name, found[other.pid].uid) == (name, os.getuid())
    assert os.getpid() in found


def test_one_that_can_not_be_understood_is_passed_over(tmp_path: Path) -> None:
    for pid, uid in (("7", "nobody"), ("8", "1000")):
        numbers = " ".join(["1"] * 5 + ["0"] + ["1"] * 20)
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "stat").write_text(f"{pid} (x) S {numbers}\n")
        (tmp_path / pid / "status").write_text(f"Name:\tx\nUid:\t{uid}\n")
    before = snapshot(processes=[])
    after = Refresher(Roots(proc=tmp_path)).refresh(before, before.monotonic_seconds + 1.0)

    assert after.processes is not None
    assert [(each.pid, each.uid) for each in after.processes.items] == [(8, 1000)]


def test_a_cgroup_is_read_anew_and_one_that_has_gone_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.service").mkdir()
    (tmp_path / "a.service/memory.current").write_text(f"{300 * MIB}\n")
    (tmp_path / "a.service/memory.stat").write_text(f"anon {200 * MIB}\nfile 5\nshmem 4096\n")
    nodes = [
        cgroup("/a.service", memory_bytes=100 * MIB, anonymous_bytes=50 * MIB),
        cgroup("/gone.service", memory_bytes=7, anonymous_bytes=7),
        cgroup("/without.slice"),
    ]
    before = replace(snapshot(cgroups=nodes), processes=None)
    after = Refresher(Roots(cgroup=tmp_path)).refresh(before, before.monotonic_seconds + 4.0)

    assert after.cgroups is not None
    found = after.cgroups.nodes["/a.service"]
    assert (found.memory_bytes, found.anonymous_bytes, found.shmem_bytes) == (300 * MIB, 200 * MIB, 4096)
    assert found.memory_growth_bytes_per_second == 50 * MIB
    assert after.cgroups.nodes["/gone.service"] is nodes[1]
    assert after.cgroups.nodes["/without.slice"] is nodes[2]
