"""The cgroup v2 tree, made up to the byte; pread(2) reads plain files as it reads the kernel's."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from resourced.actions.handles import CgroupHandle
from resourced.collectors.base import Roots, Taken
from resourced.collectors.cgroups import CgroupsCollector, CgroupsSample
from resourced.collectors.procstat import parse_cgroup
from resourced.errors import ParseError, Unavailable
from resourced.snapshot.cgroups import Cgroups, derive_cgroups
from tests.collectors.test_blocklayers import put_devices

PRESSURE = "some avg10=1.00 avg60=2.00 avg300=3.00 total={total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
FILES = {
    "cgroup.events": "populated 1\nfrozen 0\n",
    "cpu.stat": "usage_usec 1000000\nuser_usec 1\nsystem_usec 1\nnr_periods 4\nnr_throttled 2\nthrottled_usec 500000\n",
    "cpu.max": "150000 100000\n",
    "cpu.weight": "100\n",
    "memory.current": "1048576\n",
    "memory.peak": "2097152\n",
    "memory.swap.current": "4096\n",
    "memory.min": "0\n",
    "memory.low": "512\n",
    "memory.high": "max\n",
    "memory.max": "1073741824\n",
    "memory.swap.max": "max\n",
    "memory.stat": "anon 100\nfile 200\nkernel 5\nshmem 300\nslab 400\npgscan 500\nworkingset_refault_anon 1\n",
    "memory.events": "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 0\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n",
    "pids.current": "7\n",
    "pids.max": "100\n",
    "cpu.pressure": PRESSURE.format(total=1),
    "memory.pressure": PRESSURE.format(total=2),
    "io.pressure": PRESSURE.format(total=3),
}


class Tree:
    """A cgroup v2 tree that a test writes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "cgroup"
        self.directory.mkdir()
        self.roots = Roots(cgroup=self.directory, sys=directory / "sys")
        (self.directory / "cgroup.controllers").write_text("cpu io memory pids\n")

    def put(self, path: str, **files: str) -> None:
        directory = self.directory / path.lstrip("/")
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in (FILES | {key.replace("_", ".", 1): text for key, text in files.items()}).items():
            (directory / name).write_text(content)

    def write(self, path: str, name: str, content: str) -> None:
        (self.directory / path.lstrip("/") / name).write_text(content)


class Watch:
    """Collects and derives, two seconds at a time."""

    def __init__(self, roots: Roots, **more: int) -> None:
        self.collector = CgroupsCollector(roots, **more)
        self.before: Taken[CgroupsSample] | None = None
        self.now = 100.0

    def tick(self, count: int = 1) -> Cgroups:
        for _ in range(count - 1):
            self.tick()
        self.now += 2.0
        taken = Taken(self.collector.collect(), self.now, 0.0, 0.0)
        section = derive_cgroups(self.before, taken, None)
        self.before = taken
        return section


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def watch(tree: Tree) -> Iterator[Watch]:
    watch = Watch(tree.roots)
    yield watch
    watch.collector.close()


def test_a_node_is_shown_with_all_that_is_told_of_it(tree: Tree, watch: Watch) -> None:
    tree.put("/system.slice/x.service")
    node = watch.tick().nodes["/system.slice/x.service"]
    assert (node.unit, node.populated, node.frozen) == ("x.service", True, False)
    assert (node.cpu_seconds, node.cpu_throttled_seconds, node.cpu_limit, node.cpu_weight) == (1.0, 0.5, 1.5, 100)
    assert (node.memory_bytes, node.memory_peak_bytes, node.swap_bytes) == (1048576, 2097152, 4096)
    assert (node.memory_min_bytes, node.memory_low_bytes) == (0, 512)
    assert (node.memory_high_bytes, node.memory_max_bytes, node.swap_max_bytes) == (None, 1073741824, None)
    assert (node.anonymous_bytes, node.file_bytes, node.shmem_bytes, node.slab_bytes) == (100, 200, 300, 400)
    assert node.reclaim_scanned_pages == 500
    assert node.memory_events is not None
    assert node.memory_events["oom_kill"] == 5
    assert (node.io_read_bytes, node.io_write_bytes, node.pids, node.pids_max) == (11, 22, 7, 100)
    assert node.pressure_memory is not None
    assert node.pressure_memory.some is not None
    assert node.pressure_memory.some.avg10_share == 0.01
    assert node.cpu_utilization is None, "nothing is known of the time before"
    assert node.memory_growth_bytes_per_second is None


def test_a_name_that_is_no_text_is_read_shown_and_found_again(tree: Tree, watch: Watch) -> None:
    raw = b"/user.slice/x\xff.service"
    tree.put(os.fsdecode(raw))
    nodes = watch.tick().nodes
    [path] = [each for each in nodes if each.startswith("/user.slice/")]

    assert to_json(nodes[path])
    assert nodes[path].memory_bytes == 1048576
    assert parse_cgroup(b"0::" + raw + b"\n") == path, "its processes belong to it"
    handle = CgroupHandle(path, nodes[path].inode or 0, tree.roots)
    assert handle.read("memory.current") == "1048576"
    handle.close()


def test_rates_are_over_the_time_between_two_samples(tree: Tree, watch: Watch) -> None:
    tree.put("/a.service")
    watch.tick()
    tree.write("/a.service", "cpu.stat", "usage_usec 5000000\nnr_periods 24\nnr_throttled 7\nthrottled_usec 8500000\n")
    tree.write("/a.service", "memory.current", "3145728\n")
    tree.write("/a.service", "memory.swap.current", "0\n")
    tree.write("/a.service", "memory.stat", "anon 1\nfile 2\nshmem 3\nslab 4\npgscan 700\n")
    tree.write("/a.service", "io.stat", "8:0 rbytes=211 wbytes=22\n")
    tree.write("/a.service", "memory.pressure", PRESSURE.format(total=200002))
    node = watch.tick().nodes["/a.service"]
    assert node.cpu_utilization == 2.0
    assert node.cpu_throttled_share == 0.25
    assert node.cpu_throttled_seconds == 8.5, "of four processors in two seconds"
    assert node.memory_growth_bytes_per_second == (2097152 - 4096) / 2
    assert node.reclaim_scanned_pages_per_second == 100
    assert (node.io_read_bytes_per_second, node.io_write_bytes_per_second) == (100, 0)
    assert node.pressure_memory is not None
    assert node.pressure_memory.some is not None
    assert node.pressure_memory.some.share == pytest.approx(0.1)


def test_without_a_period_nothing_is_known_of_being_held_back(tree: Tree, watch: Watch) -> None:
    tree.put("/idle.service")
    tree.put("/root-like.service", cpu_stat="usage_usec 1\n")
    watch.tick()
    nodes = watch.tick().nodes
    assert nodes["/idle.service"].cpu_throttled_share is None
    assert nodes["/root-like.service"].cpu_throttled_share is None


def test_parents_come_before_children_and_siblings_are_sorted(tree: Tree, watch: Watch) -> None:
    for path in ("/b.slice/z.service", "/b.slice/a.service", "/a.slice"):
        tree.put(path)
    assert list(watch.tick().nodes) == ["/", "/a.slice", "/b.slice", "/b.slice/a.service", "/b.slice/z.service"]


def test_depth_and_number_are_bounded(tree: Tree) -> None:
    for n in range(12):
        tree.put(f"/s.slice/n{n:02}.service/deep/deeper")
    shallow = Watch(tree.roots, depth=2).tick()
    assert max(path.count("/") for path in shallow.nodes) == 2
    assert not shallow.truncated
    few = Watch(tree.roots, limit=5).tick()
    assert len(few.nodes) == 5
    assert few.truncated


def test_the_root_has_no_memory_of_its_own_and_missing_controllers_are_null(tree: Tree, watch: Watch) -> None:
    tree.put("/x.service")
    for name in ("memory.current", "memory.stat", "io.stat", "pids.current", "cpu.max", "memory.pressure"):
        (tree.directory / "x.service" / name).unlink()
    nodes = watch.tick(2).nodes
    assert nodes["/"].memory_bytes is None
    node = nodes["/x.service"]
    assert (node.memory_bytes, node.anonymous_bytes, node.io_read_bytes, node.pids) == (None,) * 4
    assert (node.cpu_limit, node.pressure_memory, node.io_read_bytes_per_second) == (None, None, None)


def test_a_controller_that_is_enabled_later_is_found(tree: Tree, watch: Watch) -> None:
    tree.put("/x.service")
    (tree.directory / "x.service/pids.current").unlink()
    assert watch.tick().nodes["/x.service"].pids is None
    tree.write("/x.service", "pids.current", "9\n")
    assert watch.tick(10).nodes["/x.service"].pids == 9


def test_a_controller_that_is_disabled_and_enabled_again_is_found(
    tree: Tree, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel makes new files then, and refuses to read the old ones for ever."""
    tree.put("/x.service")
    assert watch.tick().nodes["/x.service"].pids == 7
    kept = sum(1 for _ in Path("/proc/self/fd").iterdir())
    real = os.pread

    def refuse(descriptor: int, *rest: Any) -> bytes:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).endswith(" (deleted)"):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return real(descriptor, *rest)

    monkeypatch.setattr("os.pread", refuse)
    (tree.directory / "x.service/pids.current").unlink()
    assert watch.tick().nodes["/x.service"].pids is None
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == kept - 1
    assert watch.tick(10).nodes["/x.service"].pids is None
    tree.write("/x.service", "pids.current", "9\n")
    assert watch.tick(10).nodes["/x.service"].pids == 9
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == kept


def test_limits_are_at_most_ten_samples_old(tree: Tree, watch: Watch) -> None:
    tree.put("/x.service")
    watch.tick()
    tree.write("/x.service", "memory.high", "777\n")
    assert watch.tick(10).nodes["/x.service"].memory_high_bytes == 777


def test_a_unit_that_was_restarted_is_another_node(tree: Tree, watch: Watch) -> None:
    tree.put("/x.service")
    first = watch.tick(2).nodes["/x.service"]
    held = tree.directory / "held"  # so that the inode's number isn't given out again
    (tree.directory / "x.service").rename(held)
    shutil.copytree(held, tree.directory / "x.service")
    again = watch.tick().nodes["/x.service"]
    assert again.inode != first.inode
    assert again.cpu_utilization is None
    assert again.memory_growth_bytes_per_second is None


def test_nodes_vanish_and_their_descriptors_with_them(tree: Tree, watch: Watch) -> None:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for n in range(10):
        tree.put(f"/n{n}.service")
    watch.tick()
    for n in range(10):
        shutil.rmtree(tree.directory / f"n{n}.service")
    assert list(watch.tick().nodes) == ["/"]
    watch.collector.close()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_beyond_the_descriptors_allowed_files_are_opened_for_each_reading(tree: Tree) -> None:
    tree.put("/x.service")
    watch = Watch(tree.roots, descriptors=0)
    assert watch.tick().nodes["/x.service"].pids == 7
    tree.write("/x.service", "pids.current", "8\n")
    assert watch.tick().nodes["/x.service"].pids == 8
    watch.collector.close()


def test_what_passes_several_layers_is_counted_once(tree: Tree, watch: Watch) -> None:
    put_devices(tree.roots, {"8:0": "sda", "254:0": "dm-0", "252:0": "zram0"}, {"dm-0": ["sda"]})
    tree.put("/x.service", io_stat="254:0 rbytes=10 wbytes=20\n252:0 rbytes=7 wbytes=7\n8:0 rbytes=10 wbytes=21\n")
    node = watch.tick().nodes["/x.service"]
    assert (node.io_read_bytes, node.io_write_bytes) == (10, 21)


def test_devices_by_the_hundred_are_all_counted(tree: Tree, watch: Watch) -> None:
    lines = [f"8:{n} rbytes={10**9 + n} wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n" for n in range(900)]
    tree.put("/x.service", io_stat="".join(lines))
    node = watch.tick().nodes["/x.service"]
    assert (node.io_read_bytes, node.io_write_bytes) == (sum(10**9 + n for n in range(900)), 900)


@pytest.mark.parametrize("code", [errno.ENODEV, errno.EOPNOTSUPP])
def test_what_the_kernel_refuses_is_null(tree: Tree, watch: Watch, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A node that goes while it is read (ENODEV), and pressure that is switched off (EOPNOTSUPP)."""
    tree.put("/x.service")
    watch.tick()
    real = os.pread

    def refuse(descriptor: int, *rest: Any) -> bytes:
        if Path(f"/proc/self/fd/{descriptor}").readlink().match("x.service/memory.pressure"):
            raise OSError(code, os.strerror(code))
        return real(descriptor, *rest)

    monkeypatch.setattr("os.pread", refuse)
    node = watch.tick().nodes["/x.service"]
    assert node.pressure_memory is None
    assert node.pids == 7


def test_a_malformed_file_is_an_error_that_names_it(tree: Tree, watch: Watch) -> None:
    tree.put("/x.service", pids_current="many\n")
    with pytest.raises(ParseError, match=r"x.service/pids.current: expected a whole number or max, found 'many"):
        watch.tick()


@pytest.mark.parametrize(
    ("directories", "reason"),
    [
        (["memory", "cpu"], "cgroup v1 is mounted at"),
        (["unified"], "hybrid"),
        ([], "no cgroup tree is mounted at"),
    ],
)
def test_without_a_v2_tree_the_reason_is_told(tmp_path: Path, directories: list[str], reason: str) -> None:
    for name in directories:
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.controllers").write_text("" if name == "unified" else "x")
    with pytest.raises(Unavailable, match=reason):
        CgroupsCollector(Roots(cgroup=tmp_path)).collect()
