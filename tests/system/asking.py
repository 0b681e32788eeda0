"""Questions to the daemon in the machine."""

import json
from typing import Any

from tests.system.machine import Machine

SOCKET = "/run/resourced/resourced.sock"


def get(machine: Machine, path: str) -> Any:
    """Return the JSON of an answer over the Unix socket."""
    return machine.json(f"curl -sS --fail-with-body --unix-socket {SOCKET} 'http://localhost{path}'")


def status_as(machine: Machine, user: str, path: str, *, post: bool = False) -> str:
    """Return the status that a user gets over the Unix socket; `refused` if he may not even connect."""
    what = "-X POST" if post else ""
    ask = f"curl -s -o /dev/null -w %{{http_code}} {what} --unix-socket {SOCKET} http://localhost{path}"
    code, text = machine.attempt(f"runuser -u {user} -- {ask}")
    return "refused" if code == 7 else text


def pid(machine: Machine) -> int:
    """Return the daemon's pid."""
    return int(machine.run("systemctl show -P MainPID resourced"))


def await_restart(machine: Machine, before: int) -> int:
    """Wait until another process is the daemon and ready; return its pid."""
    machine.until(
        f'now=$(systemctl show -P MainPID resourced); test "$now" != {before} && test "$now" != 0'
        " && systemctl is-active --quiet resourced",
        seconds=240,
    )
    return pid(machine)


def configure(machine: Machine, drop_in: str, text: str) -> None:
    """Put a drop-in of this name into force."""
    machine.run("mkdir -p /etc/resourced/resourced.toml.d")
    machine.write(drop_in, text)
    machine.run("systemctl reload resourced")


def now(machine: Machine) -> str:
    """Return the machine's time as journalctl takes it."""
    return machine.run("date '+%F %T'")


def events(machine: Machine, since: str) -> list[str]:
    """Return the names of what the daemon told the journal since then, in order."""
    text = machine.run(f"journalctl -u resourced --since '{since}' -o json --output-fields=RESOURCED_EVENT")
    return [str(name) for line in text.splitlines() if (name := json.loads(line).get("RESOURCED_EVENT"))]
