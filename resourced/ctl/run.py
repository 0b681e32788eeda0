"""One run of the command line, from arguments to exit code."""

import sys
from collections.abc import Sequence

import click

from resourced.ctl.app import app
from resourced.ctl.exits import Exit
from resourced.streams import told_unwritable


def run(arguments: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    output = sys.stdout
    code: int = Exit.OK
    try:
        app.main(list(arguments), prog_name="resourcectl", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        code = Exit.INTERRUPTED
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else Exit.FAILED
        if sys.stdout is not output:  # click meets the broken pipe first, covers standard output, and ends with 1
            code = Exit.PIPE_CLOSED
    except BrokenPipeError:
        code = Exit.PIPE_CLOSED
    except OSError as error:
        if not told_unwritable("resourcectl", error):
            raise
        code = Exit.FAILED
    return code
