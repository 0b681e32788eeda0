"""The streams that a caller should have given a program, and may not have."""

import errno
import os
import sys

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def fill_streams() -> None:
    """Put /dev/null where a standard stream is closed, so that nothing that is written or looked at fails."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - until the end


def drop_output() -> None:
    """Let standard output lead nowhere: the interpreter flushes once more at the end, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def told_unwritable(program: str, error: Exception) -> bool:
    """Say so if an error means that there is no room for what is printed; return whether it does."""
    if not isinstance(error, OSError) or error.errno not in _UNWRITABLE:
        return False
    sys.stderr.write(f"{program}: what is printed can't be written: {error.strerror}\n")
    drop_output()
    return True
