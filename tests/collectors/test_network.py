import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.base import Roots
from resourced.collectors.network import Link, NetworkCollector, Traffic, parse_net_dev, parse_sockstat
from resourced.errors import ParseError
from tests.collectors.host_fakes import make_roots

HEAD = "Inter-|   Receive  |  Transmit\n face |bytes packets |bytes packets\n"
COUNTERS = " 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"


def test_a_name_may_touch_its_first_counter() -> None:
    content = f"{HEAD}  eth0:{COUNTERS}a.b-c:d:{COUNTERS.lstrip()}".encode()

    assert parse_net_dev(content, "f") == dict.fromkeys(("eth0", "a.b-c:d"), Traffic(1, 2, 3, 4, 5, 6, 7, 8))


@pytest.mark.parametrize("line", ["eth0: 1 2 3\n", "eth0: x" + COUNTERS, "eth0\n"])
def test_a_malformed_line_is_refused(line: str) -> None:
    with pytest.raises(ParseError, match="sixteen"):
        parse_net_dev((HEAD + line).encode(), "/proc/net/dev")


@pytest.mark.parametrize("line", [b"TCP: inuse\n", b"TCP: inuse x\n", b"\n", b"\xff: a 1\n"])
def test_a_malformed_sockstat_is_refused(line: bytes) -> None:
    with pytest.raises(ParseError, match="sockstat"):
        parse_sockstat(line, "/proc/net/sockstat")


@given(st.dictionaries(st.from_regex(r"[a-z0-9.@:_-]{1,15}", fullmatch=True), st.tuples(*[st.integers(0, 2**64)] * 16)))
def test_what_is_written_well_is_read_back(interfaces: dict[str, tuple[int, ...]]) -> None:
    text = HEAD + "".join(f"{name:>6}: {' '.join(map(str, row))}\n" for name, row in interfaces.items())

    found = parse_net_dev(text.encode(), "f")

    assert found == {name: Traffic(*row[:4], *row[8:12]) for name, row in interfaces.items()}


@given(st.binary() | st.binary().map(lambda tail: HEAD.encode() + tail) | st.binary().map(b"TCP: inuse ".__add__))
def test_arbitrary_bytes_are_refused_or_read(content: bytes) -> None:
    for parse in (parse_net_dev, parse_sockstat):
        try:
            parse(content, "f")
        except ParseError:
            continue


def test_the_link_is_looked_at_anew_when_its_state_changes(tmp_path: Path) -> None:
    nic = "sys/class/net/eth0"
    files = {"proc/net/dev": f"{HEAD}eth0:{COUNTERS}", f"{nic}/speed": "-1\n", f"{nic}/operstate": "down\n"}
    collector = NetworkCollector(make_roots(tmp_path, files))
    down = collector.collect()
    (tmp_path / nic / "speed").write_text("10000\n")
    still = collector.collect()
    (tmp_path / nic / "operstate").write_text("up\n")
    up = collector.collect()
    (tmp_path / "proc/net/dev").write_text(HEAD)
    gone = collector.collect()
    collector.close()

    assert [s.interfaces["eth0"].link.speed_bits_per_second for s in (down, still, up)] == [None, None, 10**10]
    assert (down.interfaces["eth0"].state, up.interfaces["eth0"].state) == ("down", "up")
    assert gone.interfaces == {}
    assert gone.sockets is None


def test_interfaces_with_a_device_are_physical(tmp_path: Path) -> None:
    names, nics = ("eth0", "bond0", "lo"), "sys/class/net"
    files = {"proc/net/dev": HEAD + "".join(f"{name}:{COUNTERS}" for name in names), f"{nics}/bond0/mtu": "1500\n"}
    collector = NetworkCollector(make_roots(tmp_path, files | {f"{nics}/eth0/device/vendor": "0x8086\n"}))
    found = collector.collect().interfaces
    collector.close()

    assert [name for name in names if found[name].link.physical] == ["eth0"]


def test_sockets_of_both_families_are_added_and_ipv6_may_be_missing(tmp_path: Path) -> None:
    files = {"proc/net/dev": HEAD, "proc/net/sockstat": "sockets: used 9\nTCP: inuse 2 orphan 1 tw 3 mem 5\n"}
    collector = NetworkCollector(make_roots(tmp_path, files), page_size_bytes=4096)
    four = collector.collect().sockets
    make_roots(tmp_path, {"proc/net/sockstat6": "TCP6: inuse 4\n"})
    both = collector.collect().sockets
    collector.close()

    assert four is not None
    assert both is not None
    assert (four.tcp_in_use, both.tcp_in_use, both.tcp_memory_bytes) == (2, 6, 5 * 4096)
    assert both.udp_in_use is None


def test_this_machine_agrees_with_ip() -> None:
    if shutil.which("ip") is None:
        pytest.skip("ip(8) of iproute2 is not installed")
    collector = NetworkCollector(Roots(), ignored=())
    before = collector.collect()
    answer = subprocess.run(["ip", "-s", "-j", "link"], capture_output=True, text=True, check=True).stdout
    after = collector.collect()
    collector.close()

    for link in json.loads(answer):
        stats = link.get("stats64") or link["stats"]
        name = link["ifname"]
        low, high = before.interfaces[name].traffic, after.interfaces[name].traffic
        assert low.receive_bytes <= stats["rx"]["bytes"] <= high.receive_bytes
        assert low.transmit_packets <= stats["tx"]["packets"] <= high.transmit_packets


def test_the_machines_interfaces_are_read_and_not_those_of_a_confined_service(tmp_path: Path) -> None:
    files = {"proc/1/net/dev": f"{HEAD}eth0:{COUNTERS}", "proc/net/dev": f"{HEAD}lo:{COUNTERS}"}
    collector = NetworkCollector(make_roots(tmp_path, files))
    found = collector.collect()
    collector.close()

    assert list(found.interfaces) == ["eth0"]


def test_links_are_told_of_where_the_services_own_sys_has_none(tmp_path: Path) -> None:
    """As under systemd 254 and later, which gives a network namespace a /sys of its own."""
    files = {
        "proc/1/net/dev": f"{HEAD}eth0:{COUNTERS}lo:{COUNTERS}",
        "proc/1/root/sys/class/net/eth0/operstate": "up\n",
        "proc/1/root/sys/class/net/eth0/speed": "1000\n",
        "proc/1/root/sys/class/net/eth0/device/vendor": "0x8086\n",
        "proc/1/root/sys/class/net/lo/operstate": "unknown\n",
        "sys/class/net/lo/operstate": "down\n",
    }
    collector = NetworkCollector(make_roots(tmp_path, files))
    found = collector.collect().interfaces
    collector.close()

    assert found["eth0"].state == "up"
    assert found["eth0"].link == Link(10**9, None, physical=True)
    assert found["lo"].state == "down", "its own is asked first"


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces take root")
def test_in_a_network_namespace_with_a_sys_of_its_own_the_machines_links_are_read() -> None:
    """By hand what systemd does for the service; a shell of ours stands for process 1."""
    program = (
        "from resourced.collectors.base import Roots\n"
        "from resourced.collectors.network import NetworkCollector\n"
        "found = NetworkCollector(Roots(), ignored=()).collect().interfaces\n"
        "print(*(f'{name}={interface.link.mtu_bytes}' for name, interface in found.items()))"
    )
    confined = f"mount -t sysfs sysfs /sys && {shlex.join([sys.executable, '-c', program])}"
    first = f"unshare --net --mount sh -c {shlex.quote(confined)}; true"  # so that the shell stays
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c"]
    if subprocess.run([*command, "unshare --net --mount mount -t sysfs sysfs /sys"], check=False).returncode:
        pytest.skip("no namespaces can be made here")
    done = subprocess.run([*command, first], capture_output=True, text=True, check=True)
    expected = {path.parent.name: path.read_text().strip() for path in Path("/sys/class/net").glob("*/mtu")}

    assert dict(word.split("=") for word in done.stdout.split()) == expected
