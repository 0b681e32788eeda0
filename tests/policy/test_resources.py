"""Every resource that can run out, and every derived quantity, in a rule: it fires in time, and on the right one."""

from typing import Any

import pytest

from resourced.decision import Decision
from resourced.policy.words import say
from resourced.series import Extractor
from resourced.snapshot.gpus import GpuProcess
from resourced.snapshot.processes import Processes, UserUsage
from tests.policy.fakes import GIB, cgroup, gpu, process, rules, run, snapshot, tick

GPU = '{hw.id="GPU-1"}'
ROOT = '{system.filesystem.mountpoint="/"}'

FALLING = [
    ("memory.available", "system.memory.linux.available", 8.0 * GIB),
    ("swap.free", 'system.paging.usage{system.paging.state="free"}', 2.0 * GIB),
    ("gpu.memory_free", f"resourced.gpu.memory.free{GPU}", 24.0 * GIB),
    (
        "filesystem.available",
        'system.filesystem.usage{system.filesystem.mountpoint="/",system.filesystem.state="available"}',
        50.0 * GIB,
    ),
    (
        "filesystem.inodes_free",
        'resourced.filesystem.inodes{state="free",system.filesystem.mountpoint="/"}',
        1e6,
    ),
    ("processes.free", "resourced.processes.free", 30_000.0),
]


@pytest.mark.parametrize(("metric", "series", "full"), FALLING, ids=[each[0] for each in FALLING])
def test_what_runs_out_is_forecast(metric: str, series: str, full: float) -> None:
    """It is used up after 500 s; the rule asks for 100 s of warning and gets them, within a tenth."""
    compiled = rules({"name": "r", "metric": f"exhaustion({metric}, 30s)", "below": "100s"})

    falling, _ = run([tick(at, {series: full * (1 - at / 500)}) for at in range(500)], compiled)
    steady, _ = run([tick(at, {series: full * (0.1 + 0.01 * (at % 2))}) for at in range(500)], compiled)

    assert falling[0].sequence == pytest.approx(400, abs=10)
    assert steady == []


def test_a_user_whose_share_is_too_large_gives_way_and_nobody_else() -> None:
    people = {"1000": UserUsage(10 * GIB, 1.0, 2), "1001": UserUsage(2 * GIB, 0.1, 1)}
    items = (
        process(10, "anna-a", uid=1000, memory_bytes=4 * GIB),
        process(11, "anna-b", uid=1000, memory_bytes=6 * GIB),
        process(12, "ben", uid=1001, memory_bytes=7 * GIB),
    )
    machine = snapshot(processes=items)
    values: dict[str, float | None] = {"memory.total": 16.0 * GIB}
    values |= {f'resourced.user.memory{{user.id="{uid}"}}': float(each.memory_bytes) for uid, each in people.items()}
    table = {"name": "share", "level": "soft", "metric": "user.memory", "above": "50%", "scope": "process"}

    decisions, _ = run([tick(0, values, machine)], rules(table))

    (decision,) = decisions
    assert (decision.instance, decision.target.name if decision.target else None) == ("1000", "anna-b")
    assert {each.name for each in decision.candidates} == {"anna-a", "anna-b"}


def test_what_users_hold_is_read_from_the_snapshot() -> None:
    machine = snapshot()
    section = Processes((), {}, 0, 0, 0, 12, {"1000": UserUsage(5, 0.5, 2)})
    extractor = Extractor()
    from dataclasses import replace  # noqa: PLC0415 - only here

    row = extractor.read(replace(machine, processes=section))
    found = {str(series): value for series, value in zip(extractor.layout, row, strict=True)}

    assert found['resourced.user.memory{user.id="1000"}'] == 5
    assert found['resourced.user.cpu.utilization{user.id="1000"}'] == 0.5
    assert found['resourced.user.processes{user.id="1000"}'] == 2
    assert found["resourced.processes.free"] == 12


def test_the_user_furthest_above_a_fair_share_goes_first_when_the_rule_says_so() -> None:
    """Of three users one holds 9 GiB in three programs, one 5 GiB in a single one, which is the largest."""
    items = [process(10 + n, f"anna{n}", uid=1000, memory_bytes=3 * GIB) for n in range(3)]
    items += [process(20, "ben", uid=1001, memory_bytes=5 * GIB), process(30, "carl", uid=1002, memory_bytes=GIB)]
    table = {"name": "r", "level": "hard", "metric": "memory.available", "below": "5%", "scope": "process"}
    values: dict[str, float | None] = {"memory.total": 20.0 * GIB, "memory.available": 0.5 * GIB}

    def chosen(rank: Any) -> str | None:
        decisions, _ = run([tick(0, values, snapshot(processes=items))], rules(table | {"rank": rank}))
        return decisions[0].target.name if decisions[0].target else None

    assert chosen(["largest"]) == "ben"
    assert str(chosen({"over_share": 10, "largest": 1})).startswith("anna")


def _gpu_ticks(busy: float, held: float, seconds: int, orphaned: float = 0.0) -> list[Any]:
    device = gpu(0, [GpuProcess(10, "compute", int(held), busy, None, alive=True)], memory_total_bytes=24 * GIB)
    machine = snapshot(processes=[process(10, "notebook")], gpus={"GPU-1": device})
    values: dict[str, float | None] = {
        'hw.gpu.utilization{hw.gpu.task="general",hw.id="GPU-1"}': busy,
        f"hw.gpu.memory.usage{GPU}": held,
        f"hw.gpu.memory.limit{GPU}": 24.0 * GIB,
        f"resourced.gpu.memory.orphaned{GPU}": orphaned,
    }
    return [tick(at, values, machine) for at in range(seconds)]


IDLE = {
    "name": "idle",
    "level": "soft",
    "all": [
        {"metric": "idle(gpu.utilization, 1%)", "above": "60s"},
        {"metric": "gpu.memory_used", "above": "50%", "for": "60s"},
    ],
    "scope": "gpu_process",
    "resource": "gpu_memory",
}


@pytest.mark.parametrize(("busy", "held", "expected"), [(0.0, 20, ["notebook"]), (0.9, 20, []), (0.0, 2, [])])
def test_a_gpu_that_idles_while_memory_is_held(busy: float, held: float, expected: list[str]) -> None:
    decisions, _ = run(_gpu_ticks(busy, held * GIB, 80), rules(IDLE))
    assert [each.target.name for each in decisions if each.target] == expected


def test_memory_of_a_gpu_that_no_living_process_holds_warns_and_names_nobody() -> None:
    table = {"name": "dead", "metric": "gpu.memory_orphaned", "above": "1GiB", "for": "10s"}
    decisions, _ = run(_gpu_ticks(0.0, 20 * GIB, 30, orphaned=8.0 * GIB), rules(table))
    assert [(each.instance, each.target) for each in decisions] == [("GPU-1", None)]
    assert run(_gpu_ticks(0.0, 20 * GIB, 30), rules(table))[0] == []


def test_more_than_on_earlier_days_at_this_hour() -> None:
    """The load of every day at this hour is no news; the same load an hour later is."""

    def fired(hour: int) -> list[Decision]:
        compiled = rules({"name": "r", "metric": "seasonal(cpu.utilization)", "above": "30%"})
        hours = [0.8 if at % 24 == 9 else 0.1 for at in range(24 * 4 + hour)] + [0.8]
        return run([tick(at * 3600.0, {"cpu.utilization": value}) for at, value in enumerate(hours)], compiled)[0]

    assert fired(9) == []
    assert len(fired(11)) == 1


def test_mounts_sockets_and_what_serves_a_mount_never_give_way() -> None:
    names = ("home.mount", "dbus.socket", "dev-sda2.swap", "job.service", "run-u1.scope")
    groups = [cgroup(f"/system.slice/{name}", inode=n, anonymous_bytes=GIB) for n, name in enumerate(names)]
    serving = process(10, "sshfs", cgroup="/system.slice/home.mount", memory_bytes=2 * GIB)
    machine = snapshot(cgroups=groups, processes=[serving, process(11, "job", memory_bytes=GIB)])
    values: dict[str, float | None] = {"memory.utilization": 0.99}

    def decide(scope: str) -> Decision:
        table = {"name": "r", "level": "hard", "metric": "memory.utilization", "above": 0.9, "scope": scope}
        return run([tick(0, values, machine)], rules(table))[0][0]

    assert {each.name for each in decide("unit").candidates} == {"job.service", "run-u1.scope"}
    by_name = {each.name: each.protected for each in decide("process").candidates}
    assert by_name == {"job": None, "sshfs": "it serves home.mount"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("memory.available", "memory.available"),
        (
            "share(plus(memory.available, memory.zfs_arc_reclaimable), memory.total)",
            "(memory.available + memory.zfs_arc_reclaimable) as a share of memory.total",
        ),
        ("mean(pressure.memory.full.share, 20s)", "mean of pressure.memory.full.share over 20s"),
        ("exhaustion(memory.available, 30s)", "time until memory.available is used up"),
        ("idle(gpu.utilization, 5%)", "time since gpu.utilization was above 5 %"),
        ("idle(gpu.memory_used, 1GiB)", "time since gpu.memory_used was above 1.0 GiB"),
        ("seasonal(cpu.utilization)", "cpu.utilization against the same hour of earlier days"),
        ("rate(disk.read, 1min)", "increase a second of disk.read over 1m"),
        ("p95(cpu.load_1m, 10min)", "95th percentile of cpu.load_1m over 10m"),
        ("minus(memory.total, memory.available)", "memory.total - memory.available"),
        ("gone_in_this_release(x)", "gone_in_this_release(x)"),
    ],
)
def test_conditions_are_said_as_people_say_them(written: str, said: str) -> None:
    assert say(written) == said


def test_decisions_speak_of_conditions_as_people_do() -> None:
    table = {"name": "r", "metric": "mean(memory.utilization, 2s)", "above": "50%"}
    decisions, _ = run([tick(at, {"memory.utilization": 0.9}) for at in range(5)], rules(table))
    assert decisions[0].evidence[0].words == "mean of memory.utilization over 2s"
    assert "mean of memory.utilization over 2s 0.9 above 0.5" in str(decisions[0])
