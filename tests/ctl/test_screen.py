"""What a terminal shows: no line wraps, and nothing is coloured where it must not be."""

import contextlib
import os
import pty
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.ctl import screen
from tests.client.fakes import FakeDaemon
from tests.ctl.test_ctl import VERBS


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))), st.integers(1, 120))
def test_a_line_that_is_cut_fits_and_is_the_beginning_of_what_it_was(line: str, columns: int) -> None:
    cut = screen.cut(line, columns)
    assert sum(map(cells, cut)) <= columns
    assert cut == line or (cut.endswith("…") and line.startswith(cut[:-1]))


def cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def test_what_goes_elsewhere_is_not_cut() -> None:
    assert screen.cut("a" * 500, None) == "a" * 500


def on_a_terminal(*arguments: str, columns: int, **environ: str) -> str:
    """Return what a command writes on a terminal of so many columns."""
    master, slave = pty.openpty()
    code = (
        "import sys\nfrom resourced.ctl.run import run\nfor line in sys.argv[1].split(';'):\n    run(line.split(','))\n"
    )
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "", **environ}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment
    ):
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # which is how a terminal ends
            while data := os.read(master, 65536):
                shown += data
    os.close(master)
    return shown.decode()


@pytest.mark.parametrize("columns", [40, 80])
def test_no_verb_writes_a_line_that_wraps(daemon: FakeDaemon, columns: int) -> None:
    verbs = [",".join([*verb, "--once"] if verb[0] == "top" and "--at" not in verb else verb) for verb in VERBS]
    told = on_a_terminal(";".join(verbs), columns=columns, NO_COLOR="1")
    assert "\x1b" not in told
    lines = told.replace("\r", "").split("\n")
    assert len(lines) > 100
    assert [line for line in lines if sum(map(cells, line)) > columns] == []


def test_titles_are_bold_on_a_terminal_unless_it_is_dumb_or_colours_are_refused(daemon: FakeDaemon) -> None:
    assert "\x1b[1m" in on_a_terminal("workloads", columns=80)
    assert "\x1b" not in on_a_terminal("workloads", columns=80, TERM="dumb")
    assert "\x1b" not in on_a_terminal("workloads", columns=80, NO_COLOR="1")
