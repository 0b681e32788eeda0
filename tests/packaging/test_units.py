"""The units, the maintainer scripts and the RPM's description, as far as they can be judged without a machine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"


def exposure(unit: str) -> float:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for \S+ ([\d.]+)", done.stdout)
    if found is None:
        pytest.skip("this systemd can't judge files")
    return float(found[1])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_units_expose_little() -> None:
    assert exposure("resourced.service") <= 1.5
    assert exposure("resourced-readonly.service") <= 1.0


def settings(name: str) -> dict[str, str]:
    """Return what a unit sets; of several, the last."""
    lines = (UNITS / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith(("#", "[")))


def test_the_read_only_unit_differs_only_where_it_must() -> None:
    full, watching = settings("resourced.service"), settings("resourced-readonly.service")
    differing = {name for name in full.keys() | watching.keys() if full.get(name) != watching.get(name)}
    assert differing == {
        *("Description", "Conflicts", "Sockets", "AmbientCapabilities", "CapabilityBoundingSet", "LimitMEMLOCK"),
        *("ProtectProc", "ProtectControlGroups", "DeviceAllow"),
    }
    assert watching["CapabilityBoundingSet"] == watching["AmbientCapabilities"] == ""


def test_who_acts_may_write_to_consoles_and_read_none() -> None:
    allowed = {
        unit: re.findall(r"^DeviceAllow=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
        for unit in ("resourced.service", "resourced-readonly.service")
    }
    assert allowed == {
        "resourced.service": ["char-nvidia* rw", "char-tty w"],
        "resourced-readonly.service": ["char-nvidia* rw"],
    }


def test_every_capability_has_its_reason() -> None:
    text = (UNITS / "resourced.service").read_text()
    for name in settings("resourced.service")["CapabilityBoundingSet"].split():
        assert re.search(rf"^# {name} +\w", text, re.MULTILINE), name


@pytest.mark.skipif(shutil.which("rpmspec") is None, reason="needs rpm")
def test_rpm_accepts_the_description() -> None:
    command = ["rpmspec", "--define", f"source {ROOT}", "--define", "python /usr/bin/python3", "-P"]
    done = subprocess.run([*command, ROOT / "packaging/resourced.spec"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\nVersion:        0." in done.stdout or "\nVersion:        1." in done.stdout


def test_scripts_are_shell() -> None:
    scripts = ["packaging/stage", "packaging/deb", "packaging/debian/resourced.postinst"]
    for name in [*scripts, "packaging/debian/resourced.postrm"]:
        first = (ROOT / name).read_text().splitlines()[0]
        subprocess.run(["bash" if "bash" in first else "sh", "-n", ROOT / name], check=True)
