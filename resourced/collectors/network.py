"""Network interfaces and sockets: /proc/1/net/dev, sockstat and sockstat6, and /sys/class/net/NAME of process 1.

Process 1 and not the daemon itself: as a confined service it has a network namespace of its own, with nothing in it.

https://docs.kernel.org/networking/statistics.html
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from resourced.collectors.base import KeptFile, Roots, read_int
from resourced.collectors.rarely import Rarely
from resourced.errors import ParseError, Unavailable
from resourced.names import name_of, raw_of

IGNORED = ("veth*",)
"""Interfaces that are left out by default: one a container, and the bridge behind them counts the same."""

_LINK_SECONDS = 60.0  # asking a driver for its speed takes a lock of the whole network stack


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counters of one interface since it appeared."""

    receive_bytes: int
    receive_packets: int
    receive_errors: int
    receive_drops: int
    transmit_bytes: int
    transmit_packets: int
    transmit_errors: int
    transmit_drops: int


@dataclass(frozen=True, slots=True)
class Link:
    """What hardly changes of one interface; None where the driver doesn't tell."""

    speed_bits_per_second: int | None
    mtu_bytes: int | None
    physical: bool = False
    """Whether a device is behind it; bonds, bridges, VLANs and tunnels have none, and count what passes others."""


@dataclass(frozen=True, slots=True)
class InterfaceSample:
    """One interface."""

    traffic: Traffic
    link: Link
    state: str | None
    """operstate, or None if it can't be read."""


@dataclass(frozen=True, slots=True)
class SocketsSample:
    """Sockets in use; None for what this kernel doesn't tell."""

    used: int | None
    tcp_in_use: int | None
    tcp_orphan: int | None
    tcp_time_wait: int | None
    tcp_memory_bytes: int | None
    udp_in_use: int | None


@dataclass(frozen=True, slots=True)
class NetworkSample:
    """The network at one moment."""

    interfaces: dict[str, InterfaceSample]
    """Keyed by name, sorted."""
    sockets: SocketsSample | None


def parse_net_dev(content: bytes, source: str) -> dict[str, Traffic]:
    """Return the counters of all interfaces, keyed by name.

    Raises:
        ParseError: A line after the two of the heading is not a name, a colon and sixteen whole numbers.
    """
    interfaces: dict[str, Traffic] = {}
    for line in content.split(b"\n")[2:]:
        if not line:
            continue
        name, _, counters = line.rpartition(b":")
        try:
            (
                *receive,  # bytes, packets, errs, drop, fifo, frame, compressed, multicast
                sent_bytes,
                sent_packets,
                sent_errors,
                sent_drops,
                _fifo,
                _collisions,
                _carrier,
                _compressed,
            ) = map(int, counters.split())
            received_bytes, received_packets, received_errors, received_drops, *_ = receive
        except ValueError as error:
            wanted = "an interface's name, a colon and sixteen whole numbers"
            raise ParseError(source, line.decode(errors="replace"), wanted) from error
        interfaces[name_of(name.strip())] = Traffic(
            received_bytes,
            received_packets,
            received_errors,
            received_drops,
            sent_bytes,
            sent_packets,
            sent_errors,
            sent_drops,
        )
    return interfaces


def parse_sockstat(content: bytes, source: str) -> dict[str, dict[str, int]]:
    """Return sockstat or sockstat6: for each line its pairs of name and number ("TCP" -> "inuse" -> 3).

    Raises:
        ParseError: A line is not a name, a colon and such pairs.
    """
    table: dict[str, dict[str, int]] = {}
    for line in content.splitlines():
        try:
            name, *words = line.decode().split()
            table[name.rstrip(":")] = dict(zip(words[::2], map(int, words[1::2]), strict=True))
        except ValueError as error:
            wanted = "a name and pairs of a word and a whole number"
            raise ParseError(source, line.decode(errors="replace"), wanted) from error
    return table


def _directory_of(roots: Roots, name: str) -> Path:
    """Return where /sys tells of an interface.

    systemd 254 and later give a service that has a network namespace of its own a /sys of that namespace as well. Then
    the machine's is that of process 1, for who may look there.
    """
    below = Path("class/net", os.fsdecode(raw_of(name)))
    own, of_first = roots.sys / below, roots.proc / "1/root/sys" / below
    return of_first if not _exists(own) and _exists(of_first) else own


class _Interface:
    """What is kept of one interface between samples."""

    __slots__ = ("_directory", "_operstate", "_state", "link")

    def __init__(self, roots: Roots, name: str) -> None:
        self._directory = _directory_of(roots, name)
        self._operstate = KeptFile(self._directory / "operstate", one_record=True)
        self._state: str | None = None
        self.link = Rarely(self._read_link, _LINK_SECONDS)

    def state(self) -> str | None:
        """Return operstate. When it changes the link is looked at anew."""
        try:
            state = self._operstate.read().decode(errors="replace").strip() or None
        except (OSError, Unavailable):
            state = None
        if state != self._state:
            self._state = state
            self.link.expire()
        return state

    def _read_link(self) -> Link:
        speed = read_int(self._directory / "speed")
        # Drivers that don't know say -1, 0, or the same as an unsigned number of 16 or 32 bits.
        known = speed is not None and speed > 0 and speed not in (0xFFFF, 0xFFFFFFFF)
        bits = speed * 10**6 if speed is not None and known else None
        return Link(bits, read_int(self._directory / "mtu"), _exists(self._directory / "device"))

    def close(self) -> None:
        self._operstate.close()


class NetworkCollector:
    """Reads the interfaces and sockets of the machine, which are those of process 1; our own if it hides them.

    Args:
        roots: Where /proc and /sys are.
        ignored: Patterns of interface names that are left out.
        page_size_bytes: Size of a page in sockstat; by default this kernel's.
    """

    name = "network"

    def __init__(self, roots: Roots, ignored: Sequence[str] = IGNORED, page_size_bytes: int | None = None) -> None:
        self._roots = roots
        self._ignored = tuple(ignored)
        self._page_size_bytes = page_size_bytes or os.sysconf("SC_PAGE_SIZE")
        net = roots.proc / ("1/net" if _can_read(roots.proc / "1/net/dev") else "net")
        self._dev = KeptFile(net / "dev")
        self._sockstat = KeptFile(net / "sockstat")
        self._sockstat6 = KeptFile(net / "sockstat6")
        self._sources = str(self._dev.path), str(self._sockstat.path), str(self._sockstat6.path)
        self._known: dict[str, _Interface | None] = {}

    def collect(self) -> NetworkSample:
        traffic = parse_net_dev(self._dev.read(), self._sources[0])
        if traffic.keys() != self._known.keys():
            self._adopt(sorted(traffic))
        interfaces = {}
        for name, known in self._known.items():
            if known is not None:
                state = known.state()
                interfaces[name] = InterfaceSample(traffic[name], known.link.get(), state)
        return NetworkSample(interfaces, self._sockets())

    def _adopt(self, names: list[str]) -> None:
        """Forget the interfaces that are gone, and get to know the new ones."""
        for name, known in self._known.items():
            if known is not None and name not in names:
                known.close()
        self._known = {name: self._known.get(name) or self._meet(name) for name in names}

    def _meet(self, name: str) -> _Interface | None:
        return None if any(fnmatchcase(name, pattern) for pattern in self._ignored) else _Interface(self._roots, name)

    def _sockets(self) -> SocketsSample | None:
        try:
            four = parse_sockstat(self._sockstat.read(), self._sources[1])
        except Unavailable:
            return None
        try:
            six = parse_sockstat(self._sockstat6.read(), self._sources[2])
        except Unavailable:  # IPv6 is not compiled in
            six = {}
        tcp = four.get("TCP", {})
        pages = tcp.get("mem")
        return SocketsSample(
            used=four.get("sockets", {}).get("used"),
            tcp_in_use=_both(tcp, six.get("TCP6", {})),
            tcp_orphan=tcp.get("orphan"),
            tcp_time_wait=tcp.get("tw"),
            tcp_memory_bytes=pages * self._page_size_bytes if pages is not None else None,
            udp_in_use=_both(four.get("UDP", {}), six.get("UDP6", {})),
        )

    def close(self) -> None:
        for file in (self._dev, self._sockstat, self._sockstat6):
            file.close()
        for known in self._known.values():
            if known is not None:
                known.close()


def _can_read(path: Path) -> bool:
    """Tell by trying: access(2) asks without capabilities, and they are what lets the service see process 1."""
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _exists(path: Path) -> bool:
    """Return whether there is such a file that may be looked at."""
    try:
        return path.exists()
    except OSError:
        return False


def _both(four: dict[str, int], six: dict[str, int]) -> int | None:
    return four["inuse"] + six.get("inuse", 0) if "inuse" in four else None
