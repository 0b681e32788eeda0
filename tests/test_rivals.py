"""Other killers: who they are, and what systemd-oomd was asked to kill."""

import re
import subprocess
import sys
from pathlib import Path

from resourced.rivals import describe_rivals, killers_of
from tests.actions.fakes import program
from tests.policy.fakes import process
from tests.running import running


def unit(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_killers_are_known_by_their_names() -> None:
    found = [process(7, name=name) for name in ("sshd", "earlyoom", "systemd-oomd", "nohangar")]
    assert killers_of(found) == {"earlyoom", "systemd-oomd"}


def test_a_killer_that_is_a_script_is_known_by_its_unit() -> None:
    nohang, other, elsewhere = "/system.slice/nohang.service", "/system.slice/web.service", None
    found = [process(7, name="python3", cgroup=each) for each in (nohang, other, elsewhere)]

    assert killers_of(found) == {"nohang"}
    assert killers_of([process(7, name="earlyoom", cgroup=other), process(8, name="sshd")]) == {"earlyoom"}
    assert killers_of(found[1:]) == frozenset()


def test_another_killer_is_told_of_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "earlyoom").symlink_to(Path(sys.executable).resolve())
    with program(python=tmp_path / "earlyoom"), running(tmp_path) as daemon:
        sequence = 0
        while not (told := daemon.lines("rival_found")):
            sequence = daemon.get(f"/resources/all?wait=30&after={sequence}")["sequence"]
        assert "earlyoom" in [each["rival"] for each in told]
        assert told[0]["message"] == f"{told[0]['rival']} may kill on this machine too"

        assert "earlyoom" in daemon.get("/healthz")["rivals"]
        assert {"name": "earlyoom", "about": ""} in daemon.get("/actions")["rivals"]
        shown = subprocess.run(
            [sys.executable, "-m", "resourced.ctl", "--socket", daemon.socket, "status"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert re.search(r"^ *rivals +.*earlyoom", shown.stdout, re.MULTILINE), shown.stdout


def test_units_that_ask_to_be_killed_are_named(tmp_path: Path) -> None:
    unit(tmp_path, "etc/systemd/system/user@.service.d/10-oomd.conf", "[Service]\nManagedOOMMemoryPressure=kill\n")
    unit(tmp_path, "usr/lib/systemd/system/app.slice", "[Slice]\nManagedOOMSwap = kill\n")
    unit(tmp_path, "usr/lib/systemd/system/calm.service", "[Service]\n#ManagedOOMSwap=kill\nManagedOOMSwap=auto\n")

    [rival] = describe_rivals(["systemd-oomd"], tmp_path)

    assert str(rival) == "systemd-oomd (ManagedOOM units: app.slice, user@.service)"


def test_a_systemd_oomd_that_nobody_asked_is_said_to_be_so(tmp_path: Path) -> None:
    assert str(describe_rivals(["systemd-oomd"], tmp_path)[0]) == "systemd-oomd (no unit asks it to kill)"
    assert str(describe_rivals(["earlyoom"], tmp_path)[0]) == "earlyoom"
