"""A registration as its own program holds it: what was wished, what is known, and what to do about what is heard."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resourced.client.errors import ApiError, ClientError
from resourced.client.workloads import PruneRequest, Workload, workload

ENVIRONMENT = "RESOURCED_WORKLOAD"
"""Names the registration that whoever started the program has made for it."""
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
_REFUSALS = (400, 401, 403, 422)

Tell = Literal["stream", "signal", "file", "none"]
logger = logging.getLogger("resourced.client")


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """How a registration is held.

    Attributes:
        wishes: What is sent to register.
        target: URL or socket of the daemon; None for the usual ones.
        token: Bearer token.
        required: Whether to fail where no daemon runs.
        acknowledges: Whether seeing a request acknowledges it.
        adopted: Id of a registration that exists already.
        on_prune: Called with each request.
    """

    wishes: Mapping[str, Any]
    target: str | None = None
    token: str | None = None
    required: bool = False
    acknowledges: bool = True
    adopted: str | None = None
    on_prune: Callable[[PruneRequest], object] | None = None

    @property
    def beat_seconds(self) -> float | None:
        """Time between signs of life; None if none are needed."""
        every = self.wishes.get("heartbeat_seconds")
        return None if every is None else every / 3


@dataclass(slots=True)
class Standing:
    """What is known of one's own registration. It has no thread and asks nobody."""

    workload: Workload | None = None
    """The newest document; None while not registered."""
    released: bool = False
    """Whether it was ended on purpose, here or by an admin: it is not made again."""
    _heard: str | None = None
    _seen: str | None = None

    @property
    def request(self) -> PruneRequest | None:
        """What is asked now."""
        return None if self.workload is None else self.workload.request

    def take(self, found: Workload) -> PruneRequest | None:
        """Take a newer document; return its request if it was not heard of before."""
        self.workload = found
        request = found.request
        if request is None or request.decision == self._heard:
            return None
        self._heard = request.decision
        return request

    def see(self) -> str | None:
        """Note that the program has seen the request; return the decision the first time, else None."""
        request = self.request
        if request is None or request.decision == self._seen:
            return None
        self._seen = request.decision
        return request.decision

    def lose(self) -> None:
        """The daemon knows nothing of it any more."""
        self.workload = None

    def hear(self, data: Any) -> PruneRequest | None:
        """Take what the stream tells; return a request that was not heard of before. What is of others is passed over.

        Args:
            data: Content of an event of the kind workload.
        """
        mine = self.workload
        if mine is None or not isinstance(data, dict) or (data.get("workload") or {}).get("id") != mine.id:
            return None
        if data.get("change") == "released":
            self.released = True
            self.lose()
        elif data.get("change") == "lapsed":
            self.lose()
        else:
            return self.take(workload(data["workload"]))
        return None


class LeaseBase(ABC):
    """What a registration shows, whether threads or tasks hold it.

    Args:
        settings: How it is held.
    """

    def __init__(self, settings: LeaseSettings) -> None:
        self._settings = settings
        self._standing = Standing()

    @property
    def workload(self) -> Workload | None:
        """What the daemon knows of it; None while it is not registered."""
        return self._standing.workload

    @property
    def asked(self) -> bool:
        """Whether it is asked to give way. Costs nothing; the first time that it is true acknowledges the request."""
        if self._standing.request is None:
            return False
        self._see()
        return True

    @property
    def request(self) -> PruneRequest | None:
        """What is asked of it, if anything is. Seeing it acknowledges it, as with `asked`."""
        self._see()
        return self._standing.request

    @property
    def _known_id(self) -> str | None:
        """Under which identity the daemon may know it; None if it has yet to be registered."""
        return self._settings.adopted if self.workload is None else self.workload.id

    @property
    def _ends_with_us(self) -> bool:
        """Whether it is ours to end: one that was taken over is left as it is."""
        adopted = self._settings.adopted
        return adopted is None or self.workload is None or self.workload.id != adopted

    @abstractmethod
    def _see(self) -> None:
        """Acknowledge the request, if it is there and is seen for the first time."""


def refused(error: ClientError) -> bool:
    """Return whether the daemon said that it never will: the caller's fault, not the moment's."""
    return isinstance(error, ApiError) and error.status in _REFUSALS


def gone(error: ClientError) -> bool:
    """Return whether the daemon knows no such registration."""
    return isinstance(error, ApiError) and error.status == 404


class Absence:
    """Says once in a process that it goes on without a daemon."""

    told = False

    @classmethod
    def tell(cls, error: ClientError) -> None:
        """Log it, unless it was."""
        if not cls.told:
            cls.told = True
            logger.warning(
                "this program is not told before it must give way, until resourced takes it in: %s", str(error)
            )
