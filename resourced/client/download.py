"""A file that is complete or isn't there: what is being received has another name until all of it has come."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to be written, which gets its name at the end; nothing is left of it after an error.

    Args:
        path: Its name, which must not exist.

    Raises:
        FileExistsError: There is such a file already.
        OSError: It can't be written.
    """
    if path.exists():
        raise FileExistsError(17, "exists already; choose another name", str(path))
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a renaming it refuses to replace what somebody made meanwhile
    finally:
        Path(partial).unlink()
