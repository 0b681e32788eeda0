"""The scan of processes: on trees made up to the byte, and on this machine's own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.collectors.base import Roots, Taken
from resourced.collectors.processes import ProcessesCollector, ProcessesSample
from resourced.errors import ParseError
from resourced.snapshot.processes import Processes, derive_processes
from tests.test_monitor import ManualClock


def descriptors_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Tree:
    """A /proc that a test writes."""

    def __init__(self, directory: Path) -> None:
        self.roots = Roots(proc=directory)
        self.directory = directory

    def put(
        self, pid: int, *, start: int = 100, ticks: int = 0, pages: int = 10, name: str = "x", flags: int = 0
    ) -> None:
        directory = self.directory / str(pid)
        directory.mkdir(exist_ok=True)
        numbers = [1, pid, pid, 0, -1, flags, 0, 0, 3, 0, ticks, 0, 0, 0, 20, 0, 2, 0, start, 4096 * 50, pages, 0]
        (directory / "stat").write_text(f"{pid} ({name}) S {' '.join(map(str, numbers))}\n")
        (directory / "status").write_text("Name:\tx\nUid:\t1000\t0\t0\t0\nVmSwap:\t8 kB\n")
        (directory / "cgroup").write_text("0::/system.slice/x.service\n")
        (directory / "oom_score").write_text("666\n")
        (directory / "oom_score_adj").write_text("-5\n")
        self.io(pid, 0, 0)

    def io(self, pid: int, read: int, written: int) -> None:
        text = f"rchar: 9\nread_bytes: {read}\nwrite_bytes: {written}\n"
        (self.directory / str(pid) / "io").write_text(text)


class Watch:
    """Collects and derives, a second at a time."""

    def __init__(self, roots: Roots, **more: int) -> None:
        self.clock = ManualClock()
        self.collector = ProcessesCollector(roots, clock=self.clock, **more)
        self.before: Taken[ProcessesSample] | None = None
        self.section: Processes | None = None

    def tick(self, count: int = 1) -> Processes:
        for _ in range(count):
            self.clock.now += 1.0
            now = Taken(self.collector.collect(), self.clock.now, 0.0, 0.0)
            self.section = derive_processes(self.before, now, self.section)
            self.before = now
        assert self.section is not None
        return self.section

    def ticks(self, pid: int, seconds: int) -> list[float | None]:
        """Return the processor use of a process, second by second."""
        return [next(p for p in self.tick().items if p.pid == pid).cpu_utilization for _ in range(seconds)]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def watch(tree: Tree) -> Iterator[Watch]:
    watch = Watch(tree.roots)
    yield watch
    watch.collector.close()


def test_a_process_is_shown_with_all_that_is_told_of_it(tree: Tree, watch: Watch) -> None:
    tree.put(7, start=55, ticks=250, pages=3, name="a (b) c")
    [process] = watch.tick().items
    page = os.sysconf("SC_PAGESIZE")
    assert (process.pid, process.start_time_ticks, process.name, process.uid) == (7, 55, "a (b) c", 1000)
    assert process.cpu_seconds == 250 / os.sysconf("SC_CLK_TCK")
    assert process.cpu_utilization is None, "nothing is known of the time before"
    assert (process.memory_bytes, process.swap_bytes, process.virtual_bytes) == (3 * page, 8192, 4096 * 50)
    assert (process.cgroup, process.oom_score, process.oom_score_adj) == ("/system.slice/x.service", 666, -5)
    assert (process.threads, process.nice, process.state) == (2, 0, "S")


def test_rates_are_over_the_time_between_two_readings_of_the_process(tree: Tree, watch: Watch) -> None:
    tree.put(7)
    watch.tick()
    tree.put(7, ticks=50, pages=20)
    tree.io(7, 4096, 8192)
    [process] = watch.tick().items
    assert process.cpu_utilization == pytest.approx(50 / os.sysconf("SC_CLK_TCK"))
    assert process.memory_growth_bytes_per_second == 10 * os.sysconf("SC_PAGESIZE")
    assert process.io_read_bytes_per_second == 4096
    assert process.io_write_bytes_per_second == 8192
    [process] = watch.tick().items
    assert (process.cpu_utilization, process.memory_growth_bytes_per_second) == (0, 0)
    assert process.io_read_bytes_per_second == 0


def test_an_idle_process_that_wakes_is_not_given_more_than_it_used(tree: Tree, watch: Watch) -> None:
    """It is read at every fourth sample only; what it used is spread over the time since it was read before."""
    tree.put(7)
    watch.tick(60)
    tree.put(7, ticks=400)
    used = watch.ticks(7, 8)
    busy = [each for each in used if each]
    assert len(busy) == 1
    assert busy[0] <= 400 / os.sysconf("SC_CLK_TCK") / 4 + 1e-9
    assert used.index(busy[0]) <= 3, "it is seen at most three samples late"


def test_a_large_idle_process_is_read_at_every_sample(tree: Tree, watch: Watch) -> None:
    tree.put(7, pages=100_000)
    watch.tick(60)
    tree.put(7, pages=100_001)
    [process] = watch.tick().items
    assert process.memory_bytes == 100_001 * os.sysconf("SC_PAGESIZE")


def test_what_does_not_change_is_the_same_object(tree: Tree, watch: Watch) -> None:
    tree.put(7)
    watch.tick(2)
    [before] = watch.tick().items
    [now] = watch.tick().items
    assert now is before


def test_a_pid_that_is_used_again_is_another_process(tree: Tree, watch: Watch) -> None:
    tree.put(7, start=100, ticks=500)
    watch.tick(3)
    tree.put(7, start=900, ticks=600, name="other")
    [process] = watch.tick().items
    assert (process.start_time_ticks, process.name) == (900, "other")
    assert process.cpu_utilization is None
    assert process.memory_growth_bytes_per_second is None


def test_processes_come_and_go(tree: Tree, watch: Watch) -> None:
    for pid in (1, 2, 3):
        tree.put(pid)
    assert {p.pid for p in watch.tick().items} == {1, 2, 3}
    shutil.rmtree(tree.directory / "2")
    tree.put(4)
    assert {p.pid for p in watch.tick().items} == {1, 3, 4}


def test_one_that_vanishes_while_it_is_looked_at_is_left_out(tree: Tree, watch: Watch) -> None:
    tree.put(1)
    (tree.directory / "2").mkdir()  # listed, and its files are gone already
    section = watch.tick()
    assert [p.pid for p in section.items] == [1]
    assert section.unreadable == 0


def test_kernel_threads_are_counted_and_their_numbers_watched_for_reuse(tree: Tree, watch: Watch) -> None:
    tree.put(2, flags=0x200000)
    tree.put(9)
    section = watch.tick()
    assert section.kernel_threads == 1
    assert [p.pid for p in section.items] == [9]
    tree.put(2, start=777)
    assert 2 in {p.pid for p in watch.tick(32).items}


def test_files_that_may_not_be_read_leave_their_values_null(tree: Tree, watch: Watch) -> None:
    tree.put(7)
    for name in ("io", "status", "cgroup", "oom_score", "oom_score_adj"):
        (tree.directory / "7" / name).unlink()
    [process] = watch.tick().items
    assert (process.uid, process.swap_bytes, process.cgroup, process.io_read_bytes) == (None,) * 4
    assert (process.oom_score, process.oom_score_adj) == (None, None)


def test_one_in_hundreds_of_groups_is_read_whole(tree: Tree, watch: Watch) -> None:
    tree.put(7)
    groups = " ".join(str(100_000 + number) for number in range(2000))
    (tree.directory / "7/status").write_text(f"Name:\tx\nUid:\t1000\t0\t0\t0\nGroups:\t{groups}\nVmSwap:\t8 kB\n")
    [process] = watch.tick().items
    assert process.swap_bytes == 8192


@pytest.mark.parametrize(("file", "text"), [("stat", "7 nonsense\n"), ("status", "Name:\tx\nUid:\tnobody\n")])
def test_one_that_can_not_be_understood_is_counted_and_hides_nobody(
    tree: Tree, watch: Watch, file: str, text: str
) -> None:
    before = descriptors_open()
    tree.put(7)
    tree.put(8)
    watch.tick(3)
    (tree.directory / "7" / file).write_text(text)
    section = watch.tick(5)  # long enough for its details to be read in turn
    assert [p.pid for p in section.items] == [8]
    assert section.unreadable == 1
    tree.put(7)
    assert {p.pid for p in watch.tick().items} == {7, 8}
    watch.collector.close()
    assert descriptors_open() == before


def test_if_none_can_be_understood_an_error_names_the_file(tree: Tree, watch: Watch) -> None:
    tree.put(7)
    (tree.directory / "7/stat").write_text("7 nonsense\n")
    with pytest.raises(ParseError, match="7/stat: expected pid"):
        watch.tick()


def test_details_of_all_are_renewed_in_turn(tree: Tree) -> None:
    watch = Watch(tree.roots, details_per_tick=10)
    for pid in range(1, 21):
        tree.put(pid)
    watch.tick()
    for pid in range(1, 21):
        (tree.directory / str(pid) / "oom_score_adj").write_text("100\n")
    seen = [sum(p.oom_score_adj == 100 for p in watch.tick().items) for _ in range(20)]
    assert seen == list(range(1, 21)), "one more at each sample"
    watch.collector.close()


@pytest.mark.parametrize("descriptors", [0, 5, 1000])
def test_beyond_the_descriptors_allowed_files_are_opened_for_each_reading(tree: Tree, descriptors: int) -> None:
    for pid in range(1, 21):
        tree.put(pid)
    before = descriptors_open()
    watch = Watch(tree.roots, descriptors=descriptors)
    watch.tick()
    assert descriptors_open() - before == min(descriptors, 20) + 1
    tree.put(20, ticks=300)
    assert watch.ticks(20, 1) == [300 / os.sysconf("SC_CLK_TCK")]
    watch.collector.close()
    assert descriptors_open() == before


# This machine's own processes.


@pytest.fixture
def sleeper() -> Iterator[int]:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "300"], {})
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("name", ["Uid:x", "Uid:4711", "VmSwap:9"])
def test_a_program_may_be_called_like_a_line_of_status(tmp_path: Path, name: str) -> None:
    shutil.copy("/bin/sleep", tmp_path / name)
    watch = Watch(Roots())
    process = subprocess.Popen([tmp_path / name, "300"])
    try:
        shown = next(p for p in watch.tick().items if p.pid == process.pid)
    finally:
        process.kill()
        process.wait()
    watch.collector.close()
    assert (shown.name, shown.uid, shown.swap_bytes) == (name, os.getuid(), 0)


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps (procps)")
def test_values_agree_with_ps(sleeper: int) -> None:
    watch = Watch(Roots())
    shown = next(p for p in watch.tick().items if p.pid == sleeper)
    watch.collector.close()
    command = ["ps", "-o", "ppid=,ruid=,rss=,nlwp=,state=,sid=,comm=", "-p", str(sleeper)]
    ppid, uid, rss, threads, state, session, name = subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()
    assert (shown.ppid, shown.uid, shown.threads, shown.state) == (int(ppid), int(uid), int(threads), state)
    assert (shown.session, shown.name) == (int(session), name)
    # proc(5): the resident set in stat lags behind that in status, which ps shows, by what each CPU has not yet added.
    assert shown.memory_bytes == pytest.approx(int(rss) * 1024, abs=64 * 4096)


def test_two_thousand_processes_are_seen_and_none_is_kept_when_they_have_gone() -> None:
    watch = Watch(Roots())
    before = descriptors_open()
    pids = [os.posix_spawn("/bin/sleep", ["sleep", "300"], {}) for _ in range(2000)]
    try:
        assert {p.pid for p in watch.tick().items} >= set(pids)
        for pid in pids[:1000]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        alive = {p.pid for p in watch.tick().items}
        assert not alive & set(pids[:1000])
        assert alive >= set(pids[1000:])
    finally:
        for pid in pids[1000:] if watch.before else pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    watch.tick()
    watch.collector.close()
    assert descriptors_open() == before
