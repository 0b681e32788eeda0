"""A small file by which a daemon knows what the one before it did in this boot; after another boot it says nothing."""

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class BootFile:
    """One JSON object, replaced whole, so that whoever reads it finds either what was before or what is now.

    Args:
        path: The file; None to keep nothing.
        version: Of its contents; a file of another one says nothing.
        boot_id: Identity of this boot; likewise.
        report: Called with the reason when what is there can't be read.
    """

    def __init__(self, path: Path | None, *, version: int, boot_id: str | None, report: Callable[[str], None]) -> None:
        self.path = path
        self._head = {"version": version, "boot_id": boot_id}
        self._report = report

    def load(self, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        """Return what `read` makes of the contents; None if there are none of this boot, or they can't be read."""
        if self.path is None:
            return None
        try:
            saved = json.loads(self.path.read_text(encoding="utf-8"))
            if any(saved[name] != value for name, value in self._head.items()):
                return None
            return read(saved)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._report(f"{self.path}: {error}")
            return None

    def save(self, contents: Mapping[str, str], *, synced: bool) -> None:
        """Write it anew.

        Args:
            contents: JSON texts by name.
            synced: Whether it must be on disk when this returns.

        Raises:
            OSError: It can't be written; what was there stays.
        """
        if self.path is None:
            return
        whole = ", ".join([json.dumps(self._head)[1:-1], *(f'"{name}": {text}' for name, text in contents.items())])
        beside = self.path.with_name(f"{self.path.name}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{{{whole}}}")
            if synced:
                file.flush()
                os.fsync(descriptor)
        beside.rename(self.path)
        if synced:
            with contextlib.suppress(OSError):  # a file system that doesn't sync directories
                _sync(self.path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
