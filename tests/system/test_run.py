"""`resourcectl run` with a real systemd: a scope of its own, with limits, in which the command is the same process."""

import json
from collections.abc import Iterator

import pytest

from tests.system.machine import Machine

SHOW = 'echo "$$ $(cut -d: -f3 /proc/self/cgroup)"; cd /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)'
PLAIN = "[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n"
"""A user's manager as the machine can start it, which has no PAM module of systemd."""
LIMITS = "--memory-high 64M --memory-max 128M --cpu-weight 20"


def test_the_command_runs_in_a_scope_with_its_limits_and_keeps_its_exit_code(machine: Machine) -> None:
    script = f"{SHOW}; cat memory.high memory.max cpu.weight; exit 7"
    code, text = machine.attempt(f"resourcectl run {LIMITS} --name train -- sh -c '{script}' 2>/dev/null")
    assert code == 7, text
    first, high, most, weight = text.splitlines()
    pid, group = first.split()
    assert group == f"/system.slice/run-train-{pid}.scope"
    assert (int(high), int(most), int(weight)) == (64 << 20, 128 << 20, 20)
    assert machine.attempt(f"systemctl is-active run-train-{pid}.scope")[0] != 0


def test_who_has_no_manager_of_their_own_is_told_and_served(machine: Machine) -> None:
    code, text = machine.attempt("runuser -u bob -- resourcectl run -- sh -c 'id -un; exit 3'")
    assert code == 3, text
    assert "bob" in text
    assert "service manager does not run" in text
    code, text = machine.attempt(f"runuser -u bob -- resourcectl run {LIMITS} -- id -un")
    assert (code, "limits need a scope" in text) == (1, True), text


@pytest.fixture
def manager(machine: Machine) -> Iterator[str]:
    """Alice's service manager, as long as the test lasts; her uid."""
    uid, drop_in = machine.run("id -u alice"), "/etc/systemd/system/user@.service.d/10-plain.conf"
    machine.run(f"mkdir -p {drop_in.rpartition('/')[0]}")
    machine.write(drop_in, PLAIN)
    machine.run(f"systemctl daemon-reload; systemctl start user@{uid}")
    yield uid
    machine.run(f"systemctl stop user@{uid} user-runtime-dir@{uid}; rm {drop_in}; systemctl daemon-reload")


def test_who_has_a_manager_of_their_own_gets_a_scope_of_it(machine: Machine, manager: str) -> None:
    script = f"{SHOW}; cat memory.high memory.max; echo $RESOURCED_WORKLOAD; resourcectl workloads --json; exit 7"
    command = f"resourcectl run --memory-high 64M --memory-max 128M --name train -- sh -c '{script}'"
    code, text = machine.attempt(f"runuser -u alice -- {command} 2>/dev/null")
    assert code == 7, text
    first, high, most, lease, listed = text.splitlines()
    pid, group = first.split()
    assert group == f"/user.slice/user-{manager}.slice/user@{manager}.service/app.slice/run-train-{pid}.scope"
    assert (int(high), int(most)) == (64 << 20, 128 << 20)
    [mine] = [each for each in json.loads(listed) if each["id"] == lease]
    assert (mine["name"], mine["cgroup"]) == ("train", group)


@pytest.mark.parametrize("option", ["", "--no-scope"])
def test_a_command_that_does_not_exist_is_told(machine: Machine, option: str) -> None:
    code, text = machine.attempt(f"resourcectl run {option} -- no-such-command")
    assert (code, "no-such-command can't be run" in text) == (127, True), text
