"""Control groups, from the cgroup v2 tree: every node down to a depth, through descriptors that are kept open."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from resourced.collectors.base import Roots, read_text
from resourced.collectors.blocklayers import BlockLayers
from resourced.collectors.cgroupfiles import parse_cpu_max, parse_flat, parse_io_stat, parse_number
from resourced.collectors.pressure import PressureOfSample, parse_pressure
from resourced.errors import Unavailable
from resourced.names import name_of

T = TypeVar("T")

_READ_SIZE = 16384
"""What one read gives at most. Each of these files is one record, of which the kernel gives as much as fits."""
_LIMITS_EVERY = 10
"""Limits and weights of a node are read at every tenth sample, and so are at most that old."""
_MEMORY_STAT = frozenset({b"anon", b"file", b"shmem", b"slab", b"pgscan"})
_CPU_STAT = frozenset({b"usage_usec", b"nr_periods", b"nr_throttled", b"throttled_usec"})
_GONE = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is set for a node and seldom changes; null for no limit, or where the controller isn't enabled."""

    cpu_limit: float | None = None
    cpu_weight: int | None = None
    memory_min_bytes: int | None = None
    memory_low_bytes: int | None = None
    memory_high_bytes: int | None = None
    memory_max_bytes: int | None = None
    swap_max_bytes: int | None = None
    pids_max: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """What was read of one cgroup; null where the controller isn't enabled or the kernel doesn't have the file."""

    path: str
    inode: int
    events: dict[str, int] | None
    """cgroup.events: populated, frozen."""
    cpu: dict[str, int] | None
    """cpu.stat: usage_usec, nr_periods, nr_throttled, throttled_usec."""
    memory_bytes: int | None
    memory_peak_bytes: int | None
    swap_bytes: int | None
    memory: dict[str, int] | None
    """memory.stat: anon, file, shmem, slab, pgscan."""
    memory_events: dict[str, int] | None
    io_bytes: tuple[int, int] | None
    """io.stat: read and written, over devices that stand on no others."""
    pids: int | None
    pressure: tuple[PressureOfSample | None, PressureOfSample | None, PressureOfSample | None]
    """cpu, memory, io."""
    limits: Limits


@dataclass(frozen=True, slots=True)
class CgroupsSample:
    """The tree."""

    nodes: tuple[Node, ...]
    """Parents before children, siblings sorted."""
    truncated: bool
    """Whether there are more nodes than the limit."""


class _Directory:
    """One node from sample to sample: its open files and the last content of each."""

    __slots__ = ("files", "inode", "kept", "limits", "name", "path")

    def __init__(self, name: str, path: str, inode: int) -> None:
        self.name = name
        self.path = path
        self.inode = inode
        self.files: dict[str, int] = {}
        self.kept: dict[str, tuple[bytes, Any]] = {}
        self.limits = Limits()

    def close(self) -> None:
        for descriptor in self.files.values():
            if descriptor >= 0:
                os.close(descriptor)
        self.files.clear()


class CgroupsCollector:
    """Reads the cgroup v2 tree.

    The files that change are read at every sample through descriptors kept open, and parsed when their content has
    changed; a file that a node doesn't have, or no more, is looked for again with its limits, at every tenth sample.

    Args:
        roots: Where the cgroup tree is mounted.
        depth: Levels below the root that are read.
        limit: Most nodes that are read.
        descriptors: Most descriptors that are kept open; beyond it files are opened for each reading.
    """

    name = "cgroups"

    def __init__(self, roots: Roots, *, depth: int = 6, limit: int = 1000, descriptors: int = 4096) -> None:
        self._root = str(roots.cgroup)
        self._roots = roots
        self._depth = depth
        self._limit = limit
        self._descriptors = descriptors
        self._open = 0
        self._sample = 0
        self._known: dict[str, _Directory] = {}
        self._layers = BlockLayers(roots)

    def collect(self) -> CgroupsSample:
        self._check()
        self._sample += 1
        nodes: list[Node] = []
        seen: set[str] = set()
        truncated = False
        for number, (path, inode) in enumerate(self._walk("/", 0)):
            if len(nodes) >= self._limit:
                truncated = True
                break
            directory = self._directory(path, inode)
            seen.add(path)
            if (number + self._sample) % _LIMITS_EVERY == 0 or not directory.kept:
                self._read_limits(directory)
            nodes.append(self._node(directory))
        for path in [path for path in self._known if path not in seen]:
            self._forget(path)
        return CgroupsSample(tuple(nodes), truncated)

    def close(self) -> None:
        for path in list(self._known):
            self._forget(path)

    def _check(self) -> None:
        """Make sure that this is a cgroup v2 tree with controllers."""
        controllers = read_text(self._roots.cgroup / "cgroup.controllers")
        if controllers is not None:
            return
        if (self._roots.cgroup / "unified/cgroup.controllers").exists():
            mounted = "cgroup v1 is mounted with v2 beside it (hybrid)"
        elif (self._roots.cgroup / "memory").is_dir() or (self._roots.cgroup / "cpu").is_dir():
            mounted = "cgroup v1 is mounted"
        else:
            raise Unavailable(f"no cgroup tree is mounted at {self._root}")
        raise Unavailable(
            f"{mounted} at {self._root}; resourced reads cgroup v2 only: boot with systemd.unified_cgroup_hierarchy=1"
        )

    def _walk(self, path: str, depth: int) -> Iterator[tuple[str, int]]:
        """Yield path and inode of a node and of those below it; what vanishes meanwhile is left out."""
        directory = self._roots.of_cgroup(path)
        try:
            inode = os.stat(directory).st_ino  # noqa: PTH116 - hundreds of times a second
            yield path, inode
            if depth >= self._depth:
                return
            with os.scandir(directory) as entries:
                children = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError as error:
            if error.errno in _GONE or error.errno == errno.EACCES:
                return
            raise
        for child in children:
            name = child if child.isascii() else name_of(os.fsencode(child))
            yield from self._walk(f"{path.rstrip('/')}/{name}", depth + 1)

    def _directory(self, path: str, inode: int) -> _Directory:
        known = self._known.get(path)
        if known is not None and known.inode == inode:
            return known
        if known is not None:
            self._forget(path)
        made = _Directory(self._roots.of_cgroup(path), path, inode)
        self._known[path] = made
        return made

    def _forget(self, path: str) -> None:
        directory = self._known.pop(path)
        self._open -= sum(1 for descriptor in directory.files.values() if descriptor >= 0)
        directory.close()

    def _node(self, at: _Directory) -> Node:
        return Node(
            at.path,
            at.inode,
            self._file(at, "cgroup.events", parse_flat),
            self._file(at, "cpu.stat", _cpu_stat),
            self._file(at, "memory.current", parse_number),
            self._file(at, "memory.peak", parse_number),
            self._file(at, "memory.swap.current", parse_number),
            self._file(at, "memory.stat", _memory_stat),
            self._file(at, "memory.events", parse_flat),
            self._file(at, "io.stat", self._io_stat),
            self._file(at, "pids.current", parse_number),
            (
                self._file(at, "cpu.pressure", parse_pressure),
                self._file(at, "memory.pressure", parse_pressure),
                self._file(at, "io.pressure", parse_pressure),
            ),
            at.limits,
        )

    def _read_limits(self, at: _Directory) -> None:
        for name in [name for name, descriptor in at.files.items() if descriptor < 0]:
            del at.files[name]  # a controller may have been enabled since
        at.limits = Limits(
            self._once(at, "cpu.max", parse_cpu_max),
            self._once(at, "cpu.weight", parse_number),
            self._once(at, "memory.min", parse_number),
            self._once(at, "memory.low", parse_number),
            self._once(at, "memory.high", parse_number),
            self._once(at, "memory.max", parse_number),
            self._once(at, "memory.swap.max", parse_number),
            self._once(at, "pids.max", parse_number),
        )

    def _once(self, at: _Directory, name: str, parse: Callable[[bytes, str], T]) -> T | None:
        path = f"{at.name}/{name}"
        raw = _read_path(path)
        return None if raw is None else parse(raw, path)

    def _file(self, at: _Directory, name: str, parse: Callable[[bytes, str], T]) -> T | None:
        """Return the parsed content of a file that changes; None where there is none."""
        path = f"{at.name}/{name}"
        descriptor = at.files.get(name)
        if descriptor is None:
            descriptor = self._keep_open(at, name, path)
        if descriptor == -1:
            return None
        raw = self._read_kept(at, name, descriptor) if descriptor >= 0 else _read_path(path)
        if raw is None:
            return None
        kept = at.kept.get(name)
        if kept is not None and kept[0] == raw:
            content: T = kept[1]
            return content
        parsed = parse(raw, path)
        at.kept[name] = (raw, parsed)
        return parsed

    def _read_kept(self, at: _Directory, name: str, descriptor: int) -> bytes | None:
        try:
            return _pread(descriptor)
        except OSError as error:
            if error.errno not in _GONE:
                raise
        # A controller that is enabled again has new files; this one stays dead.
        os.close(descriptor)
        self._open -= 1
        at.files[name] = -1
        return None

    def _io_stat(self, raw: bytes, source: str) -> tuple[int, int]:
        return parse_io_stat(raw, source, self._layers.at_bottom)

    def _keep_open(self, at: _Directory, name: str, path: str) -> int:
        """Return a descriptor; -1 if there is no such file, -2 if no more may be kept open."""
        if self._open >= self._descriptors:
            return -2
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            at.files[name] = -1
            return -1
        at.files[name] = descriptor
        self._open += 1
        return descriptor


def _cpu_stat(raw: bytes, source: str) -> dict[str, int]:
    return parse_flat(raw, source, _CPU_STAT)


def _memory_stat(raw: bytes, source: str) -> dict[str, int]:
    return parse_flat(raw, source, _MEMORY_STAT)


def _pread(descriptor: int) -> bytes | None:
    """Return the content; None if the kernel doesn't tell (psi=0)."""
    try:
        content = part = os.pread(descriptor, _READ_SIZE, 0)
        while len(part) == _READ_SIZE:  # io.stat of hundreds of devices
            part = os.pread(descriptor, _READ_SIZE, len(content))
            content += part
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return None
        raise
    return content


def _read_path(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _pread(descriptor)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    finally:
        os.close(descriptor)
