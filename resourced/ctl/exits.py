"""How `resourcectl` ends."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of resourcectl."""

    OK = 0
    """It was done, or the answer is there."""
    FAILED = 1
    """The daemon said no, or its answer can't be understood."""
    USAGE = 2
    """The command line is wrong."""
    NOT_RUNNING = 3
    """No daemon answers."""
    NOT_ALLOWED = 4
    """This user or token may not do it."""
    NOT_FOUND = 5
    """There is no such decision, process, unit, metric or section."""
    CANNOT_RUN = 126
    """run: the command can't be run."""
    NO_COMMAND = 127
    """run: there is no such command. If it is started, the code is the command's own."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""
    PIPE_CLOSED = 141
    """The reader of the output went away."""
