import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.base import Roots
from resourced.collectors.memory import (
    MemoryCollector,
    parse_arcstats,
    parse_meminfo,
    parse_mm_stat,
    parse_vmstat,
)
from resourced.errors import ParseError
from tests.collectors.host_fakes import make_roots


def test_kilobytes_become_bytes_and_plain_numbers_stay() -> None:
    assert parse_meminfo(b"MemTotal:  16 kB\nHugePages_Total:   3\n", "f") == {"MemTotal": 16384, "HugePages_Total": 3}


@pytest.mark.parametrize("content", [b"", b"MemFree: 1 kB\n", b"MemTotal:\n", b"MemTotal: 1 MB\n", b"MemTotal: x kB\n"])
def test_a_malformed_meminfo_is_refused_with_its_name(content: bytes) -> None:
    with pytest.raises(ParseError, match="/proc/meminfo"):
        parse_meminfo(content, "/proc/meminfo")


def test_only_counters_that_are_needed_are_kept_of_vmstat() -> None:
    assert parse_vmstat(b"nr_free_pages 5\npgfault 7\npgscan_direct 2\npgscan_anon 9\n", "f") == {
        "pgfault": 7,
        "pgscan_direct": 2,
    }
    with pytest.raises(ParseError, match="pgfault many"):
        parse_vmstat(b"pgfault many\n", "f")


@pytest.mark.parametrize(("parse", "content"), [(parse_mm_stat, b"1 2"), (parse_arcstats, b"size 4 x\nc_min 4 1\n")])
def test_malformed_devices_are_refused(parse: object, content: bytes) -> None:
    assert callable(parse)
    with pytest.raises(ParseError):
        parse(content, "f")


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Za-z_()]{0,20}", fullmatch=True), st.integers(0, 2**50)))
def test_what_is_written_well_is_read_back(values: dict[str, int]) -> None:
    values |= {"MemTotal": 5}
    text = "".join(f"{name}: {value:>12} kB\n" for name, value in values.items())

    assert parse_meminfo(text.encode(), "f") == {name: value * 1024 for name, value in values.items()}


@given(st.binary() | st.binary().map(lambda tail: b"MemTotal: 1 kB\n" + tail) | st.binary().map(b"pgfault ".__add__))
def test_arbitrary_bytes_are_refused_or_read(content: bytes) -> None:
    for parse in (parse_meminfo, parse_vmstat, parse_mm_stat, parse_arcstats):
        try:
            parse(content, "f")
        except ParseError:
            continue


def test_a_zram_device_that_was_removed_is_passed_over(tmp_path: Path) -> None:
    roots = make_roots(
        tmp_path,
        {"proc/meminfo": "MemTotal: 1 kB\n", "proc/vmstat": "", "sys/block/zram0/mm_stat": "3 2 1\n"},
    )
    collector = MemoryCollector(roots)
    before = collector.collect()
    collector.close()
    (tmp_path / "sys/block/zram0/mm_stat").unlink()
    after = collector.collect()
    collector.close()

    assert [device.original_bytes for device in before.zram] == [3]
    assert after.zram == ()
    assert after.arc is None


def test_this_machine_agrees_with_free() -> None:
    if shutil.which("free") is None:
        pytest.skip("free(1) of procps is not installed")
    collector = MemoryCollector(Roots())
    meminfo = collector.collect().meminfo
    collector.close()
    line = subprocess.run(["free", "-b"], capture_output=True, text=True, check=True).stdout.splitlines()[1].split()

    assert int(line[1]) == meminfo["MemTotal"]
    assert int(line[-1]) == pytest.approx(meminfo["MemAvailable"], abs=0.05 * meminfo["MemTotal"])
