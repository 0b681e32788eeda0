"""Workloads that cooperate with the installed service: programs of another user, with Python's own library alone."""

from collections.abc import Iterator

import pytest

from tests.system.asking import await_restart, configure, events, get, now, pid
from tests.system.machine import Machine

DROP_IN = "/etc/resourced/resourced.toml.d/60-workloads.toml"
SCRIPT = "/usr/local/lib/training.py"
CHECKPOINT = "/home/alice/checkpoint"
RULE = """
[policy]
profile = "none"
mode = "enforce"
[actions]
settle = "1s"
workload_patience = "{patience}"
[[rule]]
name = "squeeze"
level = "soft"
metric = "memory.available"
below = "{below}"
clear = "{clear}"
for = "2s"
clear_for = "2s"
cooldown = "5s"
scope = "unit"
only = {{ units = ["training.service"] }}
steps = [{{ step = "terminate", grace = "10s" }}, {{ step = "kill", grace = "5s" }}]
"""
TRAINING = """
import http.client, json, os, select, socket, sys, time

def ask(method, path, body=None):
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("/run/resourced/resourced.sock")
    connection.request(method, path, None if body is None else json.dumps(body))
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status < 300, text
    return json.loads(text)

heeds = sys.argv[1] == "heeds"
mine = ask("POST", "/workloads", {"scope": "unit", "tell": "file", "name": "training", "grace_seconds": 20})
told = os.open(mine["file"], os.O_RDWR | os.O_NONBLOCK)
pressure = socket.socket(socket.AF_UNIX)
pressure.connect("/run/resourced/pressure.sock")
held = []
for _ in range(40):  # a slow squeeze, in which a training step takes a tenth of a second
    held.append(bytearray(os.urandom(1 << 20) * 5))
    time.sleep(0.1)
    if select.select([told], [], [], 0)[0]:
        break
select.select([told], [], [])
request = json.loads(os.read(told, 65536).splitlines()[0])["workload"]["request"]
print("told:", request["reason"], flush=True)
select.select([pressure], [], [], 10)
if not heeds:
    time.sleep(3600)
ask("POST", f"/workloads/{mine['id']}/acknowledge", {"decision": request["decision"]})
with open("/home/alice/checkpoint", "w") as file:
    file.write(f"pressure: {len(pressure.recv(64)) > 0}")
sys.exit(0)
"""


@pytest.fixture
def left(machine: Machine) -> Iterator[int]:
    """What the machine has left before the training begins; the unit and the rule go at the end."""
    machine.write(SCRIPT, TRAINING)
    yield get(machine, "/resources/memory?fresh=1")["memory"]["available_bytes"]
    machine.run(f"systemctl kill -s KILL training; systemctl reset-failed training; rm -f {DROP_IN}", check=False)
    machine.run("systemctl reload resourced")


def squeeze(machine: Machine, left: int, how: str, patience: str) -> None:
    """Put the rule into force and start the training, as somebody who may only read."""
    below, clear = left - (120 << 20), left - (60 << 20)
    configure(machine, DROP_IN, RULE.format(below=below, clear=clear, patience=patience))
    start(machine, how)


def start(machine: Machine, how: str) -> None:
    machine.run(f"systemd-run --unit training -p User=alice -p TimeoutStopSec=5 python3 {SCRIPT} {how}")


def told(machine: Machine, since: str) -> list[str]:
    return [name for name in events(machine, since) if name.startswith(("workload_", "step_"))]


def test_one_that_heeds_writes_its_checkpoint_and_leaves_by_itself(machine: Machine, left: int) -> None:
    began = now(machine)
    squeeze(machine, left, "heeds", "30s")
    yielded = f"journalctl -u resourced --since '{began}' RESOURCED_EVENT=workload_yielded -q"
    machine.until(f"{yielded} | grep -q .", seconds=240)

    assert machine.run(f"cat {CHECKPOINT}") == "pressure: True"
    found = told(machine, began)
    assert found == [
        "workload_registered",
        "workload_told",
        "workload_acknowledged",
        "workload_released",
        "workload_yielded",
    ]
    assert get(machine, "/workloads") == {"workloads": []}
    assert machine.run("ls /run/resourced/workloads") == ""
    [decision] = [each for each in get(machine, "/decisions?rule=squeeze")["decisions"] if each["target"]][:1]
    outcome = get(machine, f"/decisions/{decision['id']}")["outcomes"][-1]
    assert (outcome["step"], outcome["result"]) == ("notify", "done")
    assert outcome["measured_gain"] > 100 << 20


def test_one_that_ignores_it_is_terminated_after_its_time(machine: Machine, left: int) -> None:
    began = now(machine)
    squeeze(machine, left, "ignores", "4s")
    machine.until("! systemctl is-active --quiet training", seconds=240)
    machine.until(f"journalctl -u resourced --since '{began}' RESOURCED_EVENT=step_terminate -q | grep -q .")

    found = told(machine, began)
    assert found.index("workload_told") < found.index("workload_overdue") < found.index("step_terminate")
    assert "step_kill" not in found


def test_what_is_registered_survives_a_kill_and_is_nobody_elses_to_touch(machine: Machine, left: int) -> None:
    del left
    start(machine, "ignores")
    machine.until("curl -sS --unix-socket /run/resourced/resourced.sock http://localhost/workloads | grep -q training")
    [before] = get(machine, "/workloads")["workloads"]
    assert (before["unit"], before["scope"]) == ("training.service", "unit")
    mode = machine.run(f"stat -c '%U %a' {before['file']}; getfacl -cp {before['file']} 2>/dev/null || true")
    assert mode.startswith("resourced 660")
    assert machine.attempt(f"runuser -u bob -- timeout 1 cat {before['file']}")[0] == 1
    assert machine.attempt(f"runuser -u alice -- timeout 1 cat {before['file']}")[0] == 124

    daemon = pid(machine)
    machine.run(f"kill -KILL {daemon}")
    await_restart(machine, daemon)
    [after] = get(machine, "/workloads")["workloads"]
    same = ("id", "pid", "start_time_ticks", "file", "registered", "unit")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    delete = "curl -s -o /dev/null -w %{http_code} -X DELETE --unix-socket /run/resourced/resourced.sock"
    assert machine.run(f"runuser -u carol -- {delete} http://localhost/workloads/{before['id']}") == "200"
