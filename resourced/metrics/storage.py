"""Metrics of disks, file systems and the network."""

from resourced.metrics.model import Field, Metric, counter, fields, gauge

_DISKSTATS, _MOUNTS, _NETDEV = "/proc/diskstats", "statvfs(2)", "/proc/net/dev"
_DEVICE, _MOUNT, _NIC = "system.device", "system.filesystem.mountpoint", "network.interface.name"


def _both(section: str, what: str, label: str, words: tuple[str, str]) -> tuple[Field, ...]:
    return fields(label, {word: f"{section}.*.{word}_{what}" for word in words})


_RW, _RT = ("read", "write"), ("receive", "transmit")
_DISKS, _NICS = "disk.devices", "network.interfaces"

_DISK: tuple[Metric, ...] = (
    counter(
        "system.disk.io",
        "By",
        _both(_DISKS, "bytes", "disk.io.direction", _RW),
        "Bytes read and written since boot.",
        _DISKSTATS,
        label=_DEVICE,
        alias=("disk.read", "disk.write"),
    ),
    counter(
        "system.disk.operations",
        "{operation}",
        _both(_DISKS, "operations", "disk.io.direction", _RW),
        "Reads and writes completed since boot.",
        _DISKSTATS,
        label=_DEVICE,
        alias=("disk.reads", "disk.writes"),
    ),
    counter(
        "system.disk.operation_time",
        "s",
        _both(_DISKS, "seconds", "disk.io.direction", _RW),
        "Seconds spent by all reads and writes since boot.",
        _DISKSTATS,
        label=_DEVICE,
    ),
    counter(
        "system.disk.io_time",
        "s",
        "disk.devices.*.busy_seconds",
        "Seconds since boot in which at least one operation was under way.",
        _DISKSTATS,
        label=_DEVICE,
    ),
    counter(
        "resourced.disk.queue_time",
        "s",
        "disk.devices.*.queue_seconds",
        "Seconds waited by all operations since boot.",
        _DISKSTATS,
        label=_DEVICE,
    ),
    gauge(
        "resourced.disk.utilization",
        "1",
        "disk.devices.*.utilization",
        "Share of the interval in which at least one operation was under way.",
        _DISKSTATS,
        label=_DEVICE,
        maximum=1.0,
        alias=("disk.utilization",),
        exposed=False,
    ),
    gauge(
        "resourced.disk.queue_length",
        "{operation}",
        "disk.devices.*.queue_length",
        "Mean number of operations under way or waiting over the interval.",
        _DISKSTATS,
        label=_DEVICE,
        alias=("disk.queue_length",),
        exposed=False,
    ),
)

_FILESYSTEM: tuple[Metric, ...] = (
    gauge(
        "system.filesystem.usage",
        "By",
        fields(
            "system.filesystem.state",
            {
                "used": "filesystems.mounts.*.used_bytes",
                "free": "filesystems.mounts.*.free_bytes",
                "available": "filesystems.mounts.*.available_bytes",
            },
        ),
        "Space by state; available is what users who are not root can take.",
        _MOUNTS,
        label=_MOUNT,
        alias=("filesystem.used", "filesystem.free", "filesystem.available"),
    ),
    gauge(
        "system.filesystem.limit",
        "By",
        "filesystems.mounts.*.total_bytes",
        "Size.",
        _MOUNTS,
        label=_MOUNT,
        alias=("filesystem.total",),
    ),
    gauge(
        "system.filesystem.utilization",
        "1",
        "filesystems.mounts.*.utilization",
        "Share of the space in use, as df(1) counts it.",
        _MOUNTS,
        label=_MOUNT,
        maximum=1.0,
        alias=("filesystem.utilization",),
    ),
    gauge(
        "resourced.filesystem.inodes",
        "{inode}",
        fields(
            "state",
            {"total": "filesystems.mounts.*.inodes_total", "free": "filesystems.mounts.*.inodes_free"},
        ),
        "Inodes.",
        _MOUNTS,
        label=_MOUNT,
        alias=("filesystem.inodes_total", "filesystem.inodes_free"),
    ),
    gauge(
        "resourced.filesystem.inodes.utilization",
        "1",
        "filesystems.mounts.*.inodes_utilization",
        "Share of the inodes in use.",
        _MOUNTS,
        label=_MOUNT,
        maximum=1.0,
        alias=("filesystem.inodes_utilization",),
    ),
)

_NETWORK: tuple[Metric, ...] = (
    counter(
        "system.network.io",
        "By",
        _both(_NICS, "bytes", "network.io.direction", _RT),
        "Bytes received and sent since the interface appeared.",
        _NETDEV,
        label=_NIC,
        alias=("network.receive", "network.transmit"),
    ),
    counter(
        "system.network.packet.count",
        "{packet}",
        _both(_NICS, "packets", "network.io.direction", _RT),
        "Packets received and sent.",
        _NETDEV,
        label=_NIC,
        alias=("network.receive_packets", "network.transmit_packets"),
    ),
    counter(
        "system.network.errors",
        "{error}",
        _both(_NICS, "errors", "network.io.direction", _RT),
        "Packets received or sent with errors.",
        _NETDEV,
        label=_NIC,
        alias=("network.receive_errors", "network.transmit_errors"),
    ),
    counter(
        "system.network.packet.dropped",
        "{packet}",
        _both(_NICS, "drops", "network.io.direction", _RT),
        "Packets dropped.",
        _NETDEV,
        label=_NIC,
        alias=("network.receive_drops", "network.transmit_drops"),
    ),
    gauge(
        "resourced.network.speed",
        "bit/s",
        "network.interfaces.*.link_speed_bits_per_second",
        "Speed of the link.",
        "/sys/class/net/*/speed",
        label=_NIC,
        alias=("network.speed",),
    ),
    gauge(
        "resourced.network.utilization",
        "1",
        "network.interfaces.*.utilization",
        "Busier direction's share of the link speed.",
        _NETDEV,
        label=_NIC,
        maximum=1.0,
        alias=("network.utilization",),
        exposed=False,
    ),
    gauge(
        "resourced.network.sockets",
        "{socket}",
        fields(
            "kind",
            {
                "used": "network.sockets.used",
                "tcp": "network.sockets.tcp_in_use",
                "tcp_orphan": "network.sockets.tcp_orphan",
                "tcp_time_wait": "network.sockets.tcp_time_wait",
                "udp": "network.sockets.udp_in_use",
            },
        ),
        "Sockets in use; used counts all kinds.",
        "/proc/net/sockstat",
        alias=(
            "network.sockets_used",
            "network.sockets_tcp",
            "network.sockets_tcp_orphan",
            "network.sockets_tcp_time_wait",
            "network.sockets_udp",
        ),
    ),
    gauge(
        "resourced.network.tcp.memory",
        "By",
        "network.sockets.tcp_memory_bytes",
        "Memory of TCP buffers.",
        "/proc/net/sockstat",
        alias=("network.tcp_memory",),
    ),
)

STORAGE: tuple[Metric, ...] = _DISK + _FILESYSTEM + _NETWORK
