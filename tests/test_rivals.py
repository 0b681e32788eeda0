"""Other killers: who they are, and what systemd-oomd was asked to kill."""

from pathlib import Path

from resourced.rivals import describe_rivals, killers_among


def unit(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_killers_are_known_by_their_names() -> None:
    assert killers_among(["sshd", "earlyoom", "systemd-oomd", "nohangar"]) == {"earlyoom", "systemd-oomd"}


def test_units_that_ask_to_be_killed_are_named(tmp_path: Path) -> None:
    unit(tmp_path, "etc/systemd/system/user@.service.d/10-oomd.conf", "[Service]\nManagedOOMMemoryPressure=kill\n")
    unit(tmp_path, "usr/lib/systemd/system/app.slice", "[Slice]\nManagedOOMSwap = kill\n")
    unit(tmp_path, "usr/lib/systemd/system/calm.service", "[Service]\n#ManagedOOMSwap=kill\nManagedOOMSwap=auto\n")

    [rival] = describe_rivals(["systemd-oomd"], tmp_path)

    assert str(rival) == "systemd-oomd (ManagedOOM units: app.slice, user@.service)"


def test_a_systemd_oomd_that_nobody_asked_is_said_to_be_so(tmp_path: Path) -> None:
    assert str(describe_rivals(["systemd-oomd"], tmp_path)[0]) == "systemd-oomd (no unit asks it to kill)"
    assert str(describe_rivals(["earlyoom"], tmp_path)[0]) == "earlyoom"
