"""The unit for people who only want to watch."""

import time
from collections.abc import Iterator

import pytest

from tests.system.asking import get, status_as
from tests.system.machine import Machine


@pytest.fixture(scope="module")
def watching(machine: Machine) -> Iterator[None]:
    machine.run("systemctl start resourced-readonly")
    yield
    machine.run("systemctl stop resourced-readonly; systemctl start resourced")


@pytest.mark.usefixtures("watching")
def test_it_takes_the_place_of_the_other(machine: Machine) -> None:
    shown = machine.run("systemctl show -P ActiveState resourced resourced-readonly resourced.socket").split()
    assert shown == ["inactive", "active", "active"]
    assert status_as(machine, "alice", "/resources/memory") == "200"
    assert status_as(machine, "bob", "/resources/memory") == "refused"
    machine.run("curl -sS --fail http://127.0.0.1:8414/readyz")
    # Callers must not wake the other one up, which would end this one.
    assert machine.run("systemctl is-active resourced-readonly") == "active"


@pytest.mark.usefixtures("watching")
def test_it_has_no_capability(machine: Machine) -> None:
    status = machine.run("cat /proc/$(systemctl show -P MainPID resourced-readonly)/status")
    for line in status.splitlines():
        if line.startswith(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")):
            assert int(line.split()[1], 16) == 0, line


@pytest.mark.usefixtures("watching")
def test_it_still_sees_the_machine(machine: Machine) -> None:
    seen = get(machine, "/resources/all")
    told = {name: health["status"] for name, health in seen["collectors"].items()}
    assert {name for name, status in told.items() if status not in ("ok", "absent")} == set(), told
    assert set(seen["network"]["interfaces"]) - {"lo"}
    names = {each["name"] for each in get(machine, "/resources/processes")["processes"]["items"]}
    assert {"systemd", "sshd"} <= names


@pytest.mark.usefixtures("watching")
def test_it_tells_users_apart(machine: Machine) -> None:
    alice, bob = (int(machine.run(f"id -u {name}")) for name in ("alice", "bob"))
    for name in ("alice", "bob"):
        machine.run(f"systemd-run -q --unit of-{name} -p Type=exec -p User={name} sleep 300")
    try:
        # A sample may come without those who have just begun: the emulated machine reads processes late at times.
        ends, found = time.monotonic() + 60, set[int]()
        while not found >= {alice, bob} and time.monotonic() < ends:
            seen = get(machine, "/resources/processes?fresh=1&limit=1000")["processes"]["items"]
            found = {each["uid"] for each in seen if each["name"] == "sleep"}
        assert found >= {alice, bob}
    finally:
        machine.run("systemctl stop of-alice of-bob")
