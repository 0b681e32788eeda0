"""The network: what a snapshot says of it."""

from dataclasses import dataclass


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
    """All interfaces of the daemon's network namespace, and its sockets."""

    interfaces: dict[str, Interface]
    """Keyed by interface name, sorted."""
    sockets: Sockets | None
    """Sockets in use."""
    receive_bytes_per_second: float | None
    """Sum over all interfaces but the loopback."""
    transmit_bytes_per_second: float | None
    """Sum over all interfaces but the loopback."""
