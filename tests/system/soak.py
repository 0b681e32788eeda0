"""The installed service for half an hour under changing load, in the virtual machine: what it holds must not grow.

Run: python -m tests.system.soak [--minutes 30]. Processors are ten times slower there, so it samples twice a second
and remembers a minute instead of an hour in memory, writes every two seconds and keeps ten minutes on disk: all that
takes hours to come round (slots, packs, removal, the tiers) comes round many times. A minute of load and a minute of
quiet take turns. What it holds is compared in quiet: it keeps a descriptor for each process of the machine, and those
of the load come and go. Ends with 1 if anything grew.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.report import keep, table
from tests.bench.soak import Reading, faults
from tests.system.asking import SOCKET, get, pid
from tests.system.image import base_image
from tests.system.machine import Machine, booted
from tests.system.package import build

_EVERY_SECONDS = 10.0
_SETTLED_SECONDS = 300.0
"""After this time the ring in memory, the first packs and all pools have come round, also where it is slow."""
_LETTING_GO_SECONDS = 20.0
_LOAD = "/root/load.py"
_SETTINGS = """
[sampling]
interval = "500ms"
[history]
memory_window = "1min"
flush_interval = "2s"
[history.retention]
raw = "10min"
"""


def soak(machine: Machine, minutes: float) -> list[Reading]:
    """Trouble the daemon every other minute for so long and return what it said of itself."""
    machine.run("mkdir -p /etc/resourced/resourced.toml.d")
    machine.write("/etc/resourced/resourced.toml.d/50-soak.toml", _SETTINGS)
    machine.put(Path(__file__).parents[1] / "bench/load.py", _LOAD)
    machine.run("systemctl restart resourced")
    readings: list[Reading] = []
    began, same = time.monotonic(), pid(machine)
    for number in itertools.count():
        time.sleep(max(0.0, began + number * _EVERY_SECONDS - time.monotonic()))
        seconds = time.monotonic() - began
        if seconds > minutes * 60:
            break
        _trouble(machine, wanted=int(seconds // 60) % 2 == 0)
        told = get(machine, "/healthz")
        held = (told["memory_bytes"], told["descriptors"], told["threads"])
        readings.append(Reading(seconds, *held, told["sampling"]["lag_seconds"]))
        print(f"{seconds:6.0f} s {held[0] / 2**20:6.1f} MiB {held[1]} {held[2]}", flush=True)
    _trouble(machine, wanted=False)
    if pid(machine) != same:
        raise AssertionError("the daemon did not live through it")
    return readings


def in_quiet(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings of the quiet minutes, without the seconds in which what the load held is let go."""
    return [each for each in readings if each.seconds % 120 >= 60 + _LETTING_GO_SECONDS]


def _trouble(machine: Machine, *, wanted: bool) -> None:
    if wanted:
        command = f"python3 {_LOAD} {SOCKET} --pace 10 --reload 'systemctl reload resourced'"
        machine.run(f"systemctl is-active --quiet load || systemd-run -q --collect --unit load {command}")
    else:
        machine.run("systemctl stop load", check=False)


def main() -> int:
    """Soak, write down ten lines of the course, and tell what grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    chosen = parser.parse_args()
    if chosen.minutes * 60 < 2 * _SETTLED_SECONDS:
        parser.error("less than ten minutes tell nothing")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        package = build(scratch)
        with booted(base_image(), scratch) as machine:
            machine.put(package, "/root/resourced.deb")
            machine.run("dpkg -i /root/resourced.deb")
            readings = soak(machine, chosen.minutes)
            sequence = get(machine, "/healthz")["sampling"]["sequence"]
            faulty = machine.run("journalctl -u resourced -p warning -o cat --no-pager | sort | uniq -c | tail -n 20")
    rows = [
        (
            f"{each.seconds:.0f}",
            f"{each.memory_bytes / 2**20:.1f} MiB",
            str(each.descriptors),
            str(each.threads),
            f"{each.lag_seconds * 1000:.1f} ms",
        )
        for each in readings[:: max(1, len(readings) // 12)]
    ]
    found = faults(in_quiet(readings), _SETTLED_SECONDS)
    said = "; ".join(found) or "nothing grew"
    body = table(("seconds", "resident", "descriptors", "threads", "lag of a sample"), rows)
    body += (
        f"\n\n{chosen.minutes:.0f} minutes of the installed service in the virtual machine (two emulated processors,"
        f" 1 GiB), {sequence:,} samples, a minute of load, a minute of quiet in turn. Medians of the quiet in the"
        f" first and the last quarter from {_SETTLED_SECONDS:.0f} s on compared: {said}."
    )
    keep("Soak", f"python -m tests.system.soak --minutes {chosen.minutes:g}", body)
    print(faulty or "the journal has no warning")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
