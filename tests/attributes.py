"""Extended attributes, for tests that need a file system which takes them."""

import os
from pathlib import Path

import pytest


def set_attribute(directory: Path, name: str, value: bytes = b"1") -> None:
    """Set an extended attribute of a directory, which is made if it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        os.setxattr(directory, name, value)
    except OSError as error:
        pytest.skip(f"this file system takes no extended attributes: {error}")
