"""The ladder under the installed service: a unit that won't yield goes from rung to rung; what can be undone is."""

from collections.abc import Iterator

import pytest

from tests.system.asking import SOCKET, await_restart, configure, events, get, now, pid
from tests.system.machine import Machine

DROP_IN = "/etc/resourced/resourced.toml.d/50-ladder.toml"
GROUP = "/sys/fs/cgroup/system.slice/hog.service"
HOG = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); held = bytearray(200 << 20); time.sleep(3600)"
)
# It writes down what holds it back in the moment when it is asked to end.
TELLING = (
    "import signal, time\n"
    f'def tell(*_): open("/run/told", "w").write(open("{GROUP}/memory.high").read())\n'
    "signal.signal(signal.SIGTERM, tell)\n"
    "held = bytearray(200 << 20)\n"
    "time.sleep(3600)"
)
GROWING = "import time; held = [(bytearray(8 << 20), time.sleep(0.4)) for _ in range(60)]; time.sleep(3600)"
RULE = """
[policy]
profile = "none"
mode = "{mode}"
[actions]
settle = "1s"
[[rule]]
name = "ladder"
level = "soft"
metric = "memory.available"
below = "{below}"
clear = "{clear}"
for = "2s"
clear_for = "2s"
cooldown = "5s"
scope = "unit"
only = {{ units = ["hog.service"] }}
steps = [{steps}]
"""
WHOLE = ", ".join(
    f'{{ step = "{step}", grace = "{grace}s" }}'
    for step, grace in (("notify", 1), ("reclaim", 2), ("throttle", 3), ("freeze", 3), ("terminate", 5), ("kill", 5))
)
TERMINAL = """
import os, pty, time
ours, theirs = pty.openpty()
print(os.ttyname(theirs), flush=True)
text = b""
while b"should give way" not in text:
    text += os.read(ours, 1000)
print(text.decode(), flush=True)
time.sleep(3600)
"""
THROTTLE = '{ step = "throttle", grace = "2s" }'
MILD = THROTTLE + ', { step = "freeze", grace = "600s" }'
BURNER = "/sys/fs/cgroup/system.slice/burner.service"
BUSY = """
[policy]
profile = "none"
mode = "enforce"
[actions]
settle = "1s"
[[rule]]
name = "busy"
level = "soft"
metric = "cpu.utilization"
above = "30%"
clear = "1%"
for = "2s"
cooldown = "5s"
scope = "unit"
only = { units = ["burner.service"] }
steps = [{ step = "throttle", grace = "5s" }]
"""


@pytest.fixture
def hog(machine: Machine) -> Iterator[int]:
    """What the machine has left before a unit holds 200 MiB of it; the unit and the rule go at the end."""
    left = get(machine, "/resources/memory?fresh=1")["memory"]["available_bytes"]
    yield left
    machine.run(f"systemctl kill -s KILL hog; systemctl reset-failed hog; rm -f {DROP_IN}", check=False)
    machine.run("systemctl reload resourced")


def rule(machine: Machine, left: int, steps: str, mode: str = "enforce") -> None:
    """Put a rule into force that fires while the unit holds its memory."""
    below, clear = left - (120 << 20), left - (60 << 20)
    configure(machine, DROP_IN, RULE.format(mode=mode, below=below, clear=clear, steps=steps))


def start(machine: Machine, program: str = HOG, unit: str = "hog", options: str = "") -> None:
    machine.run(f"systemd-run --unit {unit} -p TimeoutStopSec=5 {options} python3 -c '{program}'")


def test_a_unit_that_refuses_to_yield_is_taken_down_the_whole_ladder(machine: Machine, hog: int) -> None:
    began = now(machine)
    rule(machine, hog, WHOLE)
    start(machine, TELLING)
    machine.until("! systemctl is-active --quiet hog", seconds=240)
    machine.until(f"journalctl -u resourced --since '{began}' RESOURCED_EVENT=step_kill -q | grep -q .")
    told = [name for name in events(machine, began) if name.startswith("step_")]
    ladder = [f"step_{step}" for step in ("notify", "reclaim", "throttle", "freeze", "terminate", "kill")]
    assert [name for name in told if name in ladder] == ladder, told
    assert machine.run("cat /run/told; rm /run/told") == "max", "it was let go before it was asked to end"
    [decision, *_] = [each for each in get(machine, "/decisions")["decisions"] if each["rule"] == "ladder"][::-1]
    # What a step has freed is told once the machine has settled.
    path = f"http://localhost/decisions/{decision['id']}"
    machine.until(f'curl -sS --unix-socket {SOCKET} {path} | grep -q \'"step":"kill","result":"done"\'')
    outcomes = get(machine, f"/decisions/{decision['id']}")["outcomes"]
    [reclaimed] = [each for each in outcomes if (each["step"], each["result"]) == ("reclaim", "done")]
    assert isinstance(reclaimed["measured_gain"], int | float), reclaimed
    assert "hog.service" in machine.run("journalctl -u resourced RESOURCED_EVENT=step_kill -q -o cat")
    assert get(machine, "/actions")["changes"] == []


def test_what_was_done_is_undone_when_the_daemon_was_killed_on_the_way(machine: Machine, hog: int) -> None:
    before = pid(machine)
    rule(machine, hog, MILD)
    start(machine)
    machine.until(f"grep -q 'frozen 1' {GROUP}/cgroup.events", seconds=240)
    assert machine.run(f"cat {GROUP}/memory.high") != "max"
    # The next one only observes, so that what it undoes stays undone.
    machine.run(f"sed -i 's/^mode.*/mode = \"observe\"/' {DROP_IN}; kill -KILL {before}")
    await_restart(machine, before)
    machine.until(f"grep -q 'frozen 0' {GROUP}/cgroup.events && grep -qx max {GROUP}/memory.high", seconds=120)
    assert machine.run("systemctl is-active hog") == "active"


def test_what_was_done_is_undone_when_the_daemon_ends(machine: Machine, hog: int) -> None:
    rule(machine, hog, MILD)
    start(machine)
    machine.until(f"grep -q 'frozen 1' {GROUP}/cgroup.events", seconds=240)
    assert machine.run(f"cat {GROUP}/memory.high") != "max"
    machine.run("systemctl stop resourced")
    machine.until(f"grep -q 'frozen 0' {GROUP}/cgroup.events", seconds=10)
    assert machine.run(f"cat {GROUP}/memory.high") == "max"
    assert machine.run("systemctl is-active hog") == "active"
    machine.run(f"rm {DROP_IN}; systemctl start resourced")
    assert get(machine, "/actions")["changes"] == []


@pytest.fixture
def burner(machine: Machine) -> Iterator[tuple[str, str]]:
    """A unit that burns a processor, and what holds it back before anybody has; unit and rule go at the end."""
    machine.run("systemd-run --unit burner sh -c 'while :; do :; done'")
    yield machine.run(f"cat {BURNER}/cpu.weight"), machine.run(f"cat {BURNER}/cpu.max")
    machine.run(f"systemctl kill -s KILL burner; systemctl reset-failed burner; rm -f {DROP_IN}", check=False)
    machine.run("systemctl reload resourced")


def test_who_burns_the_processor_gets_less_of_it_until_the_rule_only_observes(
    machine: Machine, burner: tuple[str, str]
) -> None:
    weight, most = burner
    assert most.startswith("max ")
    configure(machine, DROP_IN, BUSY)
    machine.until(f"test $(cat {BURNER}/cpu.weight) -lt {weight} && grep -q '^[0-9]' {BURNER}/cpu.max", seconds=240)
    machine.run(f"sed -i 's/^mode.*/mode = \"observe\"/' {DROP_IN}; systemctl reload resourced")
    machine.until(f"grep -qx {weight} {BURNER}/cpu.weight && grep -qx '{most}' {BURNER}/cpu.max", seconds=120)
    assert get(machine, "/actions")["changes"] == []


def test_who_recovers_only_because_it_is_held_back_is_let_go_step_by_step(machine: Machine, hog: int) -> None:
    began, decisions = now(machine), "/decisions?rule=ladder"
    before = len(get(machine, decisions)["decisions"])
    rule(machine, hog, THROTTLE)
    start(machine, "held = bytearray(100 << 20); import time; time.sleep(3600)", "ballast")
    start(machine, GROWING)
    machine.until(f"grep -q '[0-9]' {GROUP}/memory.high", seconds=240)
    machine.run("systemctl kill -s KILL ballast; systemctl reset-failed ballast", check=False)

    machine.until(f"journalctl -u resourced --since '{began}' RESOURCED_EVENT=limit_easing -q | grep -q .", seconds=240)
    high = int(machine.run(f"cat {GROUP}/memory.high"))
    machine.until(f"test $(cat {GROUP}/memory.high) -gt {high}", seconds=60)
    counted = f'curl -sS --unix-socket {SOCKET} http://localhost{decisions} | grep -o \'"rule":"ladder"\' | wc -l'
    machine.until(f"test $({counted}) -gt {before + 1}", seconds=240)
    assert machine.run(f"cat {GROUP}/memory.high").isdecimal(), "the limit is still there when the rule fires again"


def test_the_owner_reads_of_it_on_the_terminal(machine: Machine, hog: int) -> None:
    machine.write("/run/terminal.py", TERMINAL)
    machine.run("systemd-run --unit terminal -p User=alice python3 /run/terminal.py")
    try:
        machine.until("journalctl -q -u terminal -o cat | grep -q /dev/pts/")
        rule(machine, hog, '{ step = "notify", grace = "600s" }')
        start(machine, options="-p User=alice")
        machine.until("journalctl -q -u terminal -o cat | grep 'hog.service should give way'", seconds=240)
    finally:
        machine.run(
            "systemctl kill -s KILL terminal; systemctl reset-failed terminal; rm /run/terminal.py", check=False
        )


def test_a_decision_waits_for_a_word_where_that_was_asked_for(machine: Machine, hog: int) -> None:
    began = now(machine)
    rule(machine, hog, MILD, mode="advise")
    start(machine)
    machine.until(
        f"journalctl -u resourced --since '{began}' RESOURCED_EVENT=approval_needed -q | grep -q .", seconds=240
    )
    [course, *_] = get(machine, "/actions")["courses"]
    assert course["status"] == "waiting"
    assert machine.attempt(f"runuser -u alice -- resourcectl approve {course['decision']}")[0] == 4
    machine.run(f"runuser -u carol -- resourcectl approve {course['decision']}")
    machine.until(f"grep -q 'frozen 1' {GROUP}/cgroup.events", seconds=240)
    machine.run(f"runuser -u carol -- resourcectl veto {course['decision']}")
    machine.until(f"grep -q 'frozen 0' {GROUP}/cgroup.events && grep -qx max {GROUP}/memory.high", seconds=120)
