"""The client and `resourcectl run` before the real daemon, which asks them to go."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.client import Client, workload
from tests.running import PATIENCE_SECONDS, running, settings

# httpcore leaves a Unix socket whose connection failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

RULE = """
[policy]
mode = "enforce"
profile = "none"
[actions]
terminals = false
settle = "100ms"
[[rule]]
name = "always"
level = "soft"
metric = "memory.available"
below = "100%"
for = "200ms"
cooldown = "200ms"
min_gain = "60MiB"
scope = "workload"
# The second program is asked when this would have been over for the first.
steps = [{ step = "terminate", grace = "1s" }]
"""
# More than min_gain: before it holds that, it is set up to be told.
HOLDS = "held = bytearray(80 << 20)\n"
TAKES_PART = (
    HOLDS + "from resourced.client import workload\nwith workload('train', grace_seconds=60) as w:\n"
    "    request = w.wait(30)\n    print(w.workload.id, request.rule, request.steps)\n"
)


WITH_A_LOOP = (
    HOLDS
    + """
import asyncio
from resourced.client import workload

async def main():
    async with workload('train', grace_seconds=60) as w:
        request = await asyncio.wait_for(w.prune_requested(), 30)
        print(w.workload.id, request.rule, request.steps)

asyncio.run(main())
"""
)
CALLED_BACK = (
    HOLDS
    + """
import threading
from resourced.client import workload

asked, told = threading.Event(), []

def on_prune(request):
    told.append(request)
    asked.set()

with workload('train', grace_seconds=60, on_prune=on_prune) as w:
    assert asked.wait(30)
    print(w.workload.id, told[0].rule, told[0].steps)
"""
)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let go of sockets whose connection failed, while it is known which test it was."""
    yield
    gc.collect()


def test_a_program_is_asked_and_leaves_before_anything_is_done_to_it(tmp_path: Path) -> None:
    with running(tmp_path, text=settings(tmp_path, RULE)) as daemon:
        environ = {**os.environ, "RESOURCED_SOCKET": str(daemon.socket)}
        run = [sys.executable, "-m", "resourced.ctl", "run", "--no-scope", "--name", "train", "--"]
        for command in ([], run):
            program = [*command, sys.executable, "-c", TAKES_PART]
            done = subprocess.run(
                program, env=environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
            )
            assert done.returncode == 0, done.stderr
            identity, rule, steps = done.stdout.split(maxsplit=2)
            assert identity.startswith("w-")
            assert (rule, steps.strip()) == ("always", "('terminate',)")
        with Client(str(daemon.socket)) as client:
            assert client.workloads() == []
    assert daemon.lines("workload_acknowledged")


@pytest.mark.parametrize("program", [WITH_A_LOOP, CALLED_BACK], ids=["with a loop", "called back"])
def test_a_program_may_await_it_or_be_called(tmp_path: Path, program: str) -> None:
    with running(tmp_path, text=settings(tmp_path, RULE)) as daemon:
        environ = {**os.environ, "RESOURCED_SOCKET": str(daemon.socket)}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split(maxsplit=2)[1:] == ["always", "('terminate',)\n"]


def test_a_signal_asks_a_program_that_knows_nothing(tmp_path: Path) -> None:
    with running(tmp_path, text=settings(tmp_path, RULE)) as daemon:
        environ = {**os.environ, "RESOURCED_SOCKET": str(daemon.socket)}
        run = [sys.executable, "-m", "resourced.ctl", "run", "--no-scope", "--signal", "USR2", "--"]
        program = f"import signal\nsignal.signal(signal.SIGUSR2, lambda *_: exit(9))\n{HOLDS}signal.pause()\n"
        done = subprocess.run([*run, sys.executable, "-c", program], env=environ, timeout=PATIENCE_SECONDS, check=False)
        assert done.returncode == 9


def test_a_registration_outlives_a_killed_daemon(tmp_path: Path) -> None:
    text = settings(tmp_path)
    with running(tmp_path, text=text) as daemon:
        w = workload("train", target=str(daemon.socket)).open()
        first = w.workload
        daemon.end(signal.SIGKILL)
    with running(tmp_path, text=text) as daemon, Client(str(daemon.socket)) as client:
        assert first is not None
        assert [each.id for each in client.workloads()] == [first.id]
        w.close()
        assert client.workloads() == []
