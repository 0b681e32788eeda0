"""Made-up machines for tests of the policy: every field that a test doesn't name is unknown or plain."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from resourced.config_rules import RuleConfig
from resourced.decision import Decision, Mode
from resourced.policy import Judgement, JudgeState, Myself, Preference, Rule, Tick, Workload, compile_rules, judge
from resourced.policy.observation import layout_of
from resourced.snapshot import Health, Snapshot
from resourced.snapshot.cgroups import Cgroup, Cgroups
from resourced.snapshot.gpus import Gpu, GpuProcess, Gpus
from resourced.snapshot.memory import Memory
from resourced.snapshot.processes import Process, Processes

GIB = 1024**3
MIB = 1024**2


def health(*sections: str) -> dict[str, Health]:
    """Say that these sections were read."""
    return {section: Health("ok") for section in sections}


def memory(**known: Any) -> Memory:
    """Return memory of which only some is known."""
    return Memory(**({each.name: None for each in fields(Memory)} | known))


def cgroup(path: str, **known: Any) -> Cgroup:
    """Return a cgroup whose unit is its own name."""
    name = path.rpartition("/")[2]
    unit = name if "." in name else None
    nothing = {each.name: None for each in fields(Cgroup)}
    return Cgroup(**(nothing | {"path": path, "unit": unit, "inode": 1, "populated": True} | known))


def process(pid: int, name: str = "job", **known: Any) -> Process:
    """Return a process of user 1000 with 1 MiB."""
    plain: dict[str, Any] = {
        "start_time_ticks": pid,
        "ppid": 1,
        "session": 0,
        "uid": 1000,
        "state": "S",
        "threads": 1,
        "nice": 0,
        "cpu_seconds": 0.0,
        "memory_bytes": MIB,
        "virtual_bytes": MIB,
        "major_faults": 0,
    }
    nothing = {each.name: None for each in fields(Process)}
    return Process(**(nothing | plain | {"pid": pid, "name": name} | known))


def gpu(index: int, processes: Sequence[GpuProcess] = (), **known: Any) -> Gpu:
    """Return an active GPU."""
    nothing: dict[str, Any] = {each.name: None for each in fields(Gpu)}
    return Gpu(**(nothing | {"index": index, "state": "active", "mig": (), "processes": tuple(processes)} | known))


def snapshot(
    at: float = 0.0,
    *,
    total: int = 16 * GIB,
    processes: Sequence[Process] = (),
    cgroups: Sequence[Cgroup] = (),
    gpus: dict[str, Gpu] | None = None,
    boot_id: str | None = "boot",
) -> Snapshot:
    """Return a machine at `at` seconds."""
    return Snapshot(
        int(at),
        1_700_000_000 + at,
        100 + at,
        1.0,
        boot_id,
        memory=memory(total_bytes=total),
        gpus=Gpus("1", gpus) if gpus is not None else None,
        cgroups=Cgroups({each.path: each for each in cgroups}, truncated=False),
        processes=Processes(tuple(processes), {}, 0, 0, 0),
        collectors=health("memory", "cgroups", "processes", "gpus"),
    )


def tick(
    at: float,
    values: dict[str, float | None],
    machine: Snapshot | None = None,
    *,
    preferences: dict[str, Preference] | None = None,
    myself: Myself | None = None,
    workloads: tuple[Workload, ...] = (),
) -> Tick:
    """Return the tick at `at` seconds after the beginning."""
    layout, row = layout_of(values)
    return Tick(
        1_700_000_000 + at,
        100 + at,
        int(at),
        layout,
        row,
        machine,
        preferences or {},
        myself,
        workloads,
        machine.boot_id if machine else None,
    )


def rules(*tables: dict[str, Any], mode: Mode = Mode.ENFORCE, **more: Any) -> tuple[Rule, ...]:
    """Compile rules written as tables."""
    return compile_rules([RuleConfig.model_validate(table) for table in tables], mode=mode, **more)


def run(
    ticks: Sequence[Tick], compiled: tuple[Rule, ...], state: JudgeState | None = None
) -> tuple[list[Decision], Judgement]:
    """Judge ticks one after the other; return all decisions and the last judgement."""
    state = state or JudgeState.empty()
    decisions: list[Decision] = []
    judgement: Judgement | None = None
    for each in ticks:
        judgement = judge(state, each, compiled)
        state = judgement.state
        decisions += judgement.decisions
    assert judgement is not None
    return decisions, judgement
