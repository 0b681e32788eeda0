import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.base import Roots
from resourced.collectors.cpu import CpuCollector, parse_loadavg, parse_stat
from resourced.errors import ParseError
from tests.collectors.host_fakes import make_roots

STAT = b"cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 99 1 2 3\nctxt 7\nbtime 5\nprocesses 6\n"
TICKS = st.lists(st.integers(0, 2**63), min_size=8, max_size=10)


def test_guest_time_is_contained_in_user_and_not_kept() -> None:
    stat = parse_stat(STAT, "/proc/stat")

    assert stat.total == (1, 2, 3, 4, 5, 6, 7, 8)
    assert stat.cores == {"0": (1, 2, 3, 4, 5, 6, 7, 8)}
    assert (stat.interrupts, stat.context_switches, stat.boot_time, stat.forks) == (99, 7, 5, 6)
    assert stat.tasks_running is None


def test_only_the_sum_is_read_of_a_huge_line_of_interrupts() -> None:
    stat = parse_stat(STAT.replace(b"99 1 2 3", b"99 " + b"x " * 100_000), "/proc/stat")

    assert (stat.interrupts, stat.context_switches) == (99, 7)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"cpu  1 2 3\n", "cpu  1 2 3"),
        (b"cpu  1 2 3 4 5 6 7 x\n", "cpu  1 2 3 4 5 6 7 x"),
        (STAT.replace(b"ctxt 7", b"ctxt"), "ctxt"),
        (STAT.replace(b"intr 99 1 2 3", b"intr many"), "intr many"),
        (b"ctxt 5\n", "ctxt 5"),
        (b"", ""),
    ],
)
def test_a_malformed_stat_names_file_and_line(content: bytes, line: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_stat(content, "/proc/stat")

    assert caught.value.source == "/proc/stat"
    assert caught.value.text.startswith(line)


@given(st.dictionaries(st.integers(0, 5000), TICKS, max_size=8), TICKS, st.integers(0, 2**63))
def test_what_is_written_well_is_read_back(cores: dict[int, list[int]], total: list[int], interrupts: int) -> None:
    rows = [("cpu ", total), *((f"cpu{number}", ticks) for number, ticks in cores.items())]
    text = "".join(f"{name} {' '.join(map(str, ticks))}\n" for name, ticks in rows) + f"intr {interrupts} 0 0\nctxt 1\n"

    stat = parse_stat(text.encode(), "stat")

    assert stat.total == tuple(total[:8])
    assert stat.cores == {str(number): tuple(ticks[:8]) for number, ticks in cores.items()}
    assert stat.interrupts == interrupts


@given(st.binary() | st.binary().map(lambda tail: STAT + tail) | st.binary().map(lambda tail: b"cpu " + tail))
def test_arbitrary_bytes_are_refused_or_read(content: bytes) -> None:
    for parse in (parse_stat, parse_loadavg):
        try:
            parse(content, "file")
        except ParseError:
            continue


@pytest.mark.parametrize("content", [b"", b"0.1 0.2\n", b"nan inf 1.0 1/2 3\n", b"a b c\n"])
def test_a_malformed_loadavg_is_refused(content: bytes) -> None:
    with pytest.raises(ParseError, match="three load averages"):
        parse_loadavg(content, "/proc/loadavg")


def test_a_processor_that_comes_online_is_noticed_with_its_core_and_frequency(tmp_path: Path) -> None:
    cpus = "sys/devices/system/cpu"
    roots = make_roots(
        tmp_path,
        {
            "proc/stat": STAT,
            "proc/loadavg": "0.50 0.25 0.10 1/2 3\n",
            f"{cpus}/cpu0/topology/thread_siblings_list": "0-1\n",
            f"{cpus}/cpu0/cpufreq/scaling_cur_freq": "1000\n",
            f"{cpus}/cpu1/topology/thread_siblings_list": "0-1\n",
            f"{cpus}/cpu1/cpufreq/scaling_cur_freq": "<unknown>\n",
        },
    )
    collector = CpuCollector(roots)
    first = collector.collect()
    (tmp_path / "proc/stat").write_bytes(STAT.replace(b"intr", b"cpu1 1 1 1 1 1 1 1 1\nintr"))
    second = collector.collect()
    collector.close()

    assert (list(first.stat.cores), first.physical_count) == (["0"], 1)
    assert (list(second.stat.cores), second.physical_count) == (["0", "1"], 1)
    assert second.frequencies_hertz == {"0": 1e6}
    assert second.load == (0.5, 0.25, 0.1)


def test_without_topology_the_number_of_cores_is_unknown(tmp_path: Path) -> None:
    roots = make_roots(tmp_path, {"proc/stat": STAT, "proc/loadavg": "0.50 0.25 0.10 1/2 3\n"})
    collector = CpuCollector(roots)

    assert collector.collect().physical_count is None
    collector.close()


def test_this_machine_has_the_processors_that_python_sees() -> None:
    collector = CpuCollector(Roots())
    sample = collector.collect()
    collector.close()

    assert len(sample.stat.cores) == os.sysconf("SC_NPROCESSORS_ONLN")
    assert sample.load[0] == pytest.approx(os.getloadavg()[0], abs=1)
