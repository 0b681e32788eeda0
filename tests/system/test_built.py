"""The package itself, before any machine has it."""

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("lintian") is None, reason="needs lintian")
def test_lintian_finds_no_error(package: Path) -> None:
    command = ["lintian", "--allow-root", "--fail-on", "error", "--tag-display-limit", "0", str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_fetches_nothing_and_names_no_place_where_it_was_made(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-R", package, tmp_path / "tree"], check=True)
    for script in ("postinst", "postrm", "prerm"):
        text = (tmp_path / "tree/DEBIAN" / script).read_text()
        assert not any(word in text for word in ("pip", "http", "curl"))
    ours = tmp_path / "tree/usr/lib/resourced"
    found = subprocess.run(["grep", "-rlF", str(Path(__file__).parents[2]), ours], capture_output=True, check=False)
    assert found.stdout == b""
