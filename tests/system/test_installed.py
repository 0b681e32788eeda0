"""What the package leaves on the machine."""

import re

from tests.system.asking import get
from tests.system.machine import Machine


def test_it_runs_as_soon_as_it_is_installed(machine: Machine) -> None:
    machine.run("systemctl is-active resourced.service resourced.socket")
    machine.run("systemctl is-enabled resourced.service resourced.socket")
    ready = machine.json("journalctl -u resourced -o json -n 1 RESOURCED_EVENT=daemon_ready")
    print(f"ready after {ready['RESOURCED_SECONDS']} s of the emulated machine")
    assert "sample" in machine.run("systemctl show -P StatusText resourced")


def test_it_has_a_user_of_its_own_and_needs_no_other_place(machine: Machine) -> None:
    shown = machine.run(
        "stat -c '%U:%G:%a' /var/lib/resourced /run/resourced/resourced.sock /etc/resourced/resourced.toml"
    )
    assert shown.split() == ["resourced:resourced:750", "root:resourced:660", "root:root:644"]
    assert machine.run("ps -o user= -C resourced").split() == ["resource"] or "resourced" in machine.run(
        "ps -o user:20= -C resourced"
    )
    machine.run("getent group resourced-admin")
    assert machine.run("dpkg --verify resourced") == ""


def test_the_manual_and_the_completions_are_there(machine: Machine) -> None:
    files = machine.run("dpkg -L resourced").splitlines()
    for wanted in ("man8/resourced.8.gz", "man1/resourcectl.1.gz", "man5/resourced.toml.5.gz", "_resourcectl"):
        assert any(name.endswith(wanted) for name in files), wanted
    completed = machine.run("COMP_WORDS='resourcectl hi' COMP_CWORD=1 _RESOURCECTL_COMPLETE=bash_complete resourcectl")
    assert completed == "plain,history"


def test_nothing_is_compiled_or_downloaded_when_it_starts(machine: Machine) -> None:
    assert machine.run("find /usr/lib/resourced -newer /var/lib/dpkg/info/resourced.list -type f") == ""


def test_its_exposure_is_small(machine: Machine) -> None:
    for unit, most in (("resourced", 1.5), ("resourced-readonly", 1.0)):
        told = machine.run(f"systemd-analyze security --no-pager {unit}.service | tail -n 1")
        found = re.search(r": ([\d.]+) ", told)
        assert found is not None, told
        assert float(found[1]) <= most, told
    machine.run("systemd-analyze verify --man=no resourced.service resourced-readonly.service resourced.socket")


def test_every_collector_works_in_the_sandbox(machine: Machine) -> None:
    machine.until("resourcectl --json status | grep -q uptime")
    machine.run("sleep 3")
    seen = get(machine, "/resources/all")
    told = {name: health["status"] for name, health in seen["collectors"].items()}
    assert {name for name, status in told.items() if status not in ("ok", "absent")} == set(), told
    assert {name for name, status in told.items() if status == "absent"} <= {"sensors", "gpus"}
    # It sees the machine's network, though its own has nothing in it.
    assert set(seen["network"]["interfaces"]) - {"lo"}
    assert "/" in seen["filesystems"]["mounts"]
    assert seen["pressure"]["memory"] is not None
    processes = get(machine, "/resources/processes")
    assert processes["processes"]["unreadable"] == 0
    foreign = [each for each in processes["processes"]["items"] if each["name"] == "systemd-journal"]
    assert foreign[0]["io_write_bytes"] > 0  # what only those may read who may trace the process
