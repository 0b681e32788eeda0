"""One storm: the actors started, watched until the runaway is gone, and what was left counted."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from tests.system.machine import CommandError, Machine
from tests.system.storm import daemons
from tests.system.storm.daemons import Keeper

SCENARIOS = ("slow", "fast", "thrash")
STORM_SECONDS = {"slow": 90, "fast": 90, "thrash": 60}
"""The time after which a storm ends by itself. Thrash is there at once; what grows needs time to get there."""
AFTERMATH_SECONDS = 5
INNOCENT_MB = 600
_SETTLE_SECONDS = 8
_ACTORS = ("runaway", "innocent", "bystander")
_SERVICES = "systemctl show -p Id -p MainPID '*.service'"
_KERNEL = "dmesg | grep -E 'Killed process|invoked oom-killer' | cut -c1-160 | head -10"
_CLEAN = (
    "systemctl kill -s KILL {units}; systemctl stop {units}; systemctl reset-failed {units};"
    " rm -f /run/storm-go /dev/shm/storm-pulse; sync; echo 3 >/proc/sys/vm/drop_caches; dmesg -C;"
    " swapoff -a; {swap} true"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run tries."""

    scenario: str
    swap_mb: int
    daemon: str


def run(machine: Machine, setting: Setting, keeper: Keeper) -> dict[str, Any]:
    """Let one storm happen; return what came of it, as data for a line of JSON.

    Raises:
        CommandError: The machine does not do what it is told, so that it must be booted again.
        subprocess.TimeoutExpired: The same.
    """
    _clean(machine, setting.swap_mb)
    try:
        daemons.start(machine, keeper)
        pid = _start_actors(machine, setting.scenario)
        before = _services(machine)
        cpu = _cpu_seconds(machine, keeper)
        since = machine.run("date '+%F %T'")
        seen = machine.json(f"storm-watch {pid} {STORM_SECONDS[setting.scenario]} {AFTERMATH_SECONDS}")
        used, after = _cpu_seconds(machine, keeper), _services(machine)
        return {
            **asdict(setting),
            **seen,
            **_fate(machine),
            "others_dead": sorted(name for name in before if after.get(name) != before[name]),
            "cpu_seconds": None if cpu is None or used is None else round(used - cpu, 3),
            "rss_mib": _rss_mib(machine, keeper),
            "kernel": machine.run(_KERNEL, check=False),
            "told": _told(machine, keeper, since),
        }
    finally:
        daemons.stop(machine, keeper)


def _clean(machine: Machine, swap_mb: int) -> None:
    units = " ".join(f"{each}.service" for each in _ACTORS)
    swap = f"fallocate -l {swap_mb}M /swap; chmod 600 /swap; mkswap -q /swap; swapon /swap;" if swap_mb else ""
    machine.run(_CLEAN.format(units=units, swap=swap), check=False)
    held = machine.run("free -m | awk '/^Swap/ {print $2}'")
    if abs(int(held) - swap_mb) > 1:
        raise CommandError(f"the machine has {held} MiB of swap instead of {swap_mb}")


def _start_actors(machine: Machine, scenario: str) -> int:
    """Start bystander, innocent and runaway; return the pid of the runaway, which waits for the go."""
    programs = {
        "bystander": "storm-bystander",
        "innocent": f"storm-innocent {INNOCENT_MB}",
        "runaway": f"storm-runaway {scenario} {STORM_SECONDS[scenario]}",
    }
    begin = "systemd-run -q -p TimeoutStopSec=5 --unit"
    all_of_them = " && ".join(f"{begin} {unit} /usr/local/bin/{program}" for unit, program in programs.items())
    return int(machine.run(f"{all_of_them} && sleep {_SETTLE_SECONDS} && systemctl show -P MainPID runaway"))


def _services(machine: Machine) -> dict[str, str]:
    """Return the main process of each service that runs, without the actors."""
    found = re.findall(r"^(?:MainPID=(\d+)\nId=(.+)|Id=(.+)\nMainPID=(\d+))$", machine.run(_SERVICES), re.MULTILINE)
    pids = {(first or second).removesuffix(".service"): one or other for one, first, second, other in found}
    return {name: pid for name, pid in pids.items() if pid != "0" and name not in _ACTORS}


def _fate(machine: Machine) -> dict[str, Any]:
    """Return whether the actors live, and how the runaway ended."""
    fates = {}
    shown = machine.run(f"systemctl show -p ActiveState -p Result {' '.join(_ACTORS)}")
    for name, part in zip(_ACTORS, shown.split("\n\n"), strict=True):
        fields = dict(line.split("=", 1) for line in part.split("\n"))
        alive = fields.get("ActiveState") in ("active", "deactivating")
        fates[f"{name}_fate"] = "alive" if alive else fields.get("Result", "gone")
    return fates


def _cpu_seconds(machine: Machine, keeper: Keeper) -> float | None:
    if keeper.unit is None:
        return None
    text = machine.run(f"cat /sys/fs/cgroup$(systemctl show -P ControlGroup {keeper.unit})/cpu.stat", check=False)
    found = re.search(r"usage_usec (\d+)", text)
    return int(found[1]) / 1e6 if found else None


def _rss_mib(machine: Machine, keeper: Keeper) -> float | None:
    if keeper.unit is None:
        return None
    text = machine.run(f"cat /proc/$(systemctl show -P MainPID {keeper.unit})/status", check=False)
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return round(int(found[1]) / 1024, 1) if found else None


def _told(machine: Machine, keeper: Keeper, since: str) -> list[str]:
    """Return the last lines that the daemon wrote to the journal during the storm."""
    if keeper.unit is None:
        return []
    text = machine.run(
        f"journalctl -q -u {keeper.unit} --since '{since}' -o short-monotonic --no-pager -n 40", check=False
    )
    return text.splitlines()
