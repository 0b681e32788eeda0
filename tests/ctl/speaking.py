"""What resourcectl says when it is asked in this process."""

import contextlib
import io

from resourced.ctl import Exit
from resourced.ctl.run import run


def told(*arguments: str) -> str:
    """Run a verb, which must end well, and return what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run(arguments) == Exit.OK
    return out.getvalue()
