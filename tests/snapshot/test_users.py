"""What persons use together, and how many tasks the kernel still allows: of this machine's own processes."""

from pathlib import Path

from resourced.collectors.base import Roots, Taken
from resourced.collectors.processes import ProcessesCollector, ProcessesSample
from resourced.snapshot.processes import derive_processes


def sample(roots: Roots) -> Taken[ProcessesSample]:
    collector = ProcessesCollector(roots)
    try:
        return Taken(collector.collect(), 0.0, 0.0, 0.0)
    finally:
        collector.close()


def test_persons_add_up_and_the_system_is_no_person() -> None:
    section = derive_processes(None, sample(Roots()), None)

    for uid, usage in section.users.items():
        mine = [each for each in section.items if str(each.uid) == uid]
        assert usage.processes == len(mine)
        assert usage.memory_bytes == sum(each.memory_bytes for each in mine)
    assert not {"0", "65534"} & section.users.keys()


def test_the_smaller_limit_of_tasks_counts(tmp_path: Path) -> None:
    section = derive_processes(None, sample(Roots()), None)
    limits = [int(Path("/proc/sys/kernel", name).read_text()) for name in ("pid_max", "threads-max")]
    assert section.tasks_free is not None
    assert section.tasks_free == min(limits) - section.threads - section.kernel_threads

    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/pid_max").write_text("100\n")
    assert derive_processes(None, sample(Roots(proc=tmp_path)), None).tasks_free == 100
    (tmp_path / "sys/kernel/pid_max").unlink()
    assert derive_processes(None, sample(Roots(proc=tmp_path)), None).tasks_free is None
