"""File systems: what a snapshot says of them."""

from dataclasses import dataclass

from resourced.collectors.base import Taken
from resourced.collectors.filesystems import FilesystemsSample, MountSample
from resourced.quantities import share


@dataclass(frozen=True, slots=True)
class Filesystem:
    """One mounted file system, from /proc/self/mountinfo and statvfs(2)."""

    device: str
    """What is mounted: a device, a dataset, a remote path."""
    type: str
    """File system type: ext4, xfs, nfs4, …"""
    read_only: bool
    """Whether it is mounted read-only."""
    total_bytes: int | None
    """Size; null while it does not answer."""
    used_bytes: int | None
    """Used by files and metadata."""
    free_bytes: int | None
    """Free, with what is reserved for root."""
    available_bytes: int | None
    """Free for users who are not root."""
    utilization: float | None
    """used / (used + available), as df(1) shows it, 0-1."""
    inodes_total: int | None
    """Inodes; null where the type has no fixed number."""
    inodes_free: int | None
    """Free inodes."""
    inodes_utilization: float | None
    """Share of inodes used, 0-1."""
    reason: str | None
    """Why the values are null: the file system does not answer, or may not be asked."""


@dataclass(frozen=True, slots=True)
class Filesystems:
    """All mounted file systems that hold data."""

    mounts: dict[str, Filesystem]
    """Keyed by mount point, sorted; of several mounts of one device the shortest path is kept."""


def derive_filesystems(
    before: Taken[FilesystemsSample] | None, now: Taken[FilesystemsSample], previous: Filesystems | None
) -> Filesystems:
    """Return the file systems' section; what is the same as before is the same object."""
    old = before.sample.mounts if before else {}
    known = previous.mounts if previous else {}
    mounts = {}
    for path, sample in now.sample.mounts.items():
        same = known.get(path) if sample == old.get(path) else None
        mounts[path] = same or _filesystem(sample)
    return Filesystems(mounts)


def _filesystem(sample: MountSample) -> Filesystem:
    space = sample.space
    used = space.total_bytes - space.free_bytes if space and space.free_bytes <= space.total_bytes else None
    inodes = space.inodes_total if space and space.inodes_total > 0 else None
    inodes_free = space.inodes_free if space and inodes is not None else None
    return Filesystem(
        device=sample.device,
        type=sample.type,
        read_only=sample.read_only,
        total_bytes=space.total_bytes if space else None,
        used_bytes=used,
        free_bytes=space.free_bytes if space else None,
        available_bytes=space.available_bytes if space else None,
        utilization=share(used, used + space.available_bytes) if space and used is not None else None,
        inodes_total=inodes,
        inodes_free=inodes_free,
        inodes_utilization=share(inodes - inodes_free, inodes)
        if inodes is not None and inodes_free is not None
        else None,
        reason=sample.reason,
    )
