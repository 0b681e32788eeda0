from pathlib import Path

from resourced.collectors.base import Roots
from resourced.collectors.oneprocess import read_command_line
from tests.actions.fakes import program, start_of


def test_the_command_line_is_read_of_the_very_process_only() -> None:
    roots = Roots()
    with program() as one:
        start = start_of(one.pid)
        line = read_command_line(roots, one.pid, start)
        assert read_command_line(roots, one.pid, start + 1) is None
    assert line is not None
    assert Path(line.split()[0]).name.startswith("python")
    assert " -c " in line
    assert read_command_line(roots, 2**22 + 7, 1) is None
