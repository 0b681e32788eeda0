"""What the document and the docstrings show are programs that work, before a daemon that asks them to go."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced import client
from tests.client.workload_daemon import PATIENCE_SECONDS, WorkloadDaemon, keeping

DOCUMENT = Path(__file__).parents[2] / "docs/client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
PRELUDE = """
import asyncio
from resourced.client import *
steps, batches = 3, range(3)
def train(step): pass
def save_checkpoint(*_): pass
save_and_exit = save_checkpoint
"""


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield the examples in what the client exports, by whose they are."""
    told = {name: inspect.getdoc(getattr(client, name)) or "" for name in client.__all__}
    told["client"] = inspect.getdoc(client) or ""
    for name, text in told.items():
        for block in re.findall(r"(?:Example:|go first:|give way:)\n+((?: {4}.*\n?|\n)+)", text + "\n"):
            yield name, textwrap.dedent(block)


SHOWN = dict(docstrings())


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkloadDaemon]:
    monkeypatch.delenv("RESOURCED_WORKLOAD", raising=False)
    monkeypatch.setenv("RESOURCED_SOCKET", str(tmp_path / "socket"))
    with keeping(tmp_path / "socket") as kept:
        yield kept


def runs(program: str, daemon: WorkloadDaemon) -> str:
    """Run a program that is asked to go as soon as it listens; return what it printed."""
    daemon.tells_at_once = True
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5
    assert {"Client", "AsyncClient", "workload", "client"} <= set(SHOWN)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_of_the_document_works(daemon: WorkloadDaemon, number: int) -> None:
    assert runs(EXAMPLES[number], daemon).strip()
    assert daemon.registered == {}


@pytest.mark.parametrize("name", SHOWN)
def test_every_example_of_a_docstring_works(daemon: WorkloadDaemon, name: str) -> None:
    example = SHOWN[name]
    try:
        compile(example, name, "exec")
    except SyntaxError:
        example = f"async def main():\n{textwrap.indent(example, '    ')}\nasyncio.run(main())\n"
    runs(PRELUDE + example, daemon)
    assert daemon.registered == {}
