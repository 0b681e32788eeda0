"""What hinders the installed service while memory runs out: who takes it is ended all the same, before the kernel must.

Each time a unit takes 160 MiB at a word, as fast as it can, and the rule forbids more than 60.
"""

import gzip
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.asking import SOCKET, configure, now, pid
from tests.system.machine import Machine

DROP_IN = "/etc/resourced/resourced.toml.d/50-hindrances.toml"
RULE = """
[sampling]
# Seldom, so that it is the guard that sees it first.
interval = "5s"
[policy]
profile = "none"
mode = "enforce"
# Others have been ended before.
kill_limit = 100
[actions]
settle = "1s"
[[rule]]
name = "{name}"
level = "hard"
metric = "memory.available"
below = {below}
clear = {clear}
clear_for = "2s"
cooldown = "5s"
scope = "unit"
only = {{ units = ["{name}.service"] }}
steps = [{{ step = "terminate", grace = "3s" }}, {{ step = "kill", grace = "5s" }}]
"""
WORD, PROGRAM = "/run/hungry", "/run/glutton.py"
GLUTTON = f"""
import os, time
while not os.path.exists("{WORD}"):
    time.sleep(0.1)
held = [bytearray(4 << 20) for _ in range(40)]
time.sleep(3600)
"""
ANSWERED = "/run/answered"
CALLERS = f"""
import http.client, os, socket
os.fork(), os.fork()
while True:
    try:
        asked = http.client.HTTPConnection("localhost")
        asked.sock = socket.socket(socket.AF_UNIX)
        asked.sock.connect("{SOCKET}")
        for path in ("/resources/all", "/resources/processes", "/prune", "/history?metric=memory.available") * 5:
            asked.request("GET", path)
            asked.getresponse().read()
        open("{ANSWERED}", "w").close()
    except (OSError, http.client.HTTPException):
        pass
"""
STATE, DISK = "/var/lib/resourced", "/var/tmp/history.disk"
MIB = 1 << 20
SECONDS = 90.0


class Glutton:
    """A unit that takes memory at a word, the rule that it breaks, and what becomes of it."""

    made = 0

    def __init__(self, machine: Machine) -> None:
        Glutton.made += 1
        self.machine, self.name = machine, f"glutton-{Glutton.made}"
        self.daemon, self.began, self._oom_kills = pid(machine), now(machine), oom_kills(machine)
        machine.run(f"rm -f {WORD}")
        machine.write(PROGRAM, GLUTTON)
        quiet = "-p StandardOutput=null -p StandardError=null -p TimeoutStopSec=5"
        # It remains, so that it can be asked how it ended: SIGTERM is no failure to systemd.
        machine.run(f"systemd-run -q --remain-after-exit --unit {self.name} {quiet} python3 {PROGRAM}")

    def forbid(self) -> None:
        """Put the rule into force, and wait until it is judged by and the unit is known."""
        left = settled(self.machine)
        text = RULE.format(name=self.name, below=left - 60 * MIB, clear=left - 30 * MIB)
        configure(self.machine, DROP_IN, text)
        ask = f"curl -sS --unix-socket {SOCKET} http://localhost"
        known = f"{ask}/prune | grep -q '\"{self.name}\"' && {ask}/resources/cgroups | grep -q {self.name}.service"
        self.machine.until(known, seconds=SECONDS)

    def feed(self) -> None:
        """Let it take memory, and wait until it has ended."""
        self.machine.run(f"touch {WORD}")
        self.machine.until(f"test $(systemctl show -P ExecMainCode {self.name}) -ne 0", seconds=SECONDS)

    def was_ended_by_the_guard(self) -> None:
        """Check that a signal of the guard ended it, that nothing was left to the kernel, and that the daemon lives."""
        told = self.machine.run(f"systemctl show -p ExecMainCode,ExecMainStatus,Result {self.name}")
        shown = dict(line.split("=", 1) for line in told.splitlines())
        assert shown["ExecMainCode"] == "2", "a signal did it"
        assert shown["ExecMainStatus"] in ("9", "15")
        assert shown["Result"] in ("signal", "success")
        assert oom_kills(self.machine) == self._oom_kills
        asked = f"journalctl -u resourced --since '{self.began}' RESOURCED_EVENT=guard_triggered -q -o cat"
        print(self.machine.until(f"{asked} | grep {self.name}.service"))
        assert pid(self.machine) == self.daemon

    def remove(self) -> None:
        """Leave nothing of it."""
        self.machine.run(f"rm -f {DROP_IN}; systemctl reload resourced")
        self.machine.run(f"systemctl kill -s KILL {self.name}; systemctl stop {self.name}", check=False)
        self.machine.run(f"systemctl reset-failed {self.name}; rm -f {WORD} {PROGRAM}", check=False)


def oom_kills(machine: Machine) -> int:
    """Return how many the kernel has killed for want of memory since the boot."""
    return int(machine.run("grep '^oom_kill ' /proc/vmstat").split()[1])


def settled(machine: Machine) -> int:
    """Return what is left of the memory as soon as it rises no more: those before may let go of theirs only now."""
    ends, before = time.monotonic() + SECONDS, 0
    while time.monotonic() < ends:
        left = int(machine.run("grep '^MemAvailable:' /proc/meminfo").split()[1]) * 1024
        if left < before + 2 * MIB:
            return left
        before = left
        time.sleep(1)
    raise AssertionError("what is left of the memory rises on and on")


@pytest.fixture
def glutton(machine: Machine) -> Iterator[Glutton]:
    made = Glutton(machine)
    yield made
    made.remove()


@pytest.fixture
def history_apart(machine: Machine, tmp_path: Path) -> Iterator[None]:
    """The history on a file system of its own, which can be held still without the rest of the machine."""
    disk = tmp_path / "disk"
    with_tools = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(["mkfs.ext4", "-q", disk, "64M"], check=True, env=with_tools)
    machine.run(f"gzip -d >{DISK}", stdin=gzip.compress(disk.read_bytes()))
    machine.run("systemctl stop resourced")
    code, text = machine.attempt(f"mount -o loop {DISK} {STATE}")
    machine.run("systemctl start resourced")
    if code != 0:
        machine.run(f"rm {DISK}")
        pytest.skip(f"no file can be mounted here: {text}")
    yield
    machine.run(f"fsfreeze -u {STATE}", check=False)
    machine.run(f"systemctl stop resourced; umount {STATE} || umount -l {STATE}; systemctl start resourced; rm {DISK}")


@pytest.fixture
def callers(machine: Machine) -> Iterator[None]:
    """Four who ask without pause."""
    machine.run(f"rm -f {ANSWERED}")
    machine.write("/run/callers.py", CALLERS)
    machine.run("systemd-run -q --unit callers python3 /run/callers.py")
    machine.until(f"test -e {ANSWERED}", seconds=SECONDS)
    yield
    machine.run("systemctl kill -s KILL callers; systemctl reset-failed callers", check=False)
    machine.run(f"rm -f {ANSWERED} /run/callers.py")


@pytest.fixture
def crowd(machine: Machine) -> Iterator[None]:
    """Three hundred processes that have just begun."""
    machine.write("/run/crowd.sh", "for each in $(seq 300); do sleep 3600 & done; wait\n")
    machine.run("systemd-run -q --unit crowd -p TasksMax=1000 sh /run/crowd.sh")
    machine.until("test $(cat /sys/fs/cgroup/system.slice/crowd.service/pids.current) -gt 300", seconds=SECONDS)
    yield
    machine.run("systemctl kill -s KILL crowd; systemctl reset-failed crowd; rm /run/crowd.sh", check=False)


def test_the_glutton_is_ended_while_journald_stands_still(machine: Machine, glutton: Glutton) -> None:
    glutton.forbid()
    journald = machine.run("systemctl show -P MainPID systemd-journald")
    machine.run(f"kill -STOP {journald}")
    try:
        glutton.feed()
        assert machine.run(f"ps -o stat= -p {journald}").startswith("T")
    finally:
        machine.run(f"kill -CONT {journald}")
    glutton.was_ended_by_the_guard()


@pytest.mark.usefixtures("history_apart")
def test_the_glutton_is_ended_while_the_disk_of_the_history_stands_still(machine: Machine, glutton: Glutton) -> None:
    seen = f"grep -q ' {STATE} .*/dev/loop' /proc/{glutton.daemon}/mountinfo"
    machine.until(f"{seen} && test -s {STATE}/history.db")
    glutton.forbid()
    machine.run(f"fsfreeze -f {STATE}")
    try:
        glutton.feed()
        # Who writes the decision down waits for the disk.
        machine.until(f"grep -q '^State:.D' /proc/{glutton.daemon}/task/*/status", seconds=30)
    finally:
        machine.run(f"fsfreeze -u {STATE}")
    glutton.was_ended_by_the_guard()


@pytest.mark.usefixtures("callers")
def test_the_glutton_is_ended_while_many_ask_without_pause(machine: Machine, glutton: Glutton) -> None:
    glutton.forbid()
    machine.run(f"rm -f {ANSWERED}")
    glutton.feed()
    machine.until(f"test -e {ANSWERED}")
    glutton.was_ended_by_the_guard()


@pytest.mark.usefixtures("crowd")
def test_the_glutton_is_ended_while_a_crowd_has_just_come(machine: Machine, glutton: Glutton) -> None:
    glutton.forbid()
    glutton.feed()
    assert int(machine.run("cat /sys/fs/cgroup/system.slice/crowd.service/pids.current")) > 300
    glutton.was_ended_by_the_guard()
