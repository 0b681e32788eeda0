"""Upgrade, downgrade and purge of the package."""

import subprocess
from pathlib import Path

import pytest

from tests.system.asking import get, pid
from tests.system.machine import Machine
from tests.system.test_restart import samples

# The first one is that of [sampling].
MINE = "sed -i '0,/^#interval = .*/s//interval = \"2s\"  # mine/' /etc/resourced/resourced.toml"


@pytest.fixture(scope="module")
def newer(machine: Machine, package: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Put a package of the next version, with another default configuration, into the machine."""
    directory = tmp_path_factory.mktemp("newer")
    tree = directory / "tree"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = (tree / "DEBIAN/control").read_text().replace("\nVersion: ", "\nVersion: 1:")
    (tree / "DEBIAN/control").write_text(control)
    configuration = tree / "etc/resourced/resourced.toml"
    configuration.write_text(f"# Of the next version.\n{configuration.read_text()}")
    made = directory / "newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, made], check=True, capture_output=True)
    machine.put(made, "/root/newer.deb")


@pytest.mark.usefixtures("newer")
def test_an_upgrade_keeps_the_configuration_and_the_history(machine: Machine) -> None:
    kept, before = samples(machine), pid(machine)
    machine.run(MINE)
    machine.run("dpkg --force-confdef --force-confold -i /root/newer.deb")
    assert pid(machine) != before
    assert "# mine" in machine.run("cat /etc/resourced/resourced.toml")
    assert "Of the next version" in machine.run("cat /etc/resourced/resourced.toml.dpkg-dist")
    assert get(machine, "/healthz")["sampling"]["interval_seconds"] == 2.0
    assert samples(machine) >= kept - 12
    machine.run("systemctl is-active resourced.service resourced.socket")


@pytest.mark.usefixtures("newer")
def test_a_downgrade_keeps_them_too(machine: Machine) -> None:
    kept = samples(machine)
    machine.run("dpkg --force-confdef --force-confold -i /root/resourced.deb")
    assert "# mine" in machine.run("cat /etc/resourced/resourced.toml")
    assert samples(machine) >= kept - 12
    assert machine.run("journalctl -q -u resourced RESOURCED_EVENT=store_set_aside") == ""


@pytest.mark.usefixtures("newer")
def test_a_disabled_daemon_stays_so(machine: Machine) -> None:
    machine.run("systemctl disable --now resourced.service resourced.socket")
    machine.run("dpkg --force-confdef --force-confold -i /root/newer.deb")
    shown = machine.run("systemctl show -P ActiveState resourced.service resourced.socket").split()
    assert shown == ["inactive", "inactive"]


def test_a_removal_keeps_what_is_the_owners(machine: Machine) -> None:
    machine.run("systemctl enable --now resourced.socket resourced.service")
    machine.run("dpkg -r resourced")
    assert machine.attempt("pgrep -x resourced")[0] == 1
    assert machine.attempt("test -S /run/resourced/resourced.sock")[0] == 1
    machine.run("test -f /etc/resourced/resourced.toml && test -f /var/lib/resourced/history.db")


def test_a_purge_leaves_nothing(machine: Machine) -> None:
    machine.run("dpkg -P resourced")
    left = "find / -xdev -path /proc -prune -o -path /root -prune -o -name '*resourced*' -print"
    found = [
        line for line in machine.run(left).splitlines() if not line.startswith(("/var/lib/systemd/coredump", "/tmp"))
    ]
    assert found == []
    assert machine.attempt("getent passwd resourced")[0] == 2
    assert machine.attempt("getent group resourced-admin")[0] == 2 or "carol" in machine.run(
        "getent group resourced-admin"
    )
