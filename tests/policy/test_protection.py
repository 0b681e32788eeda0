"""Who may not be pruned: in every scope, whoever is protected saves what he lives in."""

from typing import Any

import pytest

from resourced.config_rules import SelectorConfig
from resourced.decision import Candidate
from resourced.policy import Myself, Preference, Workload, shield_of
from resourced.policy.candidates import Population
from resourced.policy.ranking import eligible, rank
from resourced.policy.rule import Selector
from resourced.snapshot import Snapshot
from resourced.snapshot.gpus import GpuProcess
from tests.policy.fakes import GIB, MIB, cgroup, gpu, process, rules, snapshot, tick

SHELL = "/batch.slice/shell.scope"
MACHINE = snapshot(
    cgroups=[cgroup("/batch.slice", anonymous_bytes=6 * GIB), cgroup(SHELL, anonymous_bytes=6 * GIB)],
    processes=[
        process(4, "bash", cgroup=SHELL, memory_bytes=MIB),
        process(5, "postgres", ppid=4, cgroup=SHELL, memory_bytes=5 * GIB),
    ],
    gpus={"G": gpu(0, [GpuProcess(5, "compute", GIB, 0.0, None, alive=True)], memory_total_bytes=8 * GIB)},
)
WHOLE = (Workload("1", "the shell", pid=4, cgroup=SHELL, uid=1000),)
HOLDERS = {"tree": "bash", "unit": "shell.scope", "slice": "batch.slice", "user": "user 1000", "workload": "the shell"}
"""What holds postgres, by scope."""


def ranked(
    machine: Snapshot,
    *,
    protect: dict[str, Any] | None = None,
    leases: tuple[Workload, ...] = WHOLE,
    wishes: dict[str, Preference] | None = None,
    myself: Myself | None = None,
    **table: Any,
) -> list[Candidate]:
    base: dict[str, Any] = {"name": "r", "level": "hard", "metric": "memory.available", "below": "5%", "min_gain": 0}
    shield = shield_of(SelectorConfig(**protect)) if protect else None
    (rule,) = rules(base | table, shield=shield)
    at = tick(0, {}, machine, workloads=leases, preferences=wishes, myself=myself)
    return rank(Population(at, rule.resource), rule, {})


def protected(found: list[Candidate]) -> dict[str, str | None]:
    return {each.name: each.protected for each in found}


def names(found: list[Candidate]) -> list[str]:
    return [each.name for each in found if eligible(each)]


@pytest.mark.parametrize("scope", HOLDERS)
def test_a_protected_process_saves_what_holds_it_and_is_named(scope: str) -> None:
    holder = HOLDERS[scope]
    assert names(ranked(MACHINE, scope=scope)) == [holder]

    by_configuration = ranked(MACHINE, scope=scope, protect={"processes": ("mysqld", "post*")})
    by_rule = ranked(MACHINE, scope=scope, except_={"processes": ["postgres"]})

    assert protected(by_configuration) == {holder: "it holds postgres (pid 5), which the configuration protects"}
    assert protected(by_rule) == {holder: "it holds postgres (pid 5), which rule r excepts"}


@pytest.mark.parametrize("scope", ["process", "gpu_process"])
def test_a_protected_process_saves_nobody_beside_it(scope: str) -> None:
    found = protected(ranked(MACHINE, scope=scope, protect={"processes": ("postgres",)}))
    assert found.pop("postgres") == "the configuration protects it"
    assert set(found.values()) <= {None}


@pytest.mark.parametrize("scope", ["process", "gpu_process", *HOLDERS])
@pytest.mark.parametrize(
    "selector", [{"users": ("1000",)}, {"units": ("shell.*",)}, {"slices": ("batch.slice",)}], ids=str
)
def test_users_units_and_slices_are_protected_in_every_scope(scope: str, selector: dict[str, Any]) -> None:
    assert names(ranked(MACHINE, scope=scope, protect=selector)) == []
    assert names(ranked(MACHINE, scope=scope, except_=selector)) == []
    others = {"users": ("7",), "units": ("other.*",), "slices": ("app.slice",), "processes": ("bas", "gres")}
    assert names(ranked(MACHINE, scope=scope, protect=others))


@pytest.mark.parametrize("scope", ["unit", "slice"])
def test_a_protected_user_saves_what_he_shares_with_others(scope: str) -> None:
    shared = snapshot(
        cgroups=[cgroup("/batch.slice", anonymous_bytes=6 * GIB), cgroup(SHELL, anonymous_bytes=6 * GIB)],
        processes=[process(4, "bash", cgroup=SHELL), process(5, "job", uid=7, cgroup=SHELL)],
    )
    found = protected(ranked(shared, scope=scope, protect={"users": ("7",)}))
    assert found == {HOLDERS[scope]: "it holds job (pid 5), which the configuration protects"}


def test_a_protected_unit_saves_its_slice_and_the_user_whose_it_is() -> None:
    inner = cgroup("/batch.slice/db.service/worker", unit="db.service", anonymous_bytes=GIB)
    beside = cgroup("/app.slice", anonymous_bytes=GIB)
    machine = snapshot(
        cgroups=[cgroup("/batch.slice", anonymous_bytes=GIB), inner, beside],
        processes=[process(5, "job", cgroup=inner.path), process(6, "job", uid=1001, cgroup="/app.slice/a.service")],
    )
    for scope, free in (("slice", ["app.slice"]), ("user", ["user 1001"])):
        assert names(ranked(machine, scope=scope, protect={"units": ("db.service",)})) == free


def test_nobody_is_looked_at_for_what_nobody_has_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Selector, "matches", None)
    for scope, holder in HOLDERS.items():
        assert names(ranked(MACHINE, scope=scope)) == [holder]


@pytest.mark.parametrize(
    ("scope", "processes", "free"),
    [
        ("process", ["postgres"], ["postgres"]),
        ("gpu_process", ["postgres"], ["postgres"]),
        ("gpu_process", ["bash"], []),
        ("tree", ["bash"], ["bash"]),
        ("tree", ["postgres"], []),
        ("unit", ["postgres"], []),
        ("unit", ["shell*"], []),
        ("unit", ["postgres", "bash"], ["shell.scope"]),
        ("slice", ["postgres", "bash"], ["batch.slice"]),
        ("user", ["bash"], []),
        ("user", ["bash", "post*"], ["user 1000"]),
        ("workload", ["the*"], []),
        ("workload", ["bash", "post*"], ["the shell"]),
    ],
)
def test_a_rule_about_some_only_takes_nobody_else_with_them(scope: str, processes: list[str], free: list[str]) -> None:
    assert names(ranked(MACHINE, scope=scope, only={"processes": processes})) == free


def test_nobody_shields_himself_or_is_left_out_by_the_name_under_which_he_registers() -> None:
    leases = (Workload("1", "postgres", pid=4, uid=1000), Workload("2", "mine", pid=5, uid=1000))
    assert names(ranked(MACHINE, scope="workload", leases=leases, protect={"processes": ("postgres",)})) == ["postgres"]
    assert names(ranked(MACHINE, scope="workload", leases=leases, only={"processes": ["bash"]})) == ["postgres"]


SESSION = "/user.slice/user-1000.slice/session-3.scope"


@pytest.mark.parametrize(
    ("place", "guarantee"),
    [
        (SESSION, {}),
        ("/system.slice/farm.service", {"memory_min_bytes": 9 * GIB}),
        ("/system.slice/farm.service", {"memory_low_bytes": 9 * GIB}),
    ],
)
def test_a_registered_process_is_not_taken_for_the_unit_in_which_it_lives(
    place: str, guarantee: dict[str, Any]
) -> None:
    machine = snapshot(
        cgroups=[cgroup(place, anonymous_bytes=8 * GIB, **guarantee)],
        processes=[process(10, "train", cgroup=place, memory_bytes=2 * GIB)],
    )
    one, whole = (Workload("1", "training", pid=10),), (Workload("1", "training", pid=10, cgroup=place),)
    myself = Myself(4242, cgroup=f"{place}/inner")

    (single,) = ranked(machine, scope="workload", leases=one, myself=myself)
    (unit,) = ranked(machine, scope="workload", leases=whole)

    assert (single.protected, single.note) == (None, None)
    assert unit.protected or unit.note
    assert protected(ranked(machine, scope="workload", leases=whole, myself=myself))["training"]


def test_a_user_of_the_system_without_whom_nobody_gets_in_is_no_candidate_and_a_person_is() -> None:
    machine = snapshot(
        processes=[
            process(5, "dbus-daemon", uid=101),
            process(6, "exporter", uid=102),
            process(7, "systemd", uid=1000),
            process(8, "job", uid=1000),
        ]
    )
    found = protected(ranked(machine, scope="user"))
    assert found == {"user 101": "it holds dbus-daemon (pid 5)", "user 102": None, "user 1000": None}


OMIT = {
    "/batch.slice/a.service": Preference("omit", 0),
    "/app.slice/b.service": Preference("omit", 1001, 0),
    "/user.slice": Preference("omit", 0),
}


@pytest.mark.parametrize(("scope", "free"), [("slice", ["app.slice"]), ("user", ["user 1001", "user 1002"])])
def test_what_its_owner_asked_to_omit_saves_the_slice_and_the_user_that_hold_it(scope: str, free: list[str]) -> None:
    places = {1000: "/batch.slice/a.service/inner", 1001: "/app.slice/b.service", 1002: "/user.slice/c.scope"}
    machine = snapshot(
        cgroups=[cgroup(f"/{name}.slice", anonymous_bytes=GIB) for name in ("batch", "app", "user")],
        processes=[process(uid, uid=uid, cgroup=path, memory_bytes=GIB) for uid, path in places.items()],
    )
    found = ranked(machine, scope=scope, wishes=OMIT)
    assert sorted(names(found)) == free
    assert "it holds a.service, whose owner asked to omit it (ManagedOOMPreference=omit)" in protected(found).values()
