"""The network: what a snapshot says of it."""

from dataclasses import dataclass

from resourced.collectors.base import Taken
from resourced.collectors.network import InterfaceSample, NetworkSample, SocketsSample, Traffic
from resourced.quantities import rate, share


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface, from /proc/net/dev and /sys/class/net/NAME."""

    receive_bytes: int
    """Bytes received since the interface appeared."""
    transmit_bytes: int
    """Bytes sent since the interface appeared."""
    receive_packets: int
    """Packets received."""
    transmit_packets: int
    """Packets sent."""
    receive_errors: int
    """Bad packets received."""
    transmit_errors: int
    """Packets that could not be sent."""
    receive_drops: int
    """Packets received and dropped."""
    transmit_drops: int
    """Packets dropped on the way out."""
    receive_bytes_per_second: float | None
    """Bytes a second received over the last interval."""
    transmit_bytes_per_second: float | None
    """Bytes a second sent over the last interval."""
    receive_packets_per_second: float | None
    """Packets a second received."""
    transmit_packets_per_second: float | None
    """Packets a second sent."""
    receive_errors_per_second: float | None
    """Bad packets a second received."""
    transmit_errors_per_second: float | None
    """Packets a second that could not be sent."""
    receive_drops_per_second: float | None
    """Packets a second received and dropped."""
    transmit_drops_per_second: float | None
    """Packets a second dropped on the way out."""
    link_speed_bits_per_second: int | None
    """Speed of the link; null where the driver doesn't tell or the link is down."""
    state: str | None
    """RFC 2863 state from operstate: up, down, dormant, unknown, …"""
    mtu_bytes: int | None
    """Largest packet."""
    utilization: float | None
    """Busier direction's share of the link speed, 0-1; null where the speed is unknown."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """Sockets in use, from /proc/net/sockstat and sockstat6."""

    used: int | None
    """Sockets of all kinds."""
    tcp_in_use: int | None
    """TCP sockets, both address families."""
    tcp_orphan: int | None
    """TCP sockets that no process holds."""
    tcp_time_wait: int | None
    """TCP sockets in TIME_WAIT."""
    tcp_memory_bytes: int | None
    """Memory of TCP buffers."""
    udp_in_use: int | None
    """UDP sockets, both address families."""


@dataclass(frozen=True, slots=True)
class Network:
    """All interfaces of the machine, and its sockets."""

    interfaces: dict[str, Interface]
    """Keyed by interface name, sorted."""
    sockets: Sockets | None
    """Sockets in use."""
    receive_bytes_per_second: float | None
    """Sum over the physical interfaces; where none is (a container), over all but the loopback."""
    transmit_bytes_per_second: float | None
    """Sum over the same interfaces."""


def derive_network(before: Taken[NetworkSample] | None, now: Taken[NetworkSample], previous: Network | None) -> Network:
    """Return the network section; an interface that is new, or whose counters were reset, has no rates this time."""
    del previous
    elapsed_s = now.seconds_since(before)
    old = before.sample.interfaces if before else {}
    interfaces = {}
    for name, sample in now.sample.interfaces.items():
        known = old.get(name)
        interfaces[name] = _interface(known.traffic if known else None, sample, elapsed_s)
    physical = [name for name, sample in now.sample.interfaces.items() if sample.link.physical]
    outer = [interfaces[name] for name in physical or [name for name in interfaces if name != "lo"]]
    return Network(
        interfaces=interfaces,
        sockets=_sockets(now.sample.sockets),
        receive_bytes_per_second=_sum([interface.receive_bytes_per_second for interface in outer]),
        transmit_bytes_per_second=_sum([interface.transmit_bytes_per_second for interface in outer]),
    )


def _interface(before: Traffic | None, now: InterfaceSample, elapsed_s: float) -> Interface:
    new = now.traffic
    received = rate(before.receive_bytes if before else None, new.receive_bytes, elapsed_s)
    sent = rate(before.transmit_bytes if before else None, new.transmit_bytes, elapsed_s)
    speed = now.link.speed_bits_per_second if now.state != "down" else None
    busier = max(received, sent) * 8 if received is not None and sent is not None else None
    return Interface(
        receive_bytes=new.receive_bytes,
        transmit_bytes=new.transmit_bytes,
        receive_packets=new.receive_packets,
        transmit_packets=new.transmit_packets,
        receive_errors=new.receive_errors,
        transmit_errors=new.transmit_errors,
        receive_drops=new.receive_drops,
        transmit_drops=new.transmit_drops,
        receive_bytes_per_second=received,
        transmit_bytes_per_second=sent,
        receive_packets_per_second=rate(before.receive_packets if before else None, new.receive_packets, elapsed_s),
        transmit_packets_per_second=rate(before.transmit_packets if before else None, new.transmit_packets, elapsed_s),
        receive_errors_per_second=rate(before.receive_errors if before else None, new.receive_errors, elapsed_s),
        transmit_errors_per_second=rate(before.transmit_errors if before else None, new.transmit_errors, elapsed_s),
        receive_drops_per_second=rate(before.receive_drops if before else None, new.receive_drops, elapsed_s),
        transmit_drops_per_second=rate(before.transmit_drops if before else None, new.transmit_drops, elapsed_s),
        link_speed_bits_per_second=speed,
        state=now.state,
        mtu_bytes=now.link.mtu_bytes,
        utilization=share(busier, speed),
    )


def _sockets(sample: SocketsSample | None) -> Sockets | None:
    if sample is None:
        return None
    return Sockets(
        used=sample.used,
        tcp_in_use=sample.tcp_in_use,
        tcp_orphan=sample.tcp_orphan,
        tcp_time_wait=sample.tcp_time_wait,
        tcp_memory_bytes=sample.tcp_memory_bytes,
        udp_in_use=sample.udp_in_use,
    )


def _sum(rates: list[float | None]) -> float | None:
    """Return the sum of what is known, or None if nothing is."""
    known = [value for value in rates if value is not None]
    return sum(known) if known else None
