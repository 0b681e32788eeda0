"""The newest snapshot brought up to date, in a few milliseconds, in what a victim is chosen by.

That is who holds how much, and who asks to be spared. The guard chooses between two samples, and a runaway takes
gigabytes in the time between them.
"""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from resourced.collectors.base import Roots
from resourced.collectors.cgroupfiles import parse_flat, parse_number
from resourced.collectors.procstat import Stat, parse_cgroup, parse_stat, parse_status
from resourced.errors import ParseError
from resourced.names import raw_of
from resourced.snapshot import Snapshot
from resourced.snapshot.cgroups import Cgroup, Cgroups
from resourced.snapshot.processes import Process, Processes
from resourced.surroundings import Preferences
from resourced.unyielding import UnyieldingReader

_HELD = frozenset({b"anon", b"shmem"})
_KERNEL_SECONDS = 60.0
"""What was a thread of the kernel is passed over for so long: its number is somebody else's some day."""

_NOBODY = Processes((), {}, 0, 0, 0)
"""Before processes are first read."""


class Refresher:
    """Reads memory of processes and cgroups anew, without letting go of the interpreter for each of them.

    Args:
        roots: Where the kernel's trees are.
    """

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._proc = os.fsencode(roots.proc)
        self._cgroup = os.fsencode(roots.cgroup)
        self._reader = UnyieldingReader()
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._kernel: set[bytes] = set()
        self._kernel_since = 0.0

    def refresh(self, snapshot: Snapshot, now: float) -> Snapshot:
        """Return the snapshot with memory and growth of processes and cgroups as they are now.

        Args:
            snapshot: The newest.
            now: CLOCK_MONOTONIC.
        """
        if now - self._kernel_since > _KERNEL_SECONDS:
            self._kernel, self._kernel_since = set(), now
        elapsed = now - snapshot.monotonic_seconds
        changes: dict[str, object] = {}
        processes = _NOBODY if snapshot.awaits("processes") else snapshot.processes
        if processes is not None:
            changes["processes"] = self._processes(processes, elapsed)
        if snapshot.cgroups is not None:
            changes["cgroups"] = self._cgroups(snapshot.cgroups, elapsed)
        return replace(snapshot, **changes)  # type: ignore[arg-type]  # names of its fields

    def preferences(self) -> Preferences:
        """Return what owners of cgroups ask for from now on."""
        return Preferences(self._roots, attribute=self._reader.attribute)

    def _processes(self, before: Processes, elapsed: float) -> Processes:
        known = {each.pid: each for each in before.items}
        items: list[Process] = []
        read, kernel = self._reader.read, self._kernel
        for name in self._reader.names(self._proc):
            if not name.isdigit() or name in kernel:
                continue
            raw = read(b"%b/%b/stat" % (self._proc, name))
            if raw is None:
                continue
            try:
                stat = parse_stat(raw, name.decode())
                if stat.kernel_thread:
                    kernel.add(name)
                    continue
                old = known.get(stat.pid)
                if old is not None and old.start_time_ticks == stat.start_time_ticks:
                    items.append(self._updated(old, stat, elapsed))
                else:
                    items.append(self._new(stat, elapsed))
            except ParseError:  # one that can't be understood hides nobody else
                continue
        return replace(before, items=tuple(items))

    def _updated(self, old: Process, stat: Stat, elapsed: float) -> Process:
        resident = stat.resident_pages * self._page
        if resident == old.memory_bytes and stat.state == old.state and stat.name == old.name:
            return old
        growth = (resident - old.memory_bytes) / elapsed if elapsed > 0 else None
        return replace(
            old, name=stat.name, state=stat.state, memory_bytes=resident, memory_growth_bytes_per_second=growth
        )

    def _new(self, stat: Stat, elapsed: float) -> Process:
        resident = stat.resident_pages * self._page
        uid = swap = None
        status = self._of(stat, b"status")
        if status is not None:
            uid, swap = parse_status(status, "status")
        cgroup = None
        # The kernel takes the lock of all control groups for this one, which may be held for long.
        with contextlib.suppress(OSError):
            cgroup = Path(f"{os.fsdecode(self._proc)}/{stat.pid}/cgroup").read_bytes()
        adjusted = self._of(stat, b"oom_score_adj")
        return Process(
            pid=stat.pid,
            start_time_ticks=stat.start_time_ticks,
            ppid=stat.ppid,
            session=stat.session,
            name=stat.name,
            uid=uid,
            state=stat.state,
            cgroup=parse_cgroup(cgroup) if cgroup is not None else None,
            threads=stat.threads,
            nice=stat.nice,
            cpu_seconds=stat.cpu_ticks / self._ticks,
            cpu_utilization=None,
            memory_bytes=resident,
            memory_growth_bytes_per_second=resident / elapsed if elapsed > 0 else None,
            virtual_bytes=stat.virtual_bytes,
            swap_bytes=swap,
            major_faults=stat.major_faults,
            io_read_bytes=None,
            io_write_bytes=None,
            io_read_bytes_per_second=None,
            io_write_bytes_per_second=None,
            oom_score=None,
            oom_score_adj=int(adjusted) if adjusted and adjusted.strip().lstrip(b"-").isdigit() else None,
        )

    def _of(self, stat: Stat, name: bytes) -> bytes | None:
        return self._reader.read(b"%b/%d/%b" % (self._proc, stat.pid, name))

    def _cgroups(self, before: Cgroups, elapsed: float) -> Cgroups:
        return replace(before, nodes={path: self._cgroup_of(node, elapsed) for path, node in before.nodes.items()})

    def _cgroup_of(self, node: Cgroup, elapsed: float) -> Cgroup:
        if node.memory_bytes is None:
            return node
        directory = (self._cgroup + raw_of(node.path)).rstrip(b"/")
        current, stat = (
            self._reader.read(directory + b"/memory.current"),
            self._reader.read(directory + b"/memory.stat"),
        )
        if current is None or stat is None:
            return node
        try:
            held = parse_number(current, "memory.current")
            kinds = parse_flat(stat, "memory.stat", _HELD)
        except ParseError:
            return node
        if held is None or held == node.memory_bytes:
            return node
        growth = (held - node.memory_bytes) / elapsed if elapsed > 0 else None
        return replace(
            node,
            memory_bytes=held,
            anonymous_bytes=kinds.get("anon"),
            shmem_bytes=kinds.get("shmem"),
            memory_growth_bytes_per_second=growth,
        )
