"""Those who are hard to see or hard to end, under the installed service: who is chosen, and what becomes of it."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.asking import configure, get
from tests.system.machine import Machine
from tests.system.storm import programs

DROP_IN = "/etc/resourced/resourced.toml.d/50-nasty.toml"
# Only these are what the rules here are about.
NASTY, OTHER = "nasty.service", "other.service"
RULE = """
[policy]
profile = "none"
mode = "enforce"
# The tests before have ended some, too.
kill_limit = 100
[actions]
settle = "1s"
[[rule]]
name = "nasty-{number}"
level = "soft"
{condition}
clear_for = "2s"
cooldown = "5s"
scope = "unit"
rank = ["largest"]
only = {{ units = ["nasty.service", "other.service"] }}
steps = [{{ step = "terminate", grace = "3s" }}, {{ step = "kill", grace = "3s" }}]
"""
MIB = 1 << 20
PROGRAM = "/usr/local/bin/storm-nasty"
SECONDS = 90


class Scene:
    """Two units, a rule that is about them alone, and what came of it."""

    made = 0

    def __init__(self, machine: Machine) -> None:
        Scene.made += 1
        self.machine = machine
        self.name = f"nasty-{Scene.made}"
        self._left = self._settled()

    def _settled(self) -> int:
        """Return what is left as soon as it rises no more: those of the test before may let go of theirs only now."""
        ends, before = time.monotonic() + SECONDS, 0
        while time.monotonic() < ends:
            left: int = get(self.machine, "/resources/memory?fresh=1")["memory"]["available_bytes"]
            if left < before + 2 * MIB:
                return left
            before = left
            time.sleep(1)
        raise AssertionError("what is left of the memory rises on and on")

    def start(self, words: str, unit: str = NASTY, options: str = "") -> None:
        """Start a program as a unit."""
        self.machine.run(f"systemd-run -q --unit {unit} -p TimeoutStopSec=5 {options} -- {PROGRAM} {words}")

    def allow(self, mib: int) -> None:
        """Have a unit give way while both together hold more than so much memory."""
        left = self._left - mib * MIB
        self.put(f'metric = "memory.available"\nbelow = {left}\nclear = {left + 10 * MIB}\nfor = "2s"')

    def put(self, condition: str) -> None:
        """Put a rule with this condition into force."""
        configure(self.machine, DROP_IN, RULE.format(number=Scene.made, condition=condition))

    def outcome(self, step: str, unit: str) -> dict[str, Any]:
        """Await that a step was done to a unit and its effect is known; return that."""
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            for each in self.outcomes():
                if (each["step"], each["target"], each["result"]) == (step, unit, "done"):
                    return each
            time.sleep(1)
        raise AssertionError(f"{step} of {unit} is not told; what is: {self.outcomes()}; {self.decisions()}")

    def outcomes(self) -> list[dict[str, Any]]:
        """Return what came of all decisions of the rule, oldest first."""
        ids = [each["id"] for each in self.decisions()]
        return [each for one in ids for each in get(self.machine, f"/decisions/{one}")["outcomes"]]

    def decisions(self) -> list[dict[str, Any]]:
        """Return the decisions of the rule, oldest first."""
        found = [each for each in get(self.machine, "/decisions")["decisions"] if each["rule"] == self.name]
        return found[::-1]

    def alive(self, unit: str) -> bool:
        """Return whether anybody lives in a unit."""
        return self.machine.attempt(f"grep -q 'populated 1' /sys/fs/cgroup/system.slice/{unit}/cgroup.events")[0] == 0


@pytest.fixture(scope="module")
def nasty(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The machine with the program that does all this."""
    programs.install(machine, tmp_path_factory.mktemp("programs"), programs.NASTY)
    return machine


@pytest.fixture
def scene(nasty: Machine) -> Iterator[Scene]:
    yield Scene(nasty)
    units = f"{NASTY} {OTHER}"
    nasty.run(f"rm -f {DROP_IN}; systemctl reload resourced")
    nasty.run(f"systemctl kill -s KILL {units}; systemctl stop {units}; systemctl reset-failed {units}", check=False)
    nasty.until(f"cd /sys/fs/cgroup/system.slice && ! test -e {NASTY} && ! test -e {OTHER}")


def test_a_fork_bomb_is_killed_as_a_whole(scene: Scene) -> None:
    scene.put('metric = "processes.threads"\nabove = 1000\nfor = "1s"\nresource = "pids"\nmin_gain = 500')
    scene.start("bomb 2000", options="-p TasksMax=2100")
    told = scene.outcome("kill", NASTY)
    assert told["detail"].startswith("SIGKILL to ")
    assert int(told["detail"].split()[2]) > 1000, told
    assert not scene.alive(NASTY)
    assert scene.machine.attempt("pgrep -x storm-nasty")[0] == 1
    [first, *_] = scene.outcomes()
    assert first["step"] == "terminate"
    assert "SIGTERM to" in first["detail"]


def test_a_swarm_counts_as_a_whole_before_a_program_that_is_larger_than_each(scene: Scene) -> None:
    scene.start("hold 100", OTHER)
    # Or systemd would end the rest of them as soon as the first has ended.
    scene.start("swarm 100 2", options="-p KillMode=process")
    scene.machine.until("test $(cat /sys/fs/cgroup/system.slice/nasty.service/pids.current) -gt 100")
    scene.allow(150)
    told = scene.outcome("terminate", NASTY)
    assert "SIGTERM to 101 processes" in told["detail"]
    assert told["measured_gain"] > 100 * MIB
    scene.machine.until("! grep -q 'populated 1' /sys/fs/cgroup/system.slice/nasty.service/cgroup.events")
    assert scene.alive(OTHER)
    assert [each["target"]["name"] for each in scene.decisions()] == [NASTY]


def test_whoever_waits_without_interruption_is_passed_over_and_the_next_one_goes(scene: Scene, tmp_path: Path) -> None:
    machine, mount, disk = scene.machine, "/run/frozen", tmp_path / "disk"
    with_tools = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(["mkfs.ext4", "-q", disk, "8M"], check=True, env=with_tools)
    machine.put(disk, "/run/frozen.disk")
    machine.run(f"mkdir -p {mount} && mount -o loop /run/frozen.disk {mount} && fsfreeze -f {mount}")
    try:
        scene.start(f"stuck 150 {mount}/file")
        machine.until("ps -o stat= -p $(systemctl show -P MainPID nasty) | grep -q D")
        scene.start("hold 100", OTHER)
        scene.allow(200)
        told = scene.outcome("terminate", OTHER)
        assert told["measured_gain"] > 50 * MIB
        assert scene.alive(NASTY)
        [decision, *_] = scene.decisions()
        passed = {each["name"]: each["note"] for each in decision["candidates"]}
        assert "waits for I/O without interruption" in passed[NASTY]
    finally:
        machine.run(f"fsfreeze -u {mount}; umount -l {mount}; rm -f /run/frozen.disk")


def test_whoever_waits_for_a_child_that_shares_its_memory_ends_with_it(scene: Scene) -> None:
    scene.allow(75)
    scene.start("vfork 150")
    assert "SIGTERM to 2 processes" in scene.outcome("terminate", NASTY)["detail"]
    assert not scene.alive(NASTY)


def test_a_parent_of_zombies_is_ended_and_they_are_gone(scene: Scene) -> None:
    scene.allow(75)
    scene.start("zombies 200 150")
    assert scene.outcome("terminate", NASTY)["measured_gain"] > 75 * MIB
    assert scene.machine.attempt("ps -eo stat,comm | grep -q '^Z.*storm-nasty'")[0] == 1


def test_a_program_whose_first_thread_has_ended_is_seen_and_ended(scene: Scene) -> None:
    scene.allow(75)
    scene.start("headless 150")
    assert scene.outcome("terminate", NASTY)["measured_gain"] > 75 * MIB
    assert not scene.alive(NASTY)


def test_a_hog_deep_in_what_a_unit_delegates_is_that_units_fault(scene: Scene) -> None:
    inner = "/sys/fs/cgroup/system.slice/nasty.service/payload/ssh.service"
    script = f"mkdir -p {inner}; echo 0 >{inner}/cgroup.procs; exec {PROGRAM} hold 150"
    scene.machine.run(f"systemd-run -q --unit nasty -p Delegate=yes -p TimeoutStopSec=5 sh -c '{script}'")
    scene.machine.until(f"grep -q . {inner}/cgroup.procs")
    scene.allow(75)
    told = scene.outcome("terminate", NASTY)
    assert told["measured_gain"] > 75 * MIB
    assert not scene.alive(NASTY)


def test_a_threaded_cgroup_below_hides_nobody(scene: Scene) -> None:
    # As libvirt does for the processors of a virtual machine: such a cgroup has no list of processes.
    group = "/sys/fs/cgroup/system.slice/nasty.service"
    script = f"mkdir {group}/vcpu; echo threaded >{group}/vcpu/cgroup.type; exec {PROGRAM} hold 150"
    scene.machine.run(f"systemd-run -q --unit nasty -p Delegate=yes -p TimeoutStopSec=5 sh -c '{script}'")
    assert scene.machine.attempt(f"cat {group}/vcpu/cgroup.procs")[0] != 0
    scene.allow(75)
    assert scene.outcome("terminate", NASTY)["measured_gain"] > 75 * MIB
    assert not scene.alive(NASTY)


def test_an_attribute_that_a_user_sets_does_not_save_what_is_the_users(scene: Scene) -> None:
    machine, group = scene.machine, "/sys/fs/cgroup/system.slice"
    scene.start("hold 150", options="-p User=bob -p Delegate=yes")
    mark = f'import os; os.setxattr("{group}/{NASTY}", "user.oomd_omit", b"1")'
    machine.run(f"runuser -u bob -- python3 -c '{mark}'")
    scene.start("hold 160", OTHER, options="-p ManagedOOMPreference=omit")
    scene.allow(200)
    assert scene.outcome("terminate", NASTY)["measured_gain"] > 75 * MIB
    assert scene.alive(OTHER)
    [decision, *_] = scene.decisions()
    spared = {each["name"]: each["protected"] for each in decision["candidates"]}
    assert "asked to omit" in spared[OTHER]
