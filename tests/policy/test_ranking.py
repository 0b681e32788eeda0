from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.config_rules import SelectorConfig
from resourced.decision import Candidate
from resourced.policy import Myself, Preference, Tick, Workload, shield_of
from resourced.policy.candidates import Population
from resourced.policy.ranking import eligible, rank
from resourced.snapshot import Snapshot
from resourced.snapshot.gpus import GpuProcess
from tests.policy.fakes import GIB, MIB, cgroup, gpu, process, rules, snapshot, tick

BASE: dict[str, Any] = {"name": "r", "level": "hard", "metric": "memory.available", "below": "5%"}


def ranked(machine: Snapshot, at: Tick | None = None, shield: Any = None, **table: Any) -> list[Candidate]:
    (rule,) = rules(BASE | table, shield=shield)
    return rank(Population(at or tick(0, {}, machine), rule.resource), rule, {})


def names(candidates: list[Candidate]) -> list[str]:
    return [each.name for each in candidates if eligible(each)]


def protected(candidates: list[Candidate]) -> dict[str, str]:
    return {each.name: each.protected for each in candidates if each.protected}


def test_terms_add_up_to_the_score() -> None:
    machine = snapshot(processes=[process(n, f"p{n}", memory_bytes=n * GIB) for n in (3, 4, 5)])
    for each in ranked(machine, scope="process", rank=["largest", "newest", "fastest_growing"]):
        assert each.score == pytest.approx(sum(each.terms.values()))
        assert set(each.terms) == {"largest", "newest", "fastest_growing"}


def test_ties_are_broken_by_size_then_identity_whatever_the_order() -> None:
    items = [process(n, f"p{n}", memory_bytes=2 * GIB) for n in range(10, 20)]
    straight = names(ranked(snapshot(processes=items), scope="process"))
    assert straight == names(ranked(snapshot(processes=items[::-1]), scope="process"))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 999)), min_size=1, max_size=30))
def test_the_first_has_the_highest_score_of_all_that_may_be_pruned(rows: list[tuple[int, int]]) -> None:
    items = [process(10 + n, f"p{n}", memory_bytes=size * GIB, nice=nice % 20) for n, (size, nice) in enumerate(rows)]
    found = ranked(snapshot(processes=items), scope="process", rank=["lowest_priority", "largest"])
    free = [each for each in found if eligible(each)]
    assert [each.score for each in free] == sorted((each.score for each in free), reverse=True)
    assert len(found) == len(rows)


@pytest.mark.parametrize(
    ("strategy", "first"),
    [("largest", "big"), ("fastest_growing", "growing"), ("newest", "new"), ("lowest_priority", "nice")],
)
def test_strategies(strategy: str, first: str) -> None:
    machine = snapshot(
        processes=[
            process(10, "big", memory_bytes=8 * GIB, memory_growth_bytes_per_second=1.0),
            process(11, "growing", memory_bytes=4 * GIB, memory_growth_bytes_per_second=1e8),
            process(12, "new", memory_bytes=2 * GIB, start_time_ticks=9999),
            process(13, "nice", memory_bytes=2 * GIB, nice=19),
        ]
    )
    assert names(ranked(machine, scope="process", rank=strategy))[0] == first


def test_most_reclaim_looks_at_the_cgroup() -> None:
    machine = snapshot(
        cgroups=[
            cgroup("/a/thrash.service", anonymous_bytes=GIB, reclaim_scanned_pages_per_second=9e4),
            cgroup("/a/large.service", anonymous_bytes=8 * GIB, reclaim_scanned_pages_per_second=10.0),
        ]
    )
    assert names(ranked(machine, rank=["most_reclaim"])) == ["thrash.service", "large.service"]


def test_the_user_furthest_over_the_fair_share_goes_first() -> None:
    machine = snapshot(
        processes=[
            process(10, "one-large", uid=1001, memory_bytes=5 * GIB),
            *(process(20 + n, f"many{n}", uid=1002, memory_bytes=2 * GIB) for n in range(4)),
        ]
    )
    assert names(ranked(machine, scope="process"))[0] == "one-large"
    assert names(ranked(machine, scope="process", rank={"over_share": 1, "largest": 0.1}))[0].startswith("many")
    assert names(ranked(machine, scope="user", rank=["over_share"])) == ["user 1002", "user 1001"]


def test_idle_gpu_memory() -> None:
    on = [
        GpuProcess(10, "compute", 8 * GIB, 0.9, None, alive=True),
        GpuProcess(11, "compute", 4 * GIB, 0.0, None, alive=True),
    ]
    dead = GpuProcess(99, "compute", 30 * GIB, None, None, alive=False)
    machine = snapshot(
        processes=[process(10, "busy"), process(11, "idle")],
        gpus={"G": gpu(0, [*on, dead], memory_total_bytes=24 * GIB)},
    )
    table: dict[str, Any] = {"metric": "gpu.memory_utilization", "below": 0.5, "scope": "gpu_process"}
    found = ranked(machine, rank=["gpu_idle_memory"], **table)
    assert names(found) == ["idle", "busy"]
    assert found[0].gpu == "G"
    assert found[0].expected_gain == 4 * GIB


def test_a_tree_is_counted_whole_and_the_shell_above_it_is_not_in_it() -> None:
    session = "/user.slice/user-1000.slice/session-3.scope"
    machine = snapshot(
        processes=[
            process(10, "bash", session=10, cgroup=session, memory_bytes=9 * GIB),
            process(11, "make", session=10, ppid=10, cgroup=session, memory_bytes=MIB),
            process(12, "cc1", session=10, ppid=11, cgroup=session, memory_bytes=GIB),
            process(13, "cc1", session=10, ppid=11, cgroup=session, memory_bytes=GIB),
        ]
    )
    found = ranked(machine, scope="tree")
    assert [(each.name, each.usage) for each in found if eligible(each)] == [("make", 2 * GIB + MIB)]
    assert protected(found) == {"bash": "it leads someone's session"}


def test_units_are_not_slices_and_slices_not_units() -> None:
    nodes = [
        cgroup("/app.slice", anonymous_bytes=5 * GIB),
        cgroup("/app.slice/a.service", anonymous_bytes=3 * GIB),
        cgroup("/app.slice/a.service/inner", unit="a.service", anonymous_bytes=3 * GIB),
        cgroup("/docker/abc", unit=None, anonymous_bytes=3 * GIB),
    ]
    assert names(ranked(snapshot(cgroups=nodes))) == ["a.service"]
    assert names(ranked(snapshot(cgroups=nodes), scope="slice")) == ["app.slice"]


def test_workloads_by_priority() -> None:
    machine = snapshot(
        processes=[process(10, "py", memory_bytes=GIB)], cgroups=[cgroup("/a/t.scope", anonymous_bytes=8 * GIB)]
    )
    leases = (
        Workload("1", "notebook", pid=10, priority=-5),
        Workload("2", "training", cgroup="/a/t.scope", priority=5),
        Workload("3", "gone", pid=77),
    )
    found = ranked(machine, tick(0, {}, machine, workloads=leases), scope="workload", rank=["lowest_priority"])
    assert names(found) == ["notebook", "training"]


ESSENTIAL = [
    (process(1, "systemd"), "it is the first process"),
    (process(2, "kthreadd"), "it is a kernel thread"),
    (process(5, "kworker/0:1", ppid=2), "it is a kernel thread"),
    (process(10, "sshd"), "sshd is essential"),
    (process(10, "dbus-daemon"), "dbus-daemon is essential"),
    (process(10, "systemd-journal"), "systemd-journal is essential"),
    (process(10, "systemd-logind"), "systemd-logind is essential"),
    (process(10, "gdm-x-session"), "gdm-x-session is essential"),
    (process(10, "bash", session=10, cgroup="/u/session-3.scope"), "it leads someone's session"),
    (process(10, "db", oom_score_adj=-1000), "it has an OOM score adjustment of -1000"),
    (process(4242, "python"), "it is resourced itself"),
    (process(4000, "python"), "resourced was started by it"),
]


@pytest.mark.parametrize(("who", "reason"), ESSENTIAL)
@pytest.mark.parametrize("scope", ["process", "tree"])
def test_these_are_never_pruned(who: Any, reason: str, scope: str) -> None:
    machine = snapshot(processes=[who])
    at = tick(0, {}, machine, myself=Myself(4242, frozenset({4000}), "/system.slice/resourced.service"))
    (found,) = ranked(machine, at, scope=scope, min_gain=0)
    assert found.protected is not None
    assert reason in found.protected.replace(f"{who.name} (pid {who.pid}) in it", "it")


@pytest.mark.parametrize(
    "path",
    [
        "/init.scope",
        "/system.slice/ssh.service",
        "/system.slice/dbus.service",
        "/system.slice/systemd-udevd.service",
        "/system.slice/resourced.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service",
    ],
)
def test_these_units_are_never_pruned(path: str) -> None:
    (found,) = ranked(snapshot(cgroups=[cgroup(path, anonymous_bytes=GIB)]))
    assert found.protected


@pytest.mark.parametrize("path", ["/system.slice", "/user.slice", "/sys.slice"])
def test_slices_with_the_system_in_them_are_never_pruned(path: str) -> None:
    at = snapshot(cgroups=[cgroup(path, anonymous_bytes=GIB)], processes=[process(9, "sshd", cgroup=f"{path}/x")])
    (found,) = ranked(at, scope="slice")
    assert found.protected


def test_root_is_never_pruned_as_a_user_nor_is_the_unit_of_resourced() -> None:
    machine = snapshot(
        processes=[process(5, "x", uid=0, memory_bytes=GIB), process(6, "y", memory_bytes=GIB)],
        cgroups=[cgroup("/app.slice/mine.service", anonymous_bytes=GIB)],
    )
    assert names(ranked(machine, scope="user")) == ["user 1000"]
    at = tick(0, {}, machine, myself=Myself(77, cgroup="/app.slice/mine.service/inner"))
    assert protected(ranked(machine, at)) == {"mine.service": "resourced runs in it"}


@pytest.mark.parametrize(
    ("preference", "order", "shielded"),
    [
        (Preference("omit", 0), ["small.service"], 1),
        (Preference("omit", 1000, 1000), ["small.service"], 1),
        (Preference("omit", 1000, 0), ["large.service", "small.service"], 0),
        (Preference("avoid", 0), ["small.service", "large.service"], 0),
        (Preference("avoid", 1000, 0), ["large.service", "small.service"], 0),
    ],
)
def test_oomd_preferences_count_if_their_owner_may_say_so(
    preference: Preference, order: list[str], shielded: int
) -> None:
    nodes = [cgroup("/a/large.service", anonymous_bytes=8 * GIB), cgroup("/a/small.service", anonymous_bytes=GIB)]
    machine = snapshot(cgroups=nodes)
    found = ranked(machine, tick(0, {}, machine, preferences={"/a/large.service": preference}))
    assert names(found) == order
    assert len(protected(found)) == shielded


def test_memory_min_protects_and_memory_low_puts_last() -> None:
    nodes = [
        cgroup("/a/min.service", anonymous_bytes=8 * GIB, memory_min_bytes=9 * GIB),
        cgroup("/a/low.service", anonymous_bytes=7 * GIB, memory_low_bytes=9 * GIB),
        cgroup("/a/free.service", anonymous_bytes=GIB),
    ]
    found = ranked(snapshot(cgroups=nodes))
    assert names(found) == ["free.service", "low.service"]
    assert "memory.min" in protected(found)["min.service"]


MANAGER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    "place",
    ["app.slice/ssh.service", "app.slice/session-9.scope", "app.slice/hidden", "app.slice/hidden.mount", "hidden"],
)
def test_nobody_escapes_by_a_name_or_a_place_in_a_tree_of_their_own(place: str) -> None:
    path = f"{MANAGER}/{place}"
    unit = place.rpartition("/")[2] if "." in place.rpartition("/")[2] else "user@1000.service"
    nodes = [
        cgroup(MANAGER, anonymous_bytes=9 * GIB),
        cgroup(f"{MANAGER}/app.slice", anonymous_bytes=9 * GIB),
        cgroup(path, unit=unit, anonymous_bytes=8 * GIB, memory_min_bytes=9 * GIB),
        cgroup("/system.slice/none.mount", anonymous_bytes=8 * GIB),
    ]
    leader = process(10, session=10, cgroup=path, memory_bytes=8 * GIB)
    machine = snapshot(cgroups=nodes, processes=[leader])
    assert names(ranked(machine)) == [place.rpartition("/")[2]]
    assert names(ranked(machine, scope="process")) == ["job"]


def test_what_carries_a_users_own_session_goes_last() -> None:
    nodes = [
        cgroup(f"{MANAGER}/app.slice/dbus.service", anonymous_bytes=8 * GIB),
        cgroup(f"{MANAGER}/init.scope", anonymous_bytes=8 * GIB),
        cgroup(f"{MANAGER}/app.slice/job.service", anonymous_bytes=GIB),
    ]
    assert names(ranked(snapshot(cgroups=nodes)))[0] == "job.service"


def test_a_program_that_thrashes_is_not_taken_for_one_that_is_stuck() -> None:
    stuck, thrashing = {"cpu_utilization": 0.0, "io_read_bytes_per_second": 0.0}, {"cpu_utilization": 0.01}
    items = [
        process(10, "stuck", state="D", memory_bytes=8 * GIB, **stuck),
        process(11, "thrashing", state="D", memory_bytes=4 * GIB, **thrashing),
        process(12, "reading", state="D", memory_bytes=3 * GIB, **(stuck | {"io_read_bytes_per_second": 1e6})),
        process(13, "new", state="D", memory_bytes=2 * GIB),
    ]
    assert names(ranked(snapshot(processes=items), scope="process")) == ["thrashing", "reading", "new"]


def test_configuration_protects_excepts_restricts_and_prefers() -> None:
    nodes = [cgroup(f"/a.slice/{name}.service", anonymous_bytes=8 * GIB, inode=n) for n, name in enumerate("abcd")]
    machine = snapshot(cgroups=nodes)
    shield = shield_of(SelectorConfig(units=("a.*",)), {"d.service": -10})
    found = ranked(
        machine,
        shield=shield,
        only={"slices": ["a.slice"]},
        rank=["lowest_priority"],
        except_={"units": ["b.service"]},
    )
    assert names(found)[0] == "d.service"
    assert protected(found) == {"a.service": "the configuration protects it", "b.service": "rule r excepts it"}
    assert names(ranked(machine, only={"users": ["7"], "units": ["c*"]})) == ["c.service"]


@pytest.mark.parametrize(
    ("resource", "usage"), [("swap", 5), ("cpu", 2.5), ("io", 30), ("pids", 7), ("gpu_memory", 0), ("memory", 9)]
)
def test_usage_is_that_of_the_resource(resource: str, usage: float) -> None:
    one = process(
        10,
        memory_bytes=9,
        swap_bytes=5,
        cpu_utilization=2.5,
        io_read_bytes_per_second=10.0,
        io_write_bytes_per_second=20.0,
        threads=7,
    )
    node = cgroup(
        "/a/b.service",
        anonymous_bytes=9,
        swap_bytes=5,
        cpu_utilization=2.5,
        io_read_bytes_per_second=10.0,
        io_write_bytes_per_second=20.0,
        pids=7,
    )
    machine = snapshot(processes=[process(11, cgroup="/a/b.service"), one], cgroups=[node])
    for scope in ("process", "unit"):
        found = ranked(machine, scope=scope, resource=resource, min_gain=0)
        assert usage in [each.usage for each in found]


def test_what_is_not_known_is_not_zero() -> None:
    (found,) = ranked(snapshot(cgroups=[cgroup("/a/b.service")]))
    assert found.usage is None
    assert not eligible(found)


def test_a_unit_that_fills_shared_memory_is_not_small() -> None:
    machine = snapshot(
        cgroups=[
            cgroup("/system.slice/innocent.service", memory_bytes=600 * MIB, anonymous_bytes=500 * MIB, shmem_bytes=0),
            cgroup("/system.slice/hog.service", memory_bytes=900 * MIB, anonymous_bytes=7 * MIB, shmem_bytes=800 * MIB),
        ],
        total=2 * GIB,
    )
    [rule] = rules({"name": "r", "level": "hard", "metric": "memory.available", "below": "5%", "min_gain": "2%"})

    ranked = rank(Population(tick(0, {}, machine), "memory"), rule, {})

    assert [each.name for each in ranked] == ["hog.service", "innocent.service"]
    assert ranked[0].expected_gain == 807 * MIB
