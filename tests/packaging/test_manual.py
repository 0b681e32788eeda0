"""The manual and the completions are those of the program."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resourced.configschema import settings
from resourced.ctl.app import VERBS

ROOT = Path(__file__).parents[2]


def write(script: str, target: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, ROOT / "packaging" / script, target], check=True, env=environ)


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("man")
    write("manpages.py", directory)
    return directory


def test_every_setting_and_every_verb_is_in_the_manual(manual: Path) -> None:
    settings_page = (manual / "man5/resourced.toml.5").read_text()
    for setting in settings():
        assert f"\n.B {setting.key[-1]}\n" in settings_page, setting.key
    verbs_page = (manual / "man1/resourcectl.1").read_text()
    for verb in VERBS:
        assert f"\n.SS {verb.replace('-', chr(92) + '-')}" in verbs_page, verb


def test_roff_has_no_complaint(manual: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    for page in manual.rglob("*.?"):
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", page], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), page


def test_shells_can_read_the_completions(tmp_path: Path) -> None:
    write("completions.py", tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 6
    for path in files:
        assert "_COMPLETE=" in path.read_text()
        if "bash" in str(path):
            subprocess.run(["bash", "-n", path], check=True)
