"""One machine for all tests in this folder: booted once, with the package installed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.image import base_image
from tests.system.machine import Machine, booted

ROOT = Path(__file__).parents[2]
# What makes the machine another one comes last.
ORDER = (
    "test_installed",
    "test_access",
    "test_journal",
    "test_sandbox",
    "test_ladder",
    "test_nasty",
    "test_restart",
    "test_readonly",
    "test_upgrade",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(ORDER)}
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in ours:
        item.add_marker(pytest.mark.vm)
    ours.sort(key=lambda item: places.get(item.path.stem, -1))
    items[:] = [item for item in items if item not in ours] + ours


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package; RESOURCED_DEB names one that is there already."""
    if given := os.environ.get("RESOURCED_DEB"):
        return Path(given)
    directory = tmp_path_factory.mktemp("deb")
    subprocess.run([ROOT / "packaging/deb", directory], check=True, env={**os.environ, "PYTHON": sys.executable})
    [made] = directory.glob("*.deb")
    return made


@pytest.fixture(scope="session")
def booted_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(base_image(), tmp_path_factory.mktemp("vm")) as machine:
        yield machine


@pytest.fixture(scope="session")
def machine(booted_machine: Machine, package: Path) -> Machine:
    """The machine with the package installed, and with alice in the group, carol who may change things, and bob."""
    booted_machine.put(package, "/root/resourced.deb")
    booted_machine.run("dpkg -i /root/resourced.deb")
    booted_machine.run("useradd -m bob; useradd -m -G resourced alice; useradd -m -G resourced,resourced-admin carol")
    return booted_machine


@pytest.fixture(autouse=True)
def _running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave the daemon as the next test expects it, whatever the test before did."""
    yield
    if "machine" in request.fixturenames and request.node.path.stem not in ("test_readonly", "test_upgrade"):
        machine: Machine = request.getfixturevalue("machine")
        if machine.attempt("systemctl is-active --quiet resourced")[0] != 0:
            machine.attempt("systemctl reset-failed resourced; systemctl start resourced")
