"""A daemon with canned answers that resourcectl finds by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fakes import FakeDaemon, running


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    with running(tmp_path / "socket") as fake:
        monkeypatch.setenv("RESOURCED_SOCKET", fake.address)
        yield fake
