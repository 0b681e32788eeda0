"""Requests made from the API's own description, thousands on each listener: no fault, no answer outside of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.long.relay import relay
from tests.running import Daemon, running, settings

HERE = Path(__file__).parent
REQUESTS = 10_000
"""At least so many on each listener."""

QUIET = """
[log]
level = "error"
[collectors.processes]
descriptors = 0
"""
"""Without descriptors of processes, of which there are more and fewer, all others can be counted."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]


def fuzz(port: int, directory: Path, *excluded: str) -> None:
    """Let schemathesis make requests, which must be as many as wanted and find nothing; what it keeps lies there."""
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "all", "--exclude-path", "/events"),
        # Bounds of durations, and what a time may be, can't be said in a schema; a refusal is 422 with the reason.
        *("--exclude-checks", "positive_data_acceptance"),
        *(word for path in excluded for word in ("--exclude-path", path)),
        *("--max-examples", "500", "--workers", "2", "--max-failures", "20", "--no-color"),
    ]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.long.hooks", "PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-20_000:]
    found = re.search(r"(\d+) generated", said)
    assert found, said
    print(f"{found[1]} requests")
    assert int(found[1]) >= REQUESTS


def check_health(daemon: Daemon, descriptors: int) -> None:
    """The daemon that was asked is still the same, said nothing of a fault, and holds no more descriptors."""
    assert daemon.process.poll() is None
    assert daemon.lines("api_fault") == []
    assert daemon.get("/healthz")["descriptors"] <= descriptors + 10


@pytest.mark.parametrize("listener", ["tcp", "unix"])
def test_nothing_in_the_description_is_untrue(tmp_path: Path, listener: str) -> None:
    with running(tmp_path, text=settings(tmp_path, QUIET)) as daemon:
        descriptors = daemon.get("/healthz")["descriptors"]
        if listener == "tcp":
            fuzz(int(daemon.get("/healthz")["listeners"][1].rpartition(":")[2]), tmp_path)
        else:
            with relay(daemon.socket) as port:
                # To admins these do or tell something, and ask for no token, because the kernel says who they are; some
                # take the disk's time. Other tests ask for them.
                fuzz(port, tmp_path, "/history/export", "/reload", "/log-level", "/config")
        check_health(daemon, descriptors)
