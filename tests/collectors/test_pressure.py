import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.base import Roots
from resourced.collectors.pressure import PressureCollector, StallSample, parse_pressure
from resourced.errors import ParseError, Unavailable
from tests.collectors.host_fakes import make_roots

SOME = "some avg10=1.50 avg60=2.00 avg300=100.00 total=2500000\n"


def test_percent_and_microseconds_become_shares_and_seconds() -> None:
    found = parse_pressure(SOME.encode(), "f")

    assert found.some == StallSample(0.015, 0.02, 1.0, 2.5)
    assert found.full is None


def test_lines_of_kinds_that_are_new_are_passed_over() -> None:
    assert parse_pressure(b"most avg10=9\n" + SOME.encode(), "f").some is not None


@pytest.mark.parametrize("content", [b"", b"some\n", b"some avg10=nan avg60=0 avg300=0 total=0\n", b"none\n"])
def test_a_malformed_file_is_refused_with_its_name(content: bytes) -> None:
    with pytest.raises(ParseError, match="/proc/pressure/io"):
        parse_pressure(content, "/proc/pressure/io")


@given(st.tuples(*[st.integers(0, 10000)] * 3), st.integers(0, 2**64 - 1))
def test_what_is_written_well_is_read_back(averages: tuple[int, int, int], total: int) -> None:
    ten, sixty, threehundred = (f"{value // 100}.{value % 100:02d}" for value in averages)

    found = parse_pressure(f"full avg10={ten} avg60={sixty} avg300={threehundred} total={total}\n".encode(), "f").full

    assert found is not None
    assert found.avg10_share == pytest.approx(averages[0] / 10000)
    assert found.total_seconds == total / 1e6


@given(st.binary() | st.binary().map(b"some avg10=".__add__) | st.binary().map(lambda tail: SOME.encode() + tail))
def test_arbitrary_bytes_are_refused_or_read(content: bytes) -> None:
    try:
        parse_pressure(content, "f")
    except ParseError:
        return


def test_a_kernel_without_pressure_is_told_apart_from_one_without_a_resource(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="psi=1"):
        PressureCollector(Roots(proc=tmp_path)).collect()
    collector = PressureCollector(make_roots(tmp_path, {"proc/pressure/memory": SOME}))
    sample = collector.collect()
    collector.close()

    assert sample.cpu is sample.io is None
    assert sample.memory is not None


@pytest.mark.parametrize(("number", "raised"), [(errno.EOPNOTSUPP, Unavailable), (errno.EIO, OSError)])
def test_switched_off_is_unavailable_and_a_failed_read_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, number: int, raised: type[Exception]
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(raised):
        PressureCollector(Roots()).collect()
