"""The real Prometheus reads /metrics for two minutes, and its own tools find nothing wrong with them."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.running import Daemon, running

SCRAPED_SECONDS = 120

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
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
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
                check(daemon, process, port)
            finally:
                process.terminate()


def check(daemon: Daemon, process: "subprocess.Popen[bytes]", port: int) -> None:
    """Let it scrape, and compare what it has with what the daemon says."""
    end = time.monotonic() + SCRAPED_SECONDS
    while time.monotonic() < end:
        time.sleep(1)
        assert process.poll() is None
    [up] = ask(port, f"min_over_time(up[{SCRAPED_SECONDS - 20}s])")
    assert up["value"][1] == "1"
    [scrapes] = ask(port, f"count_over_time(up[{SCRAPED_SECONDS}s])")
    assert int(scrapes["value"][1]) >= 0.5 * SCRAPED_SECONDS
    [total] = ask(port, "system_memory_limit_bytes or system_memory_linux_total_bytes or resourced_memory_total_bytes")
    assert float(total["value"][1]) == daemon.get("/resources/memory")["memory"]["total_bytes"]
    [busy] = ask(port, "sum(rate(system_cpu_time_seconds_total[1m]))")
    cores = daemon.get("/resources/cpu")["cpu"]["logical_count"]
    assert 0.5 * cores < float(busy["value"][1]) < 1.5 * cores
