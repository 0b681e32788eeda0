"""Memory of who is killed comes free at once, not when the killed one gets to it."""

import os
import signal

from resourced.actions import Target
from resourced.actions.terminate import kill_all
from resourced.collectors.base import Roots
from resourced.policy import Myself
from tests.actions.fakes import MEEK, process_candidate, program, start_of

LARGE = "data = bytearray(200 << 20)\n" + MEEK
TRIES = 10
"""It may be quicker itself, if another processor is free: then nothing is left to be freed."""


def killed() -> str:
    """Kill a program that holds 200 MiB; return what is told of it."""
    with program(LARGE) as process:
        members = ((process.pid, start_of(process.pid)),)
        target = Target.open(process_candidate(process.pid), members, roots=Roots(), myself=Myself(os.getpid()))
        told = kill_all(target)
        target.close()
        assert process.wait() == -signal.SIGKILL
    return told


def test_the_kernel_frees_at_once_what_a_killed_program_held() -> None:
    wanted = "SIGKILL to 1 process, memory of 1 freed at once"
    told: list[str] = []
    while wanted not in told and len(told) < TRIES:
        told.append(killed())
    assert wanted in told, told
