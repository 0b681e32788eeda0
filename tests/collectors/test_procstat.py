"""The parsers of /proc/PID against what the kernel may write, and against what it never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.procstat import (
    parse_cgroup,
    parse_io,
    parse_number,
    parse_stat,
    parse_status,
)
from resourced.errors import ParseError

_numbers = st.integers(0, 2**63 - 1)


def stat_line(pid: int, name: bytes, numbers: list[int], state: bytes = b"S") -> bytes:
    return b"%d (%b) %b %b\n" % (pid, name, state, b" ".join(b"%d" % n for n in numbers))


@given(
    pid=st.integers(1, 4194304),
    name=st.binary(max_size=64).filter(lambda name: b") " not in name + b")"),
    state=st.sampled_from([b"R", b"S", b"D", b"Z", b"T", b"t", b"I"]),
    numbers=st.lists(_numbers, min_size=49, max_size=49),
)
def test_whatever_a_process_is_called_its_numbers_are_found(
    pid: int, name: bytes, state: bytes, numbers: list[int]
) -> None:
    stat = parse_stat(stat_line(pid, name, numbers, state), "f")
    assert (stat.pid, stat.name, stat.state) == (pid, name.decode(errors="replace"), state.decode())
    # fields 4, 6, 12, 14+15, 19, 20, 22, 23, 24 of proc_pid_stat(5); the list begins with field 4
    assert stat.ppid == numbers[0]
    assert stat.session == numbers[2]
    assert stat.kernel_thread == bool(numbers[5] & 0x200000)
    assert stat.major_faults == numbers[8]
    assert stat.cpu_ticks == numbers[10] + numbers[11]
    assert stat.nice == numbers[15]
    assert stat.threads == numbers[16]
    assert stat.start_time_ticks == numbers[18]
    assert stat.virtual_bytes == numbers[19]
    assert stat.resident_pages == numbers[20]


@pytest.mark.parametrize("name", [b"a b", b"(sd-pam)", b"x) R 1", b"new\nline", b"\xff\xfe", b"", b")"])
def test_names_that_look_like_fields(name: bytes) -> None:
    assert parse_stat(stat_line(7, name, list(range(49))), "f").name == name.decode(errors="replace")


@given(st.binary(max_size=400))
def test_rubbish_is_a_parse_error_that_names_the_file(raw: bytes) -> None:
    for parse in (parse_stat, parse_status, parse_io, parse_number):
        try:
            parse(raw, "/proc/1/x")
        except ParseError as error:
            assert str(error).startswith("/proc/1/x: expected")  # noqa: PT017 - most inputs raise, some may parse
    parse_cgroup(raw)


def test_status_gives_the_real_user_and_swap_in_bytes() -> None:
    text = b"Name:\tx\nUid:\t1000\t0\t0\t0\nVmSwap:\t     12 kB\nThreads:\t1\n"
    assert parse_status(text, "f") == (1000, 12 * 1024)
    assert parse_status(b"Name:\tkthread\nUid:\t0\t0\t0\t0\n", "f") == (0, None)


@pytest.mark.parametrize("name", [b"Uid:x", b"Uid:0", b"Uid:\t0", b"VmSwap:", b"VmSwap:9"])
def test_a_name_that_looks_like_a_line_of_status_is_none(name: bytes) -> None:
    text = b"Name:\t%b\nUid:\t1000\t0\t0\t0\nVmSwap:\t12 kB\n" % name
    assert parse_status(text, "f") == (1000, 12 * 1024)
    assert parse_status(b"Name:\t%b\n" % name, "f") == (None, None)


def test_io_gives_what_reached_devices() -> None:
    text = b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n"
    assert parse_io(text, "f") == (5, 6)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b"0::/system.slice/x.service\n", "/system.slice/x.service"),
        (b"12:cpu:/a\n1:name=systemd:/b\n0::/c\n", "/c"),
        (b"12:cpu:/a\n1:name=systemd:/b\n", None),
        (b"0::/gone (deleted)\n", "/gone"),
        (b"1:name=systemd:/u\r0::/forged\n0::/u\r0::/forged\n", "/u\r0::/forged"),
    ],
)
def test_the_path_in_the_v2_tree(text: bytes, path: str | None) -> None:
    assert parse_cgroup(text) == path
