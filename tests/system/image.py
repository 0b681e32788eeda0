"""Builds the disk that the virtual machine starts from: Debian 12 with a kernel, systemd and ssh, kept in a cache.

It takes Debian's mmdebstrap, qemu-utils, openssh-client and e2fsprogs, root, and packages through the machine's apt.
"""

import fcntl
import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "linux-image-cloud-amd64"),
    *("python3", "iproute2", "procps", "curl", "openssh-server"),
)
_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
_NETWORK = "[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n"
# Timers that would wake up during a test and cost minutes of an emulated processor.
_SILENCED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("e2scrub_reap.service", "getty@tty1.service", "serial-getty@ttyS0.service", "systemd-pstore.service"),
)
_TOOLS = ("mmdebstrap", "mkfs.ext4", "qemu-img", "qemu-system-x86_64", "ssh", "ssh-keygen")


@dataclass(frozen=True, slots=True)
class Image:
    """A disk to boot overlays of."""

    disk: Path
    """Raw ext4 file system."""
    kernel: Path
    """The kernel on it."""
    initrd: Path
    """Its initial file system."""
    key: Path
    """Private ssh key of root."""


def cache_directory() -> Path:
    """Return where images are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "resourced-vm"


def base_image(name: str = "base", more: Sequence[str] = ()) -> Image:
    """Return the disk, made now if there is none of this very description; older ones of the name are removed.

    Args:
        name: Tells images for different purposes apart.
        more: Packages to put on it beside the usual ones.

    Raises:
        RuntimeError: A tool is missing, or this is not root; the text says which and what to install.
    """
    if missing := [tool for tool in _TOOLS if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]:
        raise RuntimeError(
            f"the virtual machine needs {', '.join(missing)}; on Debian: apt install mmdebstrap qemu-system-x86"
            " qemu-utils openssh-client e2fsprogs"
        )
    described = "\n".join([inspect.getsource(sys.modules[__name__]), *more])
    cache = cache_directory()
    directory = cache / f"{name}-{hashlib.sha256(described.encode()).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            for old in cache.glob(f"{name}-*"):
                shutil.rmtree(old)
            _build(directory, (*PACKAGES, *more))
    return Image(directory / "disk", directory / "vmlinuz", directory / "initrd", directory / "key")


def _build(directory: Path, packages: Sequence[str]) -> None:
    if os.geteuid() != 0:
        raise RuntimeError("making the disk of the virtual machine takes root: its files belong to root")
    with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
        made, root = Path(scratch) / "made", Path(scratch) / "root"
        made.mkdir()
        sources = [str(path) for path in _SOURCES if path.exists()][:1]

        _run("mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(packages)}", SUITE, str(root), *sources)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made / "key"))
        _settle(root, (made / "key.pub").read_text())
        for name in ("vmlinuz", "initrd"):
            [found] = (root / "boot").glob(f"{name}*-amd64")
            shutil.copy(found, made / name)
        disk = made / "disk"
        with disk.open("wb") as file:
            file.truncate(4 * 1024**3)
        _run("mkfs.ext4", "-q", "-F", "-d", str(root), str(disk))
        made.rename(directory)


def _settle(root: Path, key: str) -> None:
    """Let root in with the key, bring the network up, and keep silent what would disturb."""
    units = root / "etc/systemd/system"
    _write(root / "root/.ssh/authorized_keys", key, 0o600)
    _write(root / "etc/hostname", "vm\n")
    _write(root / "etc/hosts", "127.0.0.1 localhost vm\n")
    _write(root / "etc/fstab", "/dev/vda / ext4 defaults 0 1\n")
    _write(root / "etc/systemd/network/10-vm.network", _NETWORK)
    (units / "multi-user.target.wants").mkdir(parents=True, exist_ok=True)
    (units / "multi-user.target.wants/systemd-networkd.service").symlink_to(
        "/lib/systemd/system/systemd-networkd.service"
    )
    for unit in _SILENCED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if path.parent.name == ".ssh" else 0o755)
    path.write_text(text)
    path.chmod(mode)


def _run(*command: str) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    subprocess.run(command, check=True, env={**os.environ, "PATH": path, "DEBIAN_FRONTEND": "noninteractive"})


if __name__ == "__main__":
    print(base_image().disk)
