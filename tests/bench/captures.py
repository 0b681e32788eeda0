"""Take the captures of resourcectl in docs/terminal.md anew: python -m tests.bench.captures.

A virtual machine is booted with the package installed and three services that work: one whose memory grows and falls,
one that computes in bursts, one that idles. After ten minutes resourcectl runs in it on terminals of two sizes, made by
tmux, and what the terminals show is written down as it stands. It takes what the tests in tests/system take, and tmux.
With --here the daemon and three such programs run on this machine instead, alone in a pid namespace; that takes root.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.running import running
from tests.system.image import base_image
from tests.system.machine import Machine, booted

ROOT = Path(__file__).parents[2]
SIZES = ((80, 24), (200, 50))
COMMANDS = (
    ("resourcectl top", True),
    ("resourcectl top --tree", True),
    ("resourcectl top --by unit --sort name", True),
    ("resourcectl history memory.available --since 10min", False),
)
"""What is captured, and whether it goes on until q is pressed."""
SERVICES = {
    "train": """
import time
while True:
    held = []
    for _ in range(12):
        held.append(bytearray(20 << 20))
        time.sleep(10)
""",
    "build": """
import time
while True:
    ends = time.monotonic() + 4
    while time.monotonic() < ends:
        pass
    time.sleep(20)
""",
    "web": """
import time
held = bytearray(40 << 20)
while True:
    time.sleep(1)
""",
}
HEAD = """# resourcectl on a terminal

What `resourcectl` shows on terminals of two sizes, as plain text. Nothing wraps: what has no room is cut, and marked by
an ellipsis. `python -m tests.bench.captures` takes these captures anew, with three programs that work: `train`, whose
memory grows and falls, `build`, which computes in bursts, and `web`, which idles. Titles are bold and the last line is
dim, unless `NO_COLOR` is set.
"""
_PATIENCE_SECONDS = 60.0


class Terminal:
    """A terminal of some size that tmux keeps.

    Args:
        columns: Its width.
        lines: Its height.
        server: Socket of a tmux of our own.
    """

    def __init__(self, columns: int, lines: int, server: Path) -> None:
        self._size = ("-x", str(columns), "-y", str(lines))
        self._tmux = ("tmux", "-S", str(server), "-f", "/dev/null")

    def capture(self, command: list[str], done: Callable[[str], bool]) -> str:
        """Return what the terminal shows as soon as a command has written what is awaited, and end the command."""
        # The shell keeps what was shown when the command has ended.
        held = f"{shlex.join(command)}; sleep 600"
        self._run("new-session", "-d", *self._size, held)
        try:
            ends = time.monotonic() + _PATIENCE_SECONDS
            while True:
                shown = self._run("capture-pane", "-p")
                if done(shown):
                    return shown
                if time.monotonic() > ends:
                    raise SystemExit(f"{shlex.join(command)} does not come to an end; it shows:\n{shown}")
                time.sleep(0.5)
        finally:
            self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], check=True, capture_output=True, text=True)
        return done.stdout


def document(captures: list[tuple[str, int, int, str]]) -> str:
    """Return the page: each command with what it shows on each size; nothing of one that has nothing to show."""
    parts = [HEAD]
    empty = {command for command, _, _, text in captures if "There is no" in text}
    for command, _ in COMMANDS:
        if command in empty:  # without the one tree of cgroup version 2 there are no units
            continue
        parts.append(f"\n## `{command}`\n")
        for named, columns, lines, text in captures:
            if named == command:
                shown = "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n")
                parts.append(f"\n{columns} columns, {lines} lines:\n\n```text\n{shown}\n```\n")
    return "".join(parts)


def take(run: Callable[[str], list[str]], scratch: Path) -> list[tuple[str, int, int, str]]:
    """Return all captures.

    Args:
        run: Returns the command that runs another where the daemon is.
        scratch: A directory for the time being.
    """
    taken = []
    for number, (columns, lines) in enumerate(SIZES):
        for place, (command, live) in enumerate(COMMANDS):
            server = scratch / f"tmux{number}{place}"  # one that has just been ended would be in the way of the next
            awaited = "q quit" if live else "last "
            shown = Terminal(columns, lines, server).capture(run(command), lambda text, a=awaited: a in text)  # type: ignore[misc]
            taken.append((command, columns, lines, shown))
    return taken


@contextmanager
def busy_machine(scratch: Path, minutes: float) -> Iterator[Machine]:
    """Boot a machine with the package and the services, and let them work for a time."""
    package = os.environ.get("RESOURCED_DEB")
    if package is None:
        command = [str(ROOT / "packaging/deb"), str(scratch)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHON": sys.executable})
        [made] = scratch.glob("*.deb")
        package = str(made)
    with booted(base_image(), scratch) as machine:
        machine.put(Path(package), "/root/resourced.deb")
        machine.run("dpkg -i /root/resourced.deb")
        for name, program in SERVICES.items():
            machine.write(f"/root/{name}.py", program)
            machine.run(f"systemd-run --unit {name} python3 /root/{name}.py")
        time.sleep(minutes * 60)
        yield machine


@contextmanager
def busy_namespace(scratch: Path, minutes: float) -> Iterator[Callable[[str], list[str]]]:
    """Run the daemon and the programs here, where nothing else is seen, for a time; yield how to run another."""
    daemon = (
        f'[daemon]\nruntime_directory = "{scratch}/run"\n[history]\ndirectory = "{scratch}/state"\n[api]\nport = 0\n'
    )
    with ExitStack() as stack:
        stack.enter_context(running(scratch / "daemon", text=daemon))
        for name, program in SERVICES.items():
            python = scratch / name  # the kernel calls a process by the name of its program
            python.symlink_to(sys.executable)
            process = stack.enter_context(subprocess.Popen([python, "-c", program]))
            stack.callback(process.kill)
        time.sleep(minutes * 60)
        socket = f"RESOURCED_SOCKET={scratch}/run/resourced.sock"
        path = f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}"
        yield lambda command: ["env", socket, path, *shlex.split(command)]


def within(options: argparse.Namespace) -> None:
    """Write the page from within a namespace of our own, in which nothing else is."""
    with tempfile.TemporaryDirectory() as name, busy_namespace(Path(name), options.minutes) as run:
        options.output.write_text(document(take(run, Path(name))))


def main() -> None:
    """Write docs/terminal.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the services work before")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/terminal.md")
    parser.add_argument("--here", action="store_true", help="on this machine, in a pid namespace")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within:
        within(options)
        return
    if options.here:
        # A shell is the first process there: it clears away those whose parents have ended.
        alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", '"$@"; exit $?', "bash"]
        again = [sys.executable, "-m", "tests.bench.captures", *sys.argv[1:], "--within"]
        raise SystemExit(subprocess.run([*alone, *again], check=False).returncode)
    with tempfile.TemporaryDirectory() as name, busy_machine(Path(name), options.minutes) as machine:
        options.output.write_text(document(take(machine.terminal, Path(name))))
    print(f"{options.output} is written")


if __name__ == "__main__":
    main()
