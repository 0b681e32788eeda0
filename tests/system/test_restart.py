"""The daemon ends in every way it can, and comes back without anybody having been turned away."""

import json

from tests.system.asking import await_restart, get, pid
from tests.system.machine import Machine

# 200 callers, half of them over each socket, each with a new connection for every question, until the file goes.
CALLERS = r"""
import asyncio, collections, json, os, random, time

told = collections.Counter()
longest = 0.0

async def ask(number):
    global longest
    if number % 2:
        reader, writer = await asyncio.open_unix_connection("/run/resourced/resourced.sock")
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", 8414)
    began = time.monotonic()
    writer.write(b"GET /prune HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 180)
    writer.close()
    longest = max(longest, time.monotonic() - began)
    return answer.split(b"\r\n", 1)[0].decode() or "nothing"

async def call(number):
    while os.path.exists("/run/callers"):
        try:
            told[await ask(number)] += 1
        except Exception as error:
            told[type(error).__name__] += 1
        await asyncio.sleep(random.uniform(2, 6))

async def main():
    await asyncio.gather(*(call(number) for number in range(200)))

asyncio.run(main())
print(json.dumps({"told": told, "longest": longest}))
"""


def samples(machine: Machine) -> int:
    """Return how many samples of the last hour the history has."""
    now = int(machine.run("date +%s"))
    told = get(machine, f"/history?metric=memory.available&start={now - 3600}&end={now}&points=10000")
    [series] = told["series"]
    return sum(value is not None for value in series["values"])


def test_nobody_is_refused_while_it_restarts(machine: Machine) -> None:
    before = pid(machine)
    machine.write("/run/callers.py", CALLERS)
    machine.run(
        "touch /run/callers; systemd-run --unit callers -p StandardOutput=file:/run/told python3 /run/callers.py"
    )
    machine.run("sleep 15")
    machine.run("systemctl restart resourced")
    assert await_restart(machine, before) != before
    machine.run("sleep 10; rm /run/callers")
    machine.until("! systemctl is-active --quiet callers", seconds=240)
    told = json.loads(machine.run("cat /run/told"))
    print(told)
    assert set(told["told"]) == {"HTTP/1.1 200 OK"}
    assert told["told"]["HTTP/1.1 200 OK"] >= 400


def test_a_daemon_that_hangs_is_ended_and_started_again(machine: Machine) -> None:
    before = pid(machine)
    machine.run(f"kill -STOP {before}")
    await_restart(machine, before)
    assert "watchdog" in machine.run("journalctl -u resourced -q --no-pager -n 60").lower()


def test_history_and_decisions_survive_a_kill(machine: Machine) -> None:
    machine.run("sleep 12")
    kept, before = samples(machine), pid(machine)
    machine.run(f"kill -KILL {before}")
    await_restart(machine, before)
    assert samples(machine) >= kept - 12  # what is not written yet, at most history.flush_interval, may be lost
    assert machine.run("journalctl -q -u resourced RESOURCED_EVENT=store_set_aside") == ""


def test_a_configuration_that_cannot_be_used_is_not_tried_again_and_again(machine: Machine) -> None:
    machine.run("mkdir -p /etc/resourced/resourced.toml.d")
    machine.write("/etc/resourced/resourced.toml.d/60-bad.toml", "[sampling]\ninterval = 'often'\n")
    assert machine.attempt("systemctl restart resourced")[0] != 0
    machine.run("sleep 8")
    shown = machine.run("systemctl show -p ExecMainStatus,ActiveState,NRestarts resourced").split()
    assert {"ExecMainStatus=78", "ActiveState=failed", "NRestarts=0"} == set(shown)
    assert "sampling.interval" in machine.run("journalctl -u resourced -q --no-pager -n 20")
    machine.run("rm /etc/resourced/resourced.toml.d/60-bad.toml")
    machine.run("systemctl reset-failed resourced resourced.socket; systemctl start resourced")


def test_it_is_there_after_a_boot(machine: Machine) -> None:
    kept = samples(machine)
    machine.off()
    seconds = machine.boot()
    machine.until("systemctl is-active --quiet resourced", seconds=180)
    print(f"booted in {seconds:.0f} s of the emulated machine; {machine.run('systemd-analyze time | head -1')}")
    assert samples(machine) >= kept - 12
    assert get(machine, "/healthz")["status"] == "ok"
