"""The questions of docs/journal.md, each asked of a journal that can answer them."""

import re
from pathlib import Path

import pytest

from tests.system.asking import SOCKET, get, status_as
from tests.system.machine import Machine

DOCUMENT = Path(__file__).parents[2] / "docs/journal.md"
# Nothing is ended in these tests, so this one is only asked.
UNANSWERED = "step_terminate"


def questions() -> list[str]:
    """Return the commands below the heading Questions, without what stands behind #."""
    block = DOCUMENT.read_text().split("## Questions")[1].split("```")[1]
    return [line.partition("  #")[0].rstrip() for line in block.strip().splitlines()]


@pytest.fixture(scope="module")
def words(machine: Machine) -> dict[str, str]:
    """Have the daemon decide, register, miss a deadline, refuse a configuration and an order; return who is who."""
    machine.run("resourcectl run --name training -- true")
    machine.run("systemd-run --unit victim --property MemoryMax=64M sleep infinity")
    machine.run("systemd-run --unit talker sh -c 'echo I talk; sleep infinity'")
    machine.run("mkdir -p /etc/resourced/resourced.toml.d")
    machine.write(
        "/etc/resourced/resourced.toml.d/50-test.toml",
        '[sampling]\ndeadline = "10ms"\n'
        '[[rule]]\nname = "always"\nlevel = "soft"\nmetric = "memory.available"\nbelow = "99.9%"\nmin_gain = 1024\n'
        'only = { units = ["victim.service"] }\n',
    )
    assert status_as(machine, "carol", "/reload", post=True) != "403"
    machine.until("journalctl -q -u resourced RESOURCED_EVENT=collector_stale | grep -q .")
    decision = machine.until("journalctl -q -u resourced RESOURCED_EVENT=decision -o json -n 1 | grep victim")
    assert status_as(machine, "alice", "/reload", post=True) == "403"
    machine.write("/etc/resourced/resourced.toml.d/60-bad.toml", "[sampling]\ninterval = 'often'\nintervall = 8\n")
    machine.run("systemctl reload resourced")
    machine.until("journalctl -q -u resourced RESOURCED_EVENT=config_refused | grep -q intervall")
    machine.run("rm /etc/resourced/resourced.toml.d/*.toml; systemctl reload resourced")
    found = re.search(r'"RESOURCED_DECISION":"([^"]+)"', decision)
    assert found is not None
    pid = machine.run("systemctl show -P MainPID victim")
    return {"ID": found[1], "PID": pid, "UNIT": "victim.service", "RULE": "always", "NAME": "training"}


def test_there_are_thirteen_questions() -> None:
    assert len(questions()) == 13


@pytest.mark.parametrize("question", questions())
def test_a_question_is_answered(machine: Machine, words: dict[str, str], question: str) -> None:
    asked = re.sub(r"\b(ID|PID|UNIT|RULE|NAME)\b", lambda found: words[found[0]], question)
    if "OBJECT_PID" in asked:  # a unit is decided on as a whole; the process is found where one is the target
        field = machine.run("journalctl -q -F OBJECT_PID").split()
        asked = asked.replace(words["PID"], field[0]) if field else asked
        words = {**words, "expected": "no" if not field else "yes"}
    code, text = machine.attempt(f"{asked} -q --no-pager")
    assert code in (0, 1), text
    if UNANSWERED in asked or words.get("expected") == "no":
        return
    assert text, asked


def test_an_entry_tells_whom_it_is_about(machine: Machine, words: dict[str, str]) -> None:
    entry = machine.json(
        f"journalctl -u resourced -o json -n 1 RESOURCED_DECISION={words['ID']} RESOURCED_EVENT=decision"
    )
    assert entry["RESOURCED_RULE"] == "always"
    assert entry["OBJECT_SYSTEMD_UNIT"] == "victim.service"
    assert entry["RESOURCED_TARGET"] == "victim.service"
    assert entry["PRIORITY"] == "4"
    assert len(entry["MESSAGE_ID"]) == 32
    told = get(machine, f"/decisions/{words['ID']}")
    assert "victim.service" in str(told)


def test_explanations_are_in_the_catalog(machine: Machine) -> None:
    told = machine.run("journalctl -x -u resourced -q --no-pager RESOURCED_EVENT=config_refused")
    assert "Subject: Configuration refused" in told
    assert "resourced check-config" in told
    identities = re.findall(r"`([0-9a-f]{32})`", DOCUMENT.read_text())
    listed = machine.run("journalctl --list-catalog")
    assert identities
    assert [each for each in identities if each not in listed] == []


def test_a_refused_reload_leaves_what_runs_and_says_every_fault(machine: Machine, words: dict[str, str]) -> None:
    refused = machine.run("journalctl -q -u resourced --no-pager RESOURCED_EVENT=config_refused")
    assert "60-bad.toml:2" in refused
    assert "60-bad.toml:3" in refused
    assert (
        machine.run(f"curl -sS --unix-socket {SOCKET} -o /dev/null -w %{{http_code}} http://localhost/healthz") == "200"
    )


def test_a_reload_tells_what_waits_for_a_restart(machine: Machine) -> None:
    machine.run("mkdir -p /etc/resourced/resourced.toml.d")
    text = '[history]\nmax_size = "64MiB"\n[log]\nlevel = "debug"\n'
    machine.write("/etc/resourced/resourced.toml.d/50-live.toml", text)
    machine.run("systemctl reload resourced")
    wanted = "journalctl -q -u resourced -o json -n 1 RESOURCED_EVENT=daemon_reloaded | grep max_size"
    told = machine.until(wanted)
    assert '"RESOURCED_WAITS_FOR_RESTART":"history.max_size"' in told
    assert get(machine, "/healthz")["log_level"] == "debug"
    machine.run("rm /etc/resourced/resourced.toml.d/50-live.toml; systemctl reload resourced")
    machine.until("journalctl -q -u resourced -n 1 RESOURCED_EVENT=daemon_reloaded | grep -q log.level")


def test_signals_change_the_level_of_the_log(machine: Machine) -> None:
    machine.run("systemctl kill -s USR1 --kill-who=main resourced; sleep 1")
    assert get(machine, "/healthz")["log_level"] == "debug"
    machine.run("systemctl kill -s USR2 --kill-who=main resourced; sleep 1")
    assert get(machine, "/healthz")["log_level"] == "info"
