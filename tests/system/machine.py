"""A virtual machine with a real systemd: booted from an overlay, spoken to by ssh, thrown away.

QEMU runs it under software emulation, so that it works wherever tests do; code is about ten times slower in it.
"""

import contextlib
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.system.image import Image

BOOT_SECONDS = 300.0
COMMAND_SECONDS = 240.0
_CONSOLE = "root=/dev/vda rw console=ttyS0 psi=1 mitigations=off systemd.show_status=0 quiet"


class CommandError(AssertionError):
    """A command in the machine ended with another code than 0."""


class Machine:
    """A booted machine.

    Args:
        image: What to boot an overlay of.
        directory: For the overlay, the console's log and the connection.
        memory_mb: Its memory.
    """

    def __init__(self, image: Image, directory: Path, memory_mb: int = 1024) -> None:
        self._image = image
        self._directory = directory
        self._memory_mb = memory_mb
        self._overlay = directory / "overlay.qcow2"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def boot(self) -> float:
        """Start it, wait until ssh answers; return the seconds that took. A second boot has the disk of the first."""
        began = time.monotonic()
        if not self._overlay.exists():
            base = ("-f", "qcow2", "-F", "raw", "-b", str(self._image.disk))
            subprocess.run(("qemu-img", "create", "-q", *base, str(self._overlay)), check=True)
        self._port = _free_port()
        with (self._directory / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
            )
        while time.monotonic() - began < BOOT_SECONDS:
            if self._process.poll() is not None:
                break
            if self._connected():
                return time.monotonic() - began
            time.sleep(0.5)
        raise AssertionError(f"the machine does not come up; its console:\n{self.console()[-4000:]}")

    def _command(self) -> list[str]:
        network = f"user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22"
        return [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"),
            *("-m", str(self._memory_mb), "-nographic", "-no-reboot", "-nic", network),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd), "-append", _CONSOLE),
            *("-drive", f"file={self._overlay},if=virtio,cache=unsafe", "-device", "virtio-rng-pci"),
        ]

    def _connected(self) -> bool:
        return subprocess.run(self._ssh("true"), capture_output=True, check=False).returncode == 0

    def _ssh(self, command: str) -> list[str]:
        # One connection for all commands: making one takes seconds of an emulated processor.
        keep = ("-o", "ControlMaster=auto", "-o", f"ControlPath={self._directory}/ssh", "-o", "ControlPersist=600")
        quiet = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
        wait = ("-o", "ConnectTimeout=20", "-i", str(self._image.key), "-p", str(self._port))
        return ["ssh", "-T", *keep, *quiet, *wait, "root@127.0.0.1", command]

    def terminal(self, command: str) -> list[str]:
        """Return the command that runs another in the machine, on a terminal of the size of the caller's."""
        return ["-tt" if each == "-T" else each for each in self._ssh(command)]

    def run(self, command: str, *, check: bool = True, stdin: bytes = b"", seconds: float = COMMAND_SECONDS) -> str:
        """Run a shell command as root and return what it printed, errors behind the output.

        Raises:
            CommandError: It ended with another code than 0, and `check` is on.
        """
        code, text = self.attempt(command, stdin=stdin, seconds=seconds)
        if check and code != 0:
            raise CommandError(f"{command}\nended with {code}:\n{text}")
        return text

    def attempt(self, command: str, *, stdin: bytes = b"", seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Run a shell command as root; return its exit code and what it printed."""
        done = subprocess.run(self._ssh(command), input=stdin, capture_output=True, check=False, timeout=seconds)
        text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        return done.returncode, text.rstrip("\n")

    def json(self, command: str) -> Any:
        """Run a command that prints JSON."""
        return json.loads(self.run(command))

    def put(self, source: Path, target: str) -> None:
        """Copy a file into it."""
        self.run(f"cat >{shlex.quote(target)}", stdin=source.read_bytes())

    def write(self, target: str, text: str) -> None:
        """Write a file in it."""
        self.run(f"cat >{shlex.quote(target)}", stdin=text.encode())

    def until(self, command: str, *, seconds: float = 120.0) -> str:
        """Run a command until it succeeds, and return what it printed then."""
        ends = time.monotonic() + seconds
        while True:
            code, text = self.attempt(command)
            if code == 0:
                return text
            if time.monotonic() > ends:
                raise CommandError(f"{command}\ndoes not succeed in {seconds:.0f} s:\n{text}")
            time.sleep(0.5)

    def console(self) -> str:
        """Return what the kernel printed."""
        return (self._directory / "console.log").read_text(errors="replace")

    def off(self) -> None:
        """Power off; the disk stays as it is."""
        if self._process is None:
            return
        self.attempt("systemctl poweroff --no-block")
        subprocess.run([*self._ssh(""), "-O", "exit"], capture_output=True, check=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(120)
        self.kill()

    def kill(self) -> None:
        """Pull the plug."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def booted(image: Image, directory: Path) -> Iterator[Machine]:
    """Boot a machine for as long as the context lasts; RESOURCED_VM_KEEP=1 leaves it running, to look into."""
    machine = Machine(image, directory)
    machine.boot()
    try:
        yield machine
    finally:
        if os.environ.get("RESOURCED_VM_KEEP") != "1":
            machine.kill()
