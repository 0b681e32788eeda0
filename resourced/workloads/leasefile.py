"""Leases written down, so that they outlive a daemon that ends or is killed; a reboot forgets them."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from resourced.bootfile import BootFile
from resourced.decision import Level, Request, Step
from resourced.workloads.lease import Cover, Lease, State, Tell

VERSION = 1


class LeaseFile:
    """A file of leases. It need not be synced: what outlives a crash of the machine means nothing then.

    Args:
        path: The file; None to keep nothing.
        boot_id: Identity of this boot.
        report: Called with the reason when the file can't be used.
    """

    def __init__(self, path: Path | None, boot_id: str | None, report: Callable[[str], None]) -> None:
        self._file = BootFile(path, version=VERSION, boot_id=boot_id, report=report)
        self._report = report
        self._texts: dict[str, tuple[Lease, str]] = {}

    def save(self, leases: Iterable[Lease]) -> None:
        """Write all leases down; only those that are not what they were are encoded again."""
        if self._file.path is None:
            return
        before = self._texts
        self._texts = {}
        for lease in leases:
            known = before.get(lease.id)
            text = known[1] if known is not None and known[0] is lease else json.dumps(asdict(lease))
            self._texts[lease.id] = lease, text
        try:
            self._file.save({"workloads": f"[{', '.join(text for _, text in self._texts.values())}]"}, synced=False)
        except OSError as error:
            self._report(f"{self._file.path}: {error.strerror}")

    def load(self) -> tuple[Lease, ...]:
        """Return what was written down in this boot; nothing if it can't be read."""
        return self._file.load(_leases) or ()


def _leases(saved: Mapping[str, Any]) -> tuple[Lease, ...]:
    return tuple(_lease(each) for each in saved["workloads"])


def _lease(saved: dict[str, Any]) -> Lease:
    known = {each.name for each in fields(Lease)}
    lease = Lease(**{name: value for name, value in saved.items() if name in known})
    return replace(
        lease,
        scope=Cover(lease.scope),
        tell=Tell(lease.tell),
        state=State(lease.state),
        request=None if saved["request"] is None else _request(saved["request"]),
    )


def _request(saved: dict[str, Any]) -> Request:
    steps = tuple(Step(each) for each in saved["steps"])
    return Request(**{**saved, "level": Level(saved["level"]), "steps": steps})
