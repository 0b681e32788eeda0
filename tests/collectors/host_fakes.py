"""Trees of kernel files for the collectors of the host, and samples with a moment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from resourced.collectors.base import Roots, Taken

S = TypeVar("S")


def make_roots(directory: Path, files: Mapping[str, str | bytes]) -> Roots:
    """Write files below `directory` ("proc/stat", "sys/block/sda/size") and return where the trees are."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Roots(proc=directory / "proc", sys=directory / "sys")


def taken(sample: S, at: float = 0.0) -> Taken[S]:
    """Return the sample as if it had been taken `at` seconds on the monotonic clock."""
    return Taken(sample, monotonic_seconds=at, time=1e9 + at, duration_seconds=0.001)


def space(
    blocks: int = 1000, free: int = 400, available: int = 300, inodes: int = 100, unit: int = 4096
) -> os.statvfs_result:
    """Return what statvfs answers; half of the inodes are free."""
    return os.statvfs_result((unit, unit, blocks, free, available, inodes, inodes // 2, inodes // 2, 0, 255))
