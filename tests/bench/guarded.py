"""A world of its own for the guard: its own processes, and a /proc/meminfo that says what the benchmark wants.

Programs that kill run here for real, and can reach nobody outside: the kernel gives the world a number space of its
own, in which no other process of the machine exists.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
_HOG = """
import signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
data = bytearray(b"x") * (int(sys.argv[2]) << 20)
open("/proc/self/comm", "w").write(sys.argv[1])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
print(time.monotonic(), flush=True)
"""
_STREAMS = """
import select, socket, sys
poll, held = select.poll(), {}
for _ in range(int(sys.argv[2])):
    one = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    one.sendall(b"GET /events HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    poll.register(one, select.POLLIN)
    held[one.fileno()] = one
while True:
    for number, _ in poll.poll():
        if not held[number].recv(65536):
            sys.exit("a stream ended")
"""
_QUESTIONS = """
import http.client, itertools, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
for path in itertools.cycle(sys.argv[2:]):
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        sys.exit(f"{path}: {answer.status}")
"""


def enter(module: str) -> bool:
    """Return whether this process lives in a world of its own; begins it anew in one if it can.

    Args:
        module: What to run there, with the arguments of this process.
    """
    if os.environ.get("RESOURCED_BENCH_APART") == str(Path("/proc/self/ns/pid").stat().st_ino):
        return True
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    inner = f'RESOURCED_BENCH_APART=$(stat -Lc %i /proc/self/ns/pid) exec "{sys.executable}" -m {module} "$@"'
    options = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    # It never returns.
    return os.execvp("unshare", ["unshare", *options, "sh", "-c", inner, "sh", *sys.argv[1:]])


class Meminfo:
    """/proc/meminfo as everybody in this world reads it: the machine's, but for what is available.

    Args:
        directory: Where the file is kept that is laid over it.
    """

    def __init__(self, directory: Path) -> None:
        self._text = MEMINFO.read_text()
        total = re.search(r"MemTotal:\s+(\d+)", self._text)
        self._total_kib = int(total[1]) if total else 0
        path = directory / "meminfo"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o444)
        self.say(0.5)
        subprocess.run(["mount", "--bind", str(path), str(MEMINFO)], check=True)

    def say(self, share: float) -> float:
        """Let so much be left; return the moment from which on it was so, on CLOCK_MONOTONIC."""
        left = f"{int(share * self._total_kib):>12}"  # of the same length each time
        text = re.sub(r"(MemAvailable:\s+|MemFree:\s+)\d+", lambda found: f"{found[1].rstrip()} {left}", self._text)
        os.pwrite(self._descriptor, text.encode(), 0)
        return time.monotonic()


class Hog:
    """A process that holds memory and tells when it was asked to end.

    Args:
        name: Its name, which nothing else has.
        mebibytes: What it holds.
    """

    def __init__(self, name: str, mebibytes: int) -> None:
        command = [sys.executable, "-c", _HOG, name, str(mebibytes)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._line()

    def ended(self, seconds: float) -> float | None:
        """Return when it saw the signal, on CLOCK_MONOTONIC; None if none came in that time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None
        return float(self._line())

    def _line(self) -> str:
        if self._process.stdout is None:
            raise AssertionError("it has a pipe")
        return self._process.stdout.readline()


@contextlib.contextmanager
def load(port: int, *, api: bool, questions: Sequence[str], askers: int) -> Iterator[None]:
    """Keep the API at work until the block ends.

    Args:
        port: Where it listens on loopback.
        api: Whether eight connections ask for everything as fast as it answers, and fifty listen to events.
        questions: Paths that are asked for one after the other, without a pause.
        askers: By so many at the same time.

    Raises:
        RuntimeError: What asks ended before the block did.
    """
    commands = []
    if api:
        commands += [
            ["wrk", "-t1", "-c8", "-d3600s", f"http://127.0.0.1:{port}/resources/all"],
            [sys.executable, "-c", _STREAMS, str(port), "50"],
        ]
    commands += [[sys.executable, "-c", _QUESTIONS, str(port), *questions] for _ in range(askers)]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    try:
        yield
        ended = [each.args for each in running if each.poll() is not None]
        if ended:
            raise RuntimeError(f"the load did not last: {ended}")
    finally:
        for each in running:
            each.kill()
            each.wait()
