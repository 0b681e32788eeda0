"""One machine for all tests in this folder: booted once, with the package installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.image import base_image
from tests.system.machine import Machine, booted
from tests.system.package import build

# What makes the machine another one comes last.
ORDER = (
    "test_installed",
    "test_access",
    "test_journal",
    "test_run",
    "test_sandbox",
    "test_ladder",
    "test_workloads",
    "test_nasty",
    "test_hindrances",
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
    return build(tmp_path_factory.mktemp("deb"))


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
