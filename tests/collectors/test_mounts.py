import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.mounts import Mount, choose, parse_mountinfo
from resourced.errors import ParseError
from resourced.names import raw_of


def mount(path: str, kind: str = "ext4", number: str = "8:1", *, read_only: bool = False) -> Mount:
    return Mount(number, path, kind, "/dev/sda1", read_only)


def test_escapes_and_optional_fields() -> None:
    found = parse_mountinfo(
        rb"36 35 98:0 /mnt1 /a\040b\134c\012 rw,noatime master:1 shared:2 - nfs4 srv:/a\040b ro,vers=4" + b"\n", "f"
    )

    assert found == [Mount("98:0", "/a b\\c\n", "nfs4", "srv:/a b", read_only=True)]


def test_an_empty_device_and_a_mount_that_is_read_only_by_itself() -> None:
    found = parse_mountinfo(b"36 35 0:5 / /x ro - tmpfs  rw,size=4k\n", "f")

    assert (found[0].device, found[0].read_only) == ("", False)


@pytest.mark.parametrize("line", ["36 35 98:0 / /x rw", "- a b c", "36 35 98:0 / /x rw - ext4 /dev/sda"])
def test_a_malformed_line_is_refused(line: str) -> None:
    with pytest.raises(ParseError, match="mountinfo"):
        parse_mountinfo(line.encode(), "/proc/self/mountinfo")


@given(st.binary() | st.binary().map(b"1 2 3:4 / /x rw - ".__add__))
def test_arbitrary_bytes_are_refused_or_read(content: bytes) -> None:
    try:
        choose(parse_mountinfo(content, "f"))
    except ParseError:
        return


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_any_name_is_read_back_from_the_kernels_escapes(name: bytes) -> None:
    escaped = b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes((byte,)) for byte in name)

    found = parse_mountinfo(b"1 2 3:4 / /%b rw - ext4 /dev/sda1 rw\n" % escaped, "f")

    assert raw_of(found[0].path) == b"/" + name


@pytest.mark.parametrize(
    ("kind", "path", "read_only", "kept"),
    [
        ("proc", "/proc", False, False),
        ("squashfs", "/snap/core/1", True, False),
        ("tmpfs", "/run/credentials/x", True, False),
        ("tmpfs", "/tmp", False, True),
        ("tmpfs", "/sys/fs/cgroup", False, False),
        ("overlay", "/", False, True),
        ("overlay", "/var/lib/x/merged", False, False),
        ("autofs", "/net", False, False),
        ("fuse.sshfs", "/home/a", False, True),
        ("ext4", "/", True, True),
    ],
)
def test_what_holds_data_is_kept(kind: str, path: str, read_only: bool, kept: bool) -> None:  # noqa: FBT001 - a table
    assert bool(choose([mount(path, kind, read_only=read_only)])) is kept


def test_of_bind_mounts_the_shortest_path_and_of_stacked_mounts_the_last_are_kept() -> None:
    found = choose(
        [mount("/srv/b"), mount("/srv"), mount("/etc/x"), mount("/m", number="8:2"), mount("/m", "xfs", "8:3")]
    )

    assert [(m.path, m.number) for m in found] == [("/m", "8:3"), ("/srv", "8:1")]


@pytest.mark.parametrize(("kind", "remote"), [("nfs4", True), ("fuse.sshfs", True), ("9p", True), ("xfs", False)])
def test_what_depends_on_others_is_remote(kind: str, remote: bool) -> None:  # noqa: FBT001 - a table
    assert mount("/x", kind).remote is remote
