"""The daemon and its peers as processes to be measured side by side: started on loopback, asked, ended."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Peer:
    """A program to measure."""

    name: str
    command: list[str]
    url: str | None
    """What is asked once a second, if it can be asked."""


@dataclass(slots=True)
class Running:
    """A peer that runs."""

    peer: Peer
    process: subprocess.Popen[bytes]

    def pids(self) -> list[int]:
        """Return the process and its descendants."""
        found, parents = [self.process.pid], _parents()
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu_seconds(self) -> float:
        """Return processor time of the process, its descendants and those of them that have ended."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += sum(map(int, fields[11:15]))
        return total / _TICKS

    def memory_bytes(self) -> int:
        """Return the resident set of the process and its descendants."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        return total


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return parents


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def resourced(directory: Path, more: Mapping[str, object] | None = None) -> Peer:
    """Return the daemon, with everything at one second and a store of its own; `more` are further settings."""
    port = free_port()
    settings = {
        "daemon.runtime_directory": directory,
        "history.directory": directory / "state",
        "api.port": port,
        **(more or {}),
    }
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "resourced", "run", "-c", str(_empty(directory)), *options]
    return Peer("resourced", command, f"http://127.0.0.1:{port}/resources/all")


def _empty(directory: Path) -> Path:
    path = directory / "resourced.toml"
    path.touch()
    return path


def peers(directory: Path) -> tuple[list[Peer], list[str]]:
    """Return the peers that are installed, and a sentence for each that is not."""
    found, absent = [], []
    exporter = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if exporter:
        for name, more in (("node_exporter", []), ("node_exporter, processes", ["--collector.processes"])):
            port = free_port()
            command = [exporter, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error", *more]
            found.append(Peer(name, command, f"http://127.0.0.1:{port}/metrics"))
    else:
        absent.append("node_exporter is not installed (Debian: prometheus-node-exporter)")
    if netdata := shutil.which("netdata", path="/usr/sbin:/usr/bin"):
        port = free_port()
        config = directory / "netdata.conf"
        config.write_text(f"[global]\nrun as user = root\n[web]\nbind to = 127.0.0.1:{port}\n[ml]\nenabled = no\n")
        url = f"http://127.0.0.1:{port}/api/v1/allmetrics?format=json"
        found.append(Peer("Netdata", [netdata, "-D", "-c", str(config)], url))
    else:
        absent.append("Netdata is not installed (Debian: netdata-core)")
    if glances := os.environ.get("RESOURCED_BENCH_GLANCES") or shutil.which("glances"):
        port = free_port()
        command = [glances, "-w", "-B", "127.0.0.1", "-p", str(port), "-t", "1", "--disable-webui"]
        found.append(Peer("Glances", command, f"http://127.0.0.1:{port}/api/4/all"))
    else:
        absent.append("Glances is not installed (PyPI: glances[web]; RESOURCED_BENCH_GLANCES names it)")
    if atop := shutil.which("atop"):
        found.append(Peer("atop", [atop, "-w", str(directory / "atop.raw"), "1"], None))
    else:
        absent.append("atop is not installed (Debian: atop)")
    return found, absent


@contextlib.contextmanager
def started(peer: Peer) -> Iterator[Running]:
    """Run a peer until the block ends; begins when it answers."""
    process = subprocess.Popen(
        peer.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _await_answer(peer, process)
        yield Running(peer, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_answer(peer: Peer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while peer.url is not None:
        try:
            ask(peer.url)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{peer.name} does not answer at {peer.url}") from None
            time.sleep(0.2)
        else:
            return


def ask(url: str) -> int:
    """Return the length of an answer."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return len(answer.read())


@contextlib.contextmanager
def sleepers(count: int) -> Iterator[None]:
    """Let so many processes sleep until the block ends."""
    pids = [os.posix_spawn("/bin/sleep", ["sleep", "3600"], {}) for _ in range(count)]
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Return a directory that goes with the block."""
    with tempfile.TemporaryDirectory(prefix="resourced-bench-") as name:
        yield Path(name)
