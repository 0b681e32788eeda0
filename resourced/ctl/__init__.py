"""`resourcectl`, the tool for people."""

import sys

from resourced.ctl.exits import Exit
from resourced.streams import drop_output, fill_streams

__all__ = ["Exit", "main"]


def main() -> None:
    """Run resourcectl and end the process with one of the codes of `Exit`."""
    from resourced.ctl.run import run  # noqa: PLC0415 - click is not needed to know the exit codes

    fill_streams()
    code = run(sys.argv[1:])
    if code == Exit.PIPE_CLOSED:
        drop_output()
    raise SystemExit(code)
