"""One run of the command line, from arguments to exit code."""

import sys
from collections.abc import Sequence

import click

from resourced.ctl.app import app
from resourced.ctl.exits import Exit


def run(arguments: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    output = sys.stdout
    try:
        app.main(list(arguments), prog_name="resourcectl", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except SystemExit as ended:
        if sys.stdout is not output:  # click meets the broken pipe first, covers standard output, and ends with 1
            return Exit.PIPE_CLOSED
        return ended.code if isinstance(ended.code, int) else Exit.FAILED
    return Exit.OK
