from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.base import Roots
from resourced.collectors.disk import DiskCollector, parse_device, split_diskstats
from resourced.errors import ParseError
from tests.collectors.host_fakes import make_roots

LINE = " 8 0 {} 10 0 4 2000 20 0 6 3000 1 4000 5000"


def test_sectors_and_milliseconds_become_bytes_and_seconds() -> None:
    device = parse_device(LINE.format("sda").encode(), "f")

    assert (device.read_bytes, device.write_bytes) == (2048, 3072)
    assert (device.read_seconds, device.write_seconds, device.busy_seconds, device.queue_seconds) == (2, 3, 4, 5)
    assert (device.read_operations, device.write_operations, device.in_flight) == (10, 20, 1)
    assert device.discard_bytes is None
    assert parse_device(LINE.format("sda").encode() + b" 1 0 2 9 0 0", "f").discard_bytes == 1024


@pytest.mark.parametrize("line", ["8 0 sda", "8 0 sda 1 2 3", LINE.format("sda").replace("4000", "x")])
def test_a_malformed_line_is_refused(line: str) -> None:
    with pytest.raises(ParseError, match="/proc/diskstats"):
        parse_device(line.encode(), "/proc/diskstats")


@given(st.lists(st.integers(0, 2**63), min_size=11, max_size=17))
def test_what_is_written_well_is_read_back(numbers: list[int]) -> None:
    lines = split_diskstats(f"   8       0 sda {' '.join(map(str, numbers))}\n".encode())

    device = parse_device(lines[b"sda"], "f")

    assert (device.read_operations, device.write_operations) == (numbers[0], numbers[4])
    assert device.read_bytes == numbers[2] * 512


@given(st.binary() | st.binary().map(LINE.format("sda").encode().__add__))
def test_arbitrary_bytes_are_refused_or_read(content: bytes) -> None:
    for line in split_diskstats(content).values():
        try:
            parse_device(line, "f")
        except ParseError:
            continue


def test_only_whole_devices_with_a_medium_are_read_and_new_ones_noticed(tmp_path: Path) -> None:
    names = ("sdb", "sda", "sda1", "loop0", "ram0", "sr0", "cciss/c0d0")
    sizes = {"sda": 9, "sdb": 9, "loop0": 9, "ram0": 9, "sr0": 0, "cciss!c0d0": 9}
    files = {f"sys/block/{name}/size": f"{size}\n" for name, size in sizes.items()}
    files["proc/diskstats"] = "\n".join(LINE.format(name) for name in names[1:])
    collector = DiskCollector(make_roots(tmp_path, files))
    before = collector.collect()
    (tmp_path / "proc/diskstats").write_text("\n".join(LINE.format(name) for name in names))
    after = collector.collect()
    collector.close()

    assert list(before.devices) == ["cciss/c0d0", "sda"]
    assert list(after.devices) == ["cciss/c0d0", "sda", "sdb"]


def test_this_machine_has_the_devices_that_sysfs_lists() -> None:
    collector = DiskCollector(Roots())
    devices = collector.collect().devices
    collector.close()

    for name, device in devices.items():
        stat = (Path("/sys/block") / name.replace("/", "!") / "stat").read_text().split()
        assert 0 <= int(stat[0]) - device.read_operations < 10_000
