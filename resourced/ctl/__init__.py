"""`resourcectl`, the tool for people."""

import os
import sys

from resourced.ctl.exits import Exit

__all__ = ["Exit", "main"]


def main() -> None:
    """Run resourcectl and end the process with one of the codes of `Exit`."""
    from resourced.ctl.run import run  # noqa: PLC0415 - click is not needed to know the exit codes

    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = Exit.PIPE_CLOSED
    if code == Exit.PIPE_CLOSED:
        # The interpreter flushes once more at the end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(code)
