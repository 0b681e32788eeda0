"""A registry in a directory of the test, and processes of its own and of somebody else."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actions.fakes import program
from tests.workloads.fakes import STRANGER_UID, Kit


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path)
    yield made
    made.registry.close()


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with program() as running:
        yield running


@pytest.fixture
def strangers() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else."""
    running = subprocess.Popen(["sleep", "3600"], user=STRANGER_UID, cwd="/")
    yield running
    running.kill()
    running.wait()
