"""What the journal hears of refused callers: the first few of a kind, then how many more there were."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from resourced.journal.repetition import Repetition, Suppressed

EACH, ALL = 10, 60
"""Lines in one interval: of one caller for one status, and of all together."""
INTERVAL_SECONDS = 60.0

Audit = Callable[[str, Mapping[str, Any]], None]


class Refusals:
    """Writes each refusal down, but lets nobody flood the journal or the history with them. For the event loop alone.

    Args:
        audit: Writes a line.
        monotonic: Tells the seconds for the intervals.
    """

    def __init__(self, audit: Audit, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._monotonic = monotonic
        self._each = Repetition(EACH, INTERVAL_SECONDS)
        self._all = Repetition(ALL, INTERVAL_SECONDS)
        self._timer: asyncio.TimerHandle | None = None

    def note(self, caller: str, status: int, reason: str, method: str = "", path: str = "") -> None:
        """Write a refusal down, or count it if there were many.

        Args:
            caller: Who was refused, as in the audit; processes of one user count together.
            status: With which HTTP status.
            reason: Why not.
            method: Of the request; empty where none could be read.
            path: Likewise.
        """
        now = self._monotonic()
        self._tell(now)
        who = caller.partition(" pid ")[0]
        if self._each.admit((who, status), now) and self._all.admit(("others", None), now):
            asked = {"method": method[:20], "path": path[:200]} if path else {}
            what = " ".join(asked.values()) or "a request"
            self._audit("api_refused", {"caller": caller, **asked, "what": what, "status": status, "reason": reason})
        elif self._timer is None:
            # By then every interval in which something is held back now is over, or begins anew.
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self.close)

    def close(self) -> None:
        """Tell what was held back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._monotonic()
        self._write([*self._each.close(now), *self._all.close(now)])

    def _tell(self, now: float) -> None:
        self._write([*self._each.ended(now), *self._all.ended(now)])

    def _write(self, ended: list[Suppressed]) -> None:
        for each in ended:
            caller, status = cast("tuple[str, int | None]", each.key)
            about: dict[str, Any] = {"caller": caller} | ({} if status is None else {"status": status})
            self._audit("api_refused_more", {**about, "count": each.count, "seconds": round(each.seconds)})
