"""What the sandbox lets through and what it doesn't, tried by programs that run in it beside the daemon."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nvml.build import build
from tests.nvml.control import VARIABLE, FakeNvml
from tests.system.asking import get
from tests.system.machine import Machine

DROP_IN = "/run/systemd/system/resourced.service.d/50-test.conf"
# What acting needs, and what nobody needs; each is tried by a process with the rights of the daemon.
PROBE = r"""
import ctypes, errno, json, os, signal, socket
victim = int(open("/run/victim.pid").read())
group = "/sys/fs/cgroup/system.slice/probed.service/"

def write(path, text):
    with open(path, "w") as file:
        file.write(text)

def freeze():
    write(group + "cgroup.freeze", "1")
    write(group + "cgroup.freeze", "0")

def trigger():
    fd = os.open("/proc/pressure/memory", os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"some 150000 1000000\0")
    os.close(fd)

def lock():
    if ctypes.CDLL(None, use_errno=True).mlockall(1 | 2 | 4):
        raise OSError(ctypes.get_errno(), "mlockall")

def unshare():
    if ctypes.CDLL(None).unshare(0x10000000):
        raise OSError("unshare")

def end():
    fd = os.pidfd_open(victim)
    signal.pidfd_send_signal(fd, signal.SIGTERM)

tries = {
    "io of others": lambda: open(f"/proc/{victim}/io").read(),
    "descriptors of others": lambda: os.listdir(f"/proc/{victim}/fd"),
    "proportional memory": lambda: open(f"/proc/{victim}/smaps_rollup").read(),
    "limits": lambda: write(group + "memory.high", "50M"),
    "weights": lambda: write(group + "cpu.weight", "20"),
    "freezing": freeze,
    "reclaiming": lambda: write(group + "memory.reclaim", "4K"),
    "pressure triggers": trigger,
    "locked memory": lock,
    "ending": end,
    "telling on consoles": lambda: os.open("/dev/tty1", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY),
    "reading consoles": lambda: os.open("/dev/tty1", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY),
    "/etc": lambda: write("/etc/written", ""),
    "/usr": lambda: write("/usr/written", ""),
    "/home": lambda: write("/home/alice/written", ""),
    "settings of the kernel": lambda: write("/proc/sys/vm/swappiness", "1"),
    "raw disks": lambda: os.open("/dev/vda", os.O_RDONLY),
    "calling out": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "namespaces": unshare,
    "other users": lambda: os.setuid(0),
}
told = {}
for name, attempt in tries.items():
    try:
        attempt()
        told[name] = True
    except OSError as error:
        told[name] = error.errno == errno.EAGAIN  # there was less to reclaim than asked for
print(json.dumps(told))
"""
NEEDED = {
    *("io of others", "descriptors of others", "proportional memory", "limits", "weights", "freezing", "reclaiming"),
    *("pressure triggers", "locked memory", "ending", "telling on consoles"),
}


@pytest.fixture
def drop_in(machine: Machine) -> Iterator[None]:
    machine.run("mkdir -p /run/systemd/system/resourced.service.d")
    yield
    machine.run("rm -rf /run/systemd/system/resourced.service.d; systemctl daemon-reload; systemctl restart resourced")


@pytest.mark.usefixtures("drop_in")
def test_it_can_do_what_acting_needs_and_nothing_else(machine: Machine) -> None:
    machine.run("systemd-run --unit probed sleep infinity; systemctl show -P MainPID probed >/run/victim.pid")
    machine.write("/run/probe.py", PROBE)
    command = "/bin/sh -c '/usr/lib/resourced/bin/python3 -I /run/probe.py >/var/lib/resourced/probed'"
    machine.write(DROP_IN, f"[Service]\nExecStartPost={command}\n")
    machine.run("systemctl daemon-reload; systemctl restart resourced")
    told = json.loads(machine.run("cat /var/lib/resourced/probed; rm /var/lib/resourced/probed"))
    assert {name for name, done in told.items() if done} == NEEDED


@pytest.mark.usefixtures("drop_in")
def test_gpus_are_seen_through_the_library_of_the_driver(machine: Machine, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    FakeNvml(answers)
    machine.put(build(tmp_path), "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1")
    machine.run("mkdir -p /var/lib/resourced && install -o resourced -m 600 /dev/null /var/lib/resourced/nvml")
    machine.put(answers, "/var/lib/resourced/nvml")
    machine.write(DROP_IN, f"[Service]\nEnvironment={VARIABLE}=/var/lib/resourced/nvml\n")
    machine.run("ldconfig; systemctl daemon-reload; systemctl restart resourced")
    machine.until("resourcectl --json status | grep -q '\"gpus\"'")
    machine.run("sleep 2")
    seen = get(machine, "/resources/all")
    machine.run("rm /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1 /var/lib/resourced/nvml; ldconfig")
    assert seen["collectors"]["gpus"]["status"] == "ok", seen["collectors"]["gpus"]
    assert [gpu["name"] for gpu in seen["gpus"]["devices"].values()] == ["Fake GPU 0", "Fake GPU 1"]
