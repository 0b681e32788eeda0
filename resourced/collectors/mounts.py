"""What is mounted: /proc/self/mountinfo, and which of it holds data.

https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from resourced.errors import ParseError
from resourced.names import name_of

# fmt: off
_PSEUDO = frozenset((
    "autofs", "bdev", "bpf", "binfmt_misc", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devfs", "devpts",
    "devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "nullfs", "proc", "pstore", "ramfs",
    "resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sysfs", "tracefs", "fuse.gvfsd-fuse", "fuse.lxcfs",
    "fuse.portal", "fuse.snapfuse",
))
# Images, made to their size: always full, never written.
_IMAGES = frozenset(("cramfs", "erofs", "iso9660", "squashfs", "udf"))
_REMOTE = frozenset((
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse", "fuseblk", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
))
# fmt: on
# Trees of the kernel; secrets that systemd hands to services.
_HIDDEN = ("/proc/", "/sys/", "/run/credentials")
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    number: str
    """Major and minor number of the device: the same for all mounts of one file system."""
    path: str
    """Mount point."""
    type: str
    device: str
    """What is mounted."""
    read_only: bool
    """Whether the file system is read-only; a mount may be so by itself, as those of a confined service are."""

    @property
    def remote(self) -> bool:
        """Whether its answer depends on another machine or on a process, and so may never come."""
        return self.type in _REMOTE or self.type.startswith("fuse.")

    @property
    def holds_data(self) -> bool:
        """Whether its space is worth knowing."""
        if self.type in _PSEUDO or self.type in _IMAGES or self.path.startswith(_HIDDEN):
            return False
        if self.type == "overlay":
            return self.path == "/"  # a container's; elsewhere it repeats the file system below
        return not (self.type == "tmpfs" and self.read_only)


def parse_mountinfo(content: bytes, source: str) -> list[Mount]:
    """Return all mounts in the order in which they were made.

    Raises:
        ParseError: A line has another form.
    """
    mounts = []
    for line in content.split(b"\n"):
        if not line:
            continue
        words = line.split(b" ")
        try:
            dash = words.index(b"-", 6)
            kind, device, options = words[dash + 1 : dash + 4]
        except ValueError as error:
            wanted = "six fields or more, a dash, and type, device and options"
            raise ParseError(source, line.decode(errors="replace"), wanted) from error
        mounts.append(
            Mount(
                number=words[2].decode(errors="replace"),
                path=_unescape(words[4]),
                type=kind.decode(errors="replace"),
                device=_unescape(device),
                read_only=b"ro" in options.split(b","),
            )
        )
    return mounts


def choose(mounts: Iterable[Mount]) -> list[Mount]:
    """Return the mounts that hold data, sorted by path.

    What another mount covers is left out; of several mounts of one file system the one with the shortest path is kept.
    """
    visible = {mount.path: mount for mount in mounts}
    chosen: dict[str, Mount] = {}
    for mount in sorted(visible.values(), key=lambda mount: (len(mount.path), mount.path)):
        if mount.holds_data:
            chosen.setdefault(mount.number, mount)
    return sorted(chosen.values(), key=lambda mount: mount.path)


def _unescape(text: bytes) -> str:
    r"""Return the text with the kernel's escapes replaced: \040 is a space, \011 a tab, \012 a newline, \134 a \."""
    return name_of(_ESCAPE.sub(lambda found: bytes((int(found[1], 8) & 0xFF,)), text) if b"\\" in text else text)
