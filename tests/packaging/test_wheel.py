"""The wheel, installed as pipx does: into an environment of its own, with commands on the path."""

import re
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel. What it needs is taken from where the tests run, so nothing is downloaded."""
    pytest.importorskip("hatchling", reason="make test installs it")
    directory = tmp_path_factory.mktemp("wheel")
    built = (*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(directory), str(ROOT))
    subprocess.run(built, check=True)
    fresh = directory / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh], check=True)
    [wheel] = directory.glob("*.whl")
    subprocess.run([*PIP, f"--python={fresh}", "install", "--no-deps", "--no-index", wheel], check=True)
    [site] = fresh.glob("lib/python*/site-packages")
    (site / "needed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return fresh


def said(environment: Path, *command: str) -> str:
    name, *arguments = command
    done = subprocess.run(
        [environment / "bin" / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=environment,
        env={"PATH": "/usr/bin:/bin", "HOME": str(environment)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_commands_run(environment: Path) -> None:
    assert said(environment, "resourced", "--version").startswith("resourced ")
    assert "doctor" in said(environment, "resourcectl", "--help")
    assert "rules in force" in said(environment, "resourced", "check-config")  # the profiles came along


def test_it_is_the_wheel_that_runs(environment: Path) -> None:
    found = said(environment, "python", "-c", "import resourced; print(resourced.__file__)")
    assert found.startswith(str(environment))


def test_what_it_needs_is_what_the_tests_run_with(environment: Path) -> None:
    [metadata] = environment.glob("lib/python*/site-packages/resourced-*.dist-info/METADATA")
    needed = re.findall(r"^Requires-Dist: ([\w.-]+)", metadata.read_text(), re.MULTILINE)
    assert len(needed) > 10
    for name in needed:
        assert version(name)
