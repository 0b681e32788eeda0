"""Who may ask, and who may change what."""

import json

from tests.system.asking import status_as
from tests.system.machine import Machine

TOKEN = "correct-horse-battery-staple"


def test_members_of_the_group_may_read_and_strangers_may_not_even_connect(machine: Machine) -> None:
    assert status_as(machine, "alice", "/resources/memory") == "200"
    assert status_as(machine, "bob", "/resources/memory") == "refused"


def test_only_administrators_may_change_anything(machine: Machine) -> None:
    assert status_as(machine, "alice", "/reload", post=True) == "403"
    assert status_as(machine, "carol", "/reload", post=True) in ("200", "202", "204")


def test_loopback_answers_everybody_and_obeys_nobody(machine: Machine) -> None:
    answer = machine.run("runuser -u bob -- curl -sS http://127.0.0.1:8414/resources/memory")
    assert json.loads(answer)["memory"]["total_bytes"] > 0
    refused = "runuser -u bob -- curl -s -o /dev/null -w %{http_code} -X POST http://127.0.0.1:8414/reload"
    assert machine.run(refused) == "401"
    rebound = "curl -s -o /dev/null -w %{http_code} -H 'Host: evil.example' http://127.0.0.1:8414/resources/memory"
    assert machine.run(rebound) == "421"


def test_resourcectl_works_for_members(machine: Machine) -> None:
    assert "processors" in machine.run("runuser -u alice -- resourcectl status")
    assert machine.attempt("runuser -u bob -- resourcectl --socket /run/resourced/resourced.sock status")[0] in (3, 4)


def test_a_token_of_root_alone_reaches_the_daemon_as_a_credential(machine: Machine) -> None:
    machine.write("/etc/resourced/tokens", f"backup admin {TOKEN}\n")
    machine.run("chmod 600 /etc/resourced/tokens; systemctl restart resourced")
    ask = "curl -s -o /dev/null -w %{http_code} -X POST http://127.0.0.1:8414/reload"
    assert machine.run(f"{ask} -H 'Authorization: Bearer {TOKEN}'") in ("200", "202", "204")
    assert machine.run(f"{ask} -H 'Authorization: Bearer wrong-{TOKEN}'") == "401"
    machine.run("rm /etc/resourced/tokens")


def test_doctor_finds_the_machine_in_order_and_tells_a_stranger_what_he_lacks(machine: Machine) -> None:
    code, text = machine.attempt("resourcectl doctor --json")
    told = json.loads(text)
    found = {each["check"]: each["level"] for each in told["findings"]}
    assert (code, told["healthy"]) == (0, True), text
    assert (found["permissions"], found["psi"], found["cgroup version"], found["store"]) == ("ok",) * 4
    code, text = machine.attempt("runuser -u bob -- resourcectl --socket /run/resourced/resourced.sock doctor")
    assert code == 1
    assert "adduser bob resourced" in text
