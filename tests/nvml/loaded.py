"""The fake NVML, loaded into the test's own process so that pynvml finds it by its name."""

import ctypes
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.nvml.build import build, compiler
from tests.nvml.control import VARIABLE, FakeNvml


@cache
def _load() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as directory:
        return ctypes.CDLL(str(build(Path(directory))), ctypes.RTLD_GLOBAL)


def load_fake(directory: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """Return a fake with answers of its own; the test is skipped where there is no C compiler."""
    if compiler() is None:
        pytest.skip("no C compiler (gcc) to build the fake NVML with")
    _load()
    fake = FakeNvml(directory / "nvml")
    monkeypatch.setenv(VARIABLE, str(fake.path))
    return fake
