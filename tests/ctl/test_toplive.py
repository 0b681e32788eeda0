"""`resourcectl top` on a terminal of its own."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from resourced.ctl import Exit
from tests.client.fakes import FakeDaemon


@contextlib.contextmanager
def live_top() -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """Run `top` on a terminal of its own until it has drawn; yield it with both ends of that."""
    master, slave = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-m", "resourced.ctl", "top", "--interval", "0.2"]
    # In a group of its own, as a shell would start it: nobody could make one go on that has stopped with its parent.
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ, process_group=0) as process:
        try:
            await_shown(master, b"large")
            yield process, master, slave
        finally:
            process.kill()
            os.close(slave)
            os.close(master)


def await_shown(master: int, wanted: bytes, times: int = 1) -> bytes:
    """Return what is shown from now on, as soon as something is in it."""
    shown = b""
    while shown.count(wanted) < times:
        assert select.select([master], [], [], 30)[0]
        shown += os.read(master, 65536)
    return shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_top_gives_the_terminal_back_however_it_is_ended(daemon: FakeDaemon, number: signal.Signals) -> None:
    before = pty.openpty()
    usual = termios.tcgetattr(before[1])
    with live_top() as (process, master, slave):
        assert termios.tcgetattr(slave)[3] & termios.ECHO == 0
        process.send_signal(number)
        await_shown(master, b"\x1b[?1049l")
        assert process.wait(30) == 128 + number
        assert termios.tcgetattr(slave)[3] == usual[3]
    for each in before:
        os.close(each)


def test_arrows_do_not_end_top_and_q_does(daemon: FakeDaemon) -> None:
    with live_top() as (process, master, _):
        os.write(master, b"\x1b[A")
        await_shown(master, b"large", 2)
        os.write(master, b"\x1b[<65;10;10M")
        await_shown(master, b"large", 2)
        assert process.poll() is None
        os.write(master, b"tq")
        await_shown(master, b"\x1b[?1049l")
        assert process.wait(30) == Exit.OK


def test_top_gives_the_terminal_back_while_it_is_stopped(daemon: FakeDaemon) -> None:
    with live_top() as (process, master, slave):
        process.send_signal(signal.SIGTSTP)
        await_shown(master, b"\x1b[?1049l")
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert termios.tcgetattr(slave)[3] & termios.ECHO
        process.send_signal(signal.SIGCONT)
        await_shown(master, b"\x1b[?1049h")
        await_shown(master, b"large")
        assert termios.tcgetattr(slave)[3] & termios.ECHO == 0


def test_top_is_live_until_interrupted(daemon: FakeDaemon) -> None:
    with live_top() as (process, master, _):
        again = await_shown(master, b"large", 2)
        process.send_signal(signal.SIGINT)
        await_shown(master, b"\x1b[?1049l")
        assert process.wait(30) == Exit.INTERRUPTED
    assert b"\x1b[2J" not in again, "it is drawn over, not cleared"
