"""The real Prometheus reads /metrics a hundred times, and its own tools find nothing wrong with them."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.running import Daemon, running

SCRAPES, INTERVAL_SECONDS = 100, 1
FEWEST_SAMPLES = 50
"""Samples of any machine: processors, memory, disks."""
REFUSED = r"prometheus_target_scrapes?_\w*(?:exceeded|out_of_order|out_of_bounds|duplicate)\w*_total"
"""What Prometheus counts where it doesn't store a sample that it was given."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape, as Prometheus tells of it."""

    up: bool
    seconds: float
    samples: int

    @property
    def late(self) -> bool:
        """Whether Prometheus ended it because its time was over."""
        return not self.up and self.seconds >= INTERVAL_SECONDS


pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed (Debian: prometheus)"),
]


def ask(port: int, query: str) -> list[Any]:
    """Return the result of a query to Prometheus."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(url, timeout=20) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_answer(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return when Prometheus answers."""
    for _ in range(300):
        assert process.poll() is None, "Prometheus has ended"
        try:
            ask(port, "up")
        except OSError:
            time.sleep(0.1)  # it tells nobody when it is ready
        else:
            return
    raise AssertionError("Prometheus does not answer")


def as_plain_text(text: str) -> str:
    """Return OpenMetrics in the older form that promtool reads: counters are called as their samples, without units."""
    counters = set(re.findall(r"^# TYPE (\S+) counter$", text, re.MULTILINE))
    lines = []
    for line in text.splitlines():
        words = line.split(" ", 3)
        if words[0] == "#" and (words[1] in ("UNIT", "EOF")):
            continue
        if words[0] == "#" and words[2] in counters:
            words[2] += "_total"
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def test_its_tools_accept_names_and_units(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.tcp() as client:
        text = as_plain_text(client.get("/metrics").text)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_reads_the_metrics_and_answers_with_the_values(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        target = f"127.0.0.1:{daemon.port}"
        config = tmp_path / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {INTERVAL_SECONDS}s, scrape_timeout: {INTERVAL_SECONDS}s}}\n"
            f"scrape_configs: [{{job_name: resourced, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        port = free_port()
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        with subprocess.Popen(command, cwd=tmp_path) as process:
            try:
                await_answer(process, port)
                await_scrapes(process, port)
                check_scrapes(port)
                check_values(daemon, port)
            finally:
                process.terminate()


def scrapes(port: int) -> list[Scrape]:
    """Return every scrape that Prometheus has stored, oldest first."""
    found = []
    for name in ("up", "scrape_duration_seconds", "scrape_samples_scraped"):
        series = ask(port, f"{name}[1h]")
        found.append({moment: float(value) for moment, value in series[0]["values"]} if series else {})
    up, seconds, samples = found
    return [Scrape(up[at] == 1, seconds[at], int(samples[at])) for at in sorted(up) if at in seconds and at in samples]


def await_scrapes(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return when Prometheus has stored as many complete scrapes as wanted."""
    while sum(each.up for each in scrapes(port)) < SCRAPES:
        assert process.poll() is None
        assert [each for each in scrapes(port) if not each.up and not each.late] == []
        time.sleep(INTERVAL_SECONDS)  # it tells nobody of a scrape


def own_counters(port: int) -> dict[str, float]:
    """Return what Prometheus counts about itself, summed over labels."""
    counters: dict[str, float] = {}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        for name, value in re.findall(r"^(prometheus_\w+)(?:{.*})? (\S+)$", answer.read().decode(), re.MULTILINE):
            counters[name] = counters.get(name, 0.0) + float(value)
    return counters


def check_scrapes(port: int) -> None:
    """Every scrape that Prometheus made was stored, and every one that it waited for was answered whole.

    How many it makes in a time is its own matter: it begins some seconds after its start, and on a busy machine its
    ticker leaves some out. One that it gave up because the time was over (`late`) says nothing about the answer.
    """
    before, stored, after = own_counters(port), scrapes(port), own_counters(port)
    made = "prometheus_target_interval_length_seconds_count"  # intervals between scrapes: one less than there were
    assert before[made] <= len(stored) <= after[made] + 1
    answered = [each for each in stored if not each.late]
    assert all(each.up for each in answered)
    assert min(each.samples for each in answered) >= FEWEST_SAMPLES
    refused = [name for name, value in after.items() if re.match(REFUSED, name) and value]
    assert refused == []


def check_values(daemon: Daemon, port: int) -> None:
    """What Prometheus has is what the daemon says."""
    [total] = ask(port, "system_memory_limit_bytes or system_memory_linux_total_bytes or resourced_memory_total_bytes")
    assert float(total["value"][1]) == daemon.get("/resources/memory")["memory"]["total_bytes"]
    [busy] = ask(port, "sum(rate(system_cpu_time_seconds_total[1m]))")
    cores = daemon.get("/resources/cpu")["cpu"]["logical_count"]
    assert 0.5 * cores < float(busy["value"][1]) < 1.5 * cores
