"""Who could give way: everything of a rule's scope in the snapshot, with what it holds."""

from collections.abc import Iterable
from dataclasses import dataclass

from resourced.decision import Scope
from resourced.metrics import is_pattern
from resourced.policy.observation import Tick, Workload
from resourced.policy.rule import Rule
from resourced.snapshot.cgroups import Cgroup
from resourced.snapshot.gpus import Gpu, GpuProcess
from resourced.snapshot.processes import Process

DECISIVE: tuple[str, ...] = (
    "system.memory.limit",
    "resourced.swap.limit",
    "system.cpu.logical.count",
    "hw.gpu.memory.limit",
    "hw.gpu.utilization",
)
"""Metrics of the machine that choosing among candidates reads from the snapshot, beside what rules compare."""


@dataclass(slots=True)
class Thing:
    """One candidate while it is being looked at."""

    scope: Scope
    key: str
    name: str
    command: str | None = None
    """Command name of the process that it is, or that began it; None for a cgroup or a user."""
    pid: int | None = None
    start_time_ticks: int | None = None
    cgroup: Cgroup | None = None
    path: str | None = None
    uid: int | None = None
    gpu: str | None = None
    usage: float | None = None
    growth: float | None = None
    newest: float | None = None
    priority: float = 0.0
    reclaim: float | None = None
    idle_memory: float | None = None
    members: tuple[Process, ...] = ()
    whole: bool = False
    """Whether it is a cgroup with all that lives in it."""

    @property
    def unit(self) -> str | None:
        """Return the systemd unit to which it belongs."""
        return self.cgroup.unit if self.cgroup is not None else None


class Population:
    """The processes and cgroups of one tick, with the ways between them.

    Args:
        tick: The tick.
        resource: What is to be freed: memory, swap, gpu_memory, cpu, io or pids.
        gpu: UUID of the GPU that the rule is about; None for all.
        user: Id of the user that the rule is about, who alone gives way; None for all.
    """

    def __init__(self, tick: Tick, resource: str, gpu: str | None = None, user: str | None = None) -> None:
        snapshot = tick.snapshot
        self.tick = tick
        self.snapshot = snapshot
        self.resource = resource
        self.gpu = gpu
        self.user = user
        running = snapshot.processes.items if snapshot and snapshot.processes else ()
        # In the order of their ids, so that a recorded past, which has another order, gives the very same answer.
        self.processes: dict[int, Process] = {
            each.pid: each for each in sorted(running, key=lambda each: each.pid) if each.state != "Z"
        }
        self.cgroups: dict[str, Cgroup] = snapshot.cgroups.nodes if snapshot and snapshot.cgroups else {}
        devices = snapshot.gpus.devices if snapshot and snapshot.gpus else {}
        self.gpus = {uuid: device for uuid, device in devices.items() if gpu in (None, uuid)}
        self._gpu_memory: dict[int, float] = {}
        for device in self.gpus.values():
            for each in device.processes or ():
                if each.memory_bytes is not None:
                    self._gpu_memory[each.pid] = self._gpu_memory.get(each.pid, 0.0) + each.memory_bytes
        self._below: dict[str, list[Process]] | None = None

    def members(self, path: str) -> list[Process]:
        """Return the processes in a cgroup and below it."""
        if self._below is None:
            self._below = {}
            for process in self.processes.values():
                for ancestor in ancestors(process.cgroup):
                    self._below.setdefault(ancestor, []).append(process)
        return self._below.get(path, [])

    def members_by_key(self, scope: Scope) -> dict[str, frozenset[int]]:
        """Return the process ids of each thing of a scope, by its key."""
        return {thing.key: frozenset(each.pid for each in thing.members) for thing in gather(self, scope)}

    def usage(self, process: Process) -> float | None:
        """Return what a process holds of the resource."""
        match self.resource:
            case "memory":
                return process.memory_bytes
            case "swap":
                return process.swap_bytes
            case "gpu_memory":
                return self._gpu_memory.get(process.pid, 0.0)
            case "cpu":
                return process.cpu_utilization
            case "io":
                return _sum((process.io_read_bytes_per_second, process.io_write_bytes_per_second))
            case _:
                return process.threads

    def usage_of_cgroup(self, node: Cgroup, members: Iterable[Process]) -> float | None:
        """Return what a cgroup holds that would be free without it: never page cache, which is free already.

        Shared memory counts: a program that fills it by mapping it (which is freed with its last user) would else look
        small, and somebody else would have to give way. Files in a tmpfs stay, but whoever fills them ends.
        """
        if self.resource == "io":
            return _sum((node.io_read_bytes_per_second, node.io_write_bytes_per_second))
        if self.resource == "gpu_memory":
            return _sum(self._gpu_memory.get(process.pid, 0.0) for process in members)
        if self.resource == "memory":
            held = node.anonymous_bytes
            return node.memory_bytes if held is None else held + (node.shmem_bytes or 0)
        found: dict[str, float | None] = {
            "swap": node.swap_bytes,
            "cpu": node.cpu_utilization,
            "pids": node.pids,
        }
        return found[self.resource]


def population_of(tick: Tick, rule: Rule, instance: str) -> Population:
    """Return those among whom a rule chooses: of the GPU or the user that it names, or that its instance is about."""
    return Population(tick, rule.resource, _one(rule.gpu, instance), _one(rule.user, instance))


def _one(named: str | None, instance: str) -> str | None:
    return instance if named is not None and is_pattern(named) else named


_SECTIONS: dict[Scope, tuple[str, ...]] = {
    Scope.PROCESS: ("processes",),
    Scope.TREE: ("processes",),
    Scope.USER: ("processes",),
    Scope.UNIT: ("cgroups", "processes"),
    Scope.SLICE: ("cgroups", "processes"),
    Scope.GPU_PROCESS: ("gpus", "processes"),
    Scope.WORKLOAD: ("cgroups", "processes"),
}
"""Where those of a scope come from, and those whom it would end: without these it can't be told who is protected."""


def unread(tick: Tick, scope: Scope) -> bool:
    """Return whether those of a scope are still to be read for the first time."""
    snapshot = tick.snapshot
    return snapshot is not None and any(snapshot.awaits(section) for section in _SECTIONS[scope])


def gather(population: Population, scope: Scope) -> list[Thing]:
    """Return every thing of a scope."""
    makers = {
        Scope.PROCESS: _of_processes,
        Scope.TREE: _of_trees,
        Scope.UNIT: _of_units,
        Scope.SLICE: _of_slices,
        Scope.USER: _of_users,
        Scope.GPU_PROCESS: _of_gpus,
        Scope.WORKLOAD: _of_workloads,
    }
    things = makers[scope](population)
    return things if population.user is None else [each for each in things if str(each.uid) == population.user]


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def ancestors(path: str | None) -> list[str]:
    """Return a cgroup and those above it but the root, the highest first."""
    if not path or path == "/":
        return []
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def _process(population: Population, process: Process, scope: Scope = Scope.PROCESS) -> Thing:
    node = population.cgroups.get(process.cgroup or "")
    return Thing(
        scope,
        f"{process.pid}:{process.start_time_ticks}",
        process.name,
        process.name,
        process.pid,
        process.start_time_ticks,
        node,
        process.cgroup,
        process.uid,
        usage=population.usage(process),
        growth=process.memory_growth_bytes_per_second,
        newest=float(process.start_time_ticks),
        priority=-(process.nice or 0) / 20,  # unknown in the recordings of older releases
        reclaim=node.reclaim_scanned_pages_per_second if node else None,
        members=(process,),
    )


def _of_processes(population: Population) -> list[Thing]:
    return [_process(population, process) for process in population.processes.values()]


def _of_trees(population: Population) -> list[Thing]:
    """A tree is everything below a process whose parent belongs to another cgroup or user."""
    processes = population.processes
    trees: dict[int, list[Process]] = {}
    for process in processes.values():
        root, seen = process, {process.pid}
        while True:
            parent = processes.get(root.ppid)
            if parent is None or parent.pid in seen or parent.pid == 1 or not _together(root, parent):
                break
            root = parent
            seen.add(root.pid)
        trees.setdefault(root.pid, []).append(process)
    return [_tree(population, processes[root], members) for root, members in trees.items()]


def _together(child: Process, parent: Process) -> bool:
    """A session's leader (the shell) and what it started are apart: the job goes, the session stays."""
    in_session = (child.cgroup or "").rpartition("/")[2].startswith("session-")
    apart = in_session and parent.pid == parent.session
    return child.cgroup == parent.cgroup and child.uid == parent.uid and not apart


def _tree(population: Population, root: Process, members: list[Process]) -> Thing:
    thing = _process(population, root, Scope.TREE)
    thing.usage = _sum(population.usage(each) for each in members)
    thing.growth = _sum(each.memory_growth_bytes_per_second for each in members)
    thing.members = tuple(members)
    return thing


def _cgroup(population: Population, node: Cgroup, scope: Scope) -> Thing:
    members = population.members(node.path)
    uids = {each.uid for each in members}
    return Thing(
        scope,
        f"{node.path}:{node.inode}",
        node.path.rpartition("/")[2],
        cgroup=node,
        path=node.path,
        uid=next(iter(uids)) if len(uids) == 1 else None,
        usage=population.usage_of_cgroup(node, members),
        growth=node.memory_growth_bytes_per_second,
        newest=max((float(each.start_time_ticks) for each in members), default=None),
        reclaim=node.reclaim_scanned_pages_per_second,
        members=tuple(members),
        whole=True,
    )


_GIVE_WAY = (".service", ".scope")
"""Units that may be stopped to free something. A mount, a swap or a socket frees nothing, and others stand on it."""


def _of_units(population: Population) -> list[Thing]:
    return [_cgroup(population, node, Scope.UNIT) for node in population.cgroups.values() if _gives_way(node)]


def _gives_way(node: Cgroup) -> bool:
    """Return whether a cgroup is a unit that may be stopped, or as good as one.

    A user may put programs into cgroups of any name beside the units of the own manager, which itself is never pruned:
    each of them counts as a unit, so that nobody hides there.
    """
    above, _, name = node.path.rpartition("/")
    if node.unit is not None and name == node.unit and name.endswith(_GIVE_WAY):
        return True
    beside_units = above.endswith(".slice") or above.rpartition("/")[2].startswith(_MANAGER)
    return f"/{_MANAGER}" in above and beside_units and not name.endswith(".slice")


_MANAGER = "user@"
"""A user's own manager, user@UID.service."""


def _of_slices(population: Population) -> list[Thing]:
    return [
        _cgroup(population, node, Scope.SLICE) for path, node in population.cgroups.items() if path.endswith(".slice")
    ]


def _of_users(population: Population) -> list[Thing]:
    users: dict[int, list[Process]] = {}
    for process in population.processes.values():
        if process.uid is not None:
            users.setdefault(process.uid, []).append(process)
    return [
        Thing(
            Scope.USER,
            str(uid),
            f"user {uid}",
            uid=uid,
            usage=_sum(population.usage(each) for each in members),
            growth=_sum(each.memory_growth_bytes_per_second for each in members),
            newest=max(float(each.start_time_ticks) for each in members),
            members=tuple(members),
        )
        for uid, members in users.items()
    ]


def _of_gpus(population: Population) -> list[Thing]:
    """Processes with a context on a GPU; memory of processes that no longer exist can't be had by pruning."""
    return [
        _gpu_process(population, uuid, device, each)
        for uuid, device in population.gpus.items()
        for each in device.processes or ()
        if each.pid in population.processes
    ]


def _gpu_process(population: Population, uuid: str, device: Gpu, on_gpu: GpuProcess) -> Thing:
    thing = _process(population, population.processes[on_gpu.pid], Scope.GPU_PROCESS)
    thing.gpu = uuid
    busy = on_gpu.utilization if on_gpu.utilization is not None else device.utilization
    if population.resource == "gpu_memory":
        thing.usage = on_gpu.memory_bytes
        thing.growth = None
    if on_gpu.memory_bytes is not None and busy is not None:
        thing.idle_memory = on_gpu.memory_bytes * max(0.0, 1.0 - busy)
    return thing


def _of_workloads(population: Population) -> list[Thing]:
    return [thing for each in population.tick.workloads if (thing := _workload(population, each)) is not None]


def _workload(population: Population, workload: Workload) -> Thing | None:
    node = population.cgroups.get(workload.cgroup or "")
    process = population.processes.get(workload.pid or -1)
    if process is not None and workload.start_time_ticks not in (None, process.start_time_ticks):
        process = None  # the number is another's by now
    if node is not None:
        thing = _cgroup(population, node, Scope.WORKLOAD)
        if process is not None:
            thing.pid, thing.start_time_ticks = process.pid, process.start_time_ticks
    elif process is not None:
        thing = _process(population, process, Scope.WORKLOAD)
    else:
        return None
    thing.name = workload.name
    thing.uid = workload.uid if workload.uid is not None else thing.uid
    thing.priority = workload.priority
    return thing
