"""What holds for the tree as a whole."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = sorted(path for room in ("resourced", "tests", "packaging") for path in (ROOT / room).rglob("*.py"))
TOP = {
    "pyproject.toml",
    "README.md",
    "resourced",
    "packaging",
    "systemd",
    "tests",
    "Makefile",
    "CHANGELOG.md",
    "LICENSE",
    "docs",
}


def committed() -> list[Path]:
    """Return the files that git knows; all files of the tree where there is no git."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_needs_a_table_of_contents(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_every_module_says_what_it_is_about() -> None:
    modules = [path for path in PYTHON if path.is_relative_to(ROOT / "resourced")]
    silent = [path for path in modules if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_imports_go_one_way() -> None:
    pytest.importorskip("importlinter", reason="make lint installs it")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_top_level_holds_what_belongs_there() -> None:
    files = committed()
    if not files:
        pytest.skip("needs git")
    names = {path.relative_to(ROOT).parts[0] for path in files}
    assert {name for name in names if not name.startswith(".")} <= TOP


def test_pins_name_no_place() -> None:
    for path in (ROOT / "packaging").glob("requirements*.txt"):
        text = path.read_text()
        assert "://" not in text, path
        assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE), path
        names = re.findall(r"^[a-z0-9][\w.-]*(?:\[\w+\])?==", text, re.MULTILINE)
        assert names
        assert text.count("--hash=sha256:") >= len(names), path


def test_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_between_documents_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_repository_speaks_of_itself_alone() -> None:
    foreign = re.compile(r"/work/(?:main|shared|\.)|/tmp/[a-z]+/|/opt/pypi|pythonhosted|pypi\.org/simple")
    for path in committed():
        if path != Path(__file__) and (found := foreign.search(text_of(path))):
            raise AssertionError(f"{path.relative_to(ROOT)}: {found[0]}")
