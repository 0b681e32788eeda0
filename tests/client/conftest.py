"""A daemon that keeps workloads and that programs find by themselves."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from resourced.client.lease import Absence
from tests.client.workload_daemon import WorkloadDaemon, keeping


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkloadDaemon]:
    monkeypatch.delenv("RESOURCED_WORKLOAD", raising=False)
    monkeypatch.setattr(Absence, "told", False)
    monkeypatch.setenv("RESOURCED_SOCKET", str(tmp_path / "socket"))
    with keeping(tmp_path / "socket") as kept:
        yield kept
    gc.collect()  # sockets whose connection failed, while it is known which test it was
