"""What both clients share: settings, the meaning of failures, and how long to go on trying."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from resourced.client.calls import Call
from resourced.client.errors import ApiError, ClientError, NotAllowed, NotRunning
from resourced.client.sse import EventParser
from resourced.client.target import Target, find_target

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

LONGEST_HEARTBEAT_SECONDS = 300.0
"""Longest time between two signs of life on a stream that a daemon may be set to (api.heartbeat)."""
LATE_SECONDS = 30.0
"""So much later than it should one may come: the machine may stand still for a while."""
STILL_SECONDS = 600.0
"""How long a long answer may stand still: a recording is made before it is sent."""
BUSY = 503
"""Status of one that ends, or has no room now: it may be asked again."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class ClientBase:
    """Settings of a client.

    Args:
        target: A URL or the path of a socket; the usual sockets are looked at if it is not given.
        token: Bearer token, needed for changes over TCP.
        timeout_seconds: How long one answer may take.
        patience_seconds: How long to go on trying while the daemon restarts.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: str | None = None,
        timeout_seconds: float = 10.0,
        patience_seconds: float = 3.0,
    ) -> None:
        self.target: Target = find_target(target)
        self._token = token
        self._timeout = timeout_seconds
        self._patience = patience_seconds

    def _settings(self) -> dict[str, Any]:
        headers = {"accept": "application/json", "user-agent": "resourced-client"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        return {"base_url": self.target.base_url, "headers": headers, "timeout": self._timeout, "trust_env": False}

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        asked = {"method": call.method, "url": call.path, "params": call.query, "json": call.body}
        return {**asked, "timeout": self._timeout + call.patience_seconds}

    def _stream_request(self, parser: EventParser, query: dict[str, Any]) -> dict[str, Any]:
        """Return how a stream is asked for: from where it broke off, and taken for broken if it is silent too long."""
        import httpx  # noqa: PLC0415 - imported when the first question is asked

        headers = {"accept": "text/event-stream"}
        if parser.last_id is not None:
            headers["last-event-id"] = parser.last_id
        timeout = httpx.Timeout(self._timeout, read=LONGEST_HEARTBEAT_SECONDS + LATE_SECONDS)
        return {"method": "GET", "url": "/events", "params": query, "headers": headers, "timeout": timeout}

    def _long_request(self, call: Call[Any]) -> dict[str, Any]:
        """Return how an answer is asked for that may take its time."""
        import httpx  # noqa: PLC0415 - imported when the first question is asked

        timeout = httpx.Timeout(self._timeout, read=STILL_SECONDS)
        return {"method": call.method, "url": call.path, "params": call.query, "timeout": timeout}

    def _pauses(self) -> Iterator[float]:
        """Yield the pauses between attempts, growing, until patience is used up."""
        spent, pause = 0.0, _FIRST_PAUSE
        while spent < self._patience:
            yield min(pause, self._patience - spent)
            spent += pause
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _failure(self, error: Exception) -> ClientError:
        """Return what a failed attempt means to a person."""
        if isinstance(error, ClientError):
            return error
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, PermissionError):
                return NotAllowed(str(self.target))
            cause = cause.__cause__ or cause.__context__
        return NotRunning(str(self.target), str(error) or type(error).__name__)


def repeatable(error: "httpx.TransportError", method: str) -> bool:
    """Return whether asking again can't do the same thing twice: nothing was sent, or it only reads."""
    import httpx  # noqa: PLC0415 - imported when the first question is asked, not with the module

    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return False
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) or method == "GET"


def read(call: Call[T], response: "httpx.Response") -> T:
    """Return the answer of a response.

    Raises:
        ApiError: The daemon said no, or what came is not an answer of resourced.
    """
    check(response)
    try:
        return call.parse(response.json() if response.content else None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ApiError(
            response.status_code,
            {"title": "Answer not understood", "detail": f"{call.path}: {error}. Is the daemon of another version?"},
        ) from error


def check(response: "httpx.Response") -> None:
    """Raise the problem that a response tells; its content must have been read.

    Raises:
        ApiError: The status is not a success.
    """
    if response.is_success:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": f"HTTP status {response.status_code}", "detail": response.text[:200]}
    raise ApiError(response.status_code, problem)


def stream_query(kinds: Sequence[str] | None, since: float | str | None = None) -> dict[str, Any]:
    """Return the parameters of the stream of events."""
    return {**({"kind": list(kinds)} if kinds else {}), **({"since": since} if since is not None else {})}


def limit_silence(response: "httpx.Response") -> None:
    """Wait for the next piece of a stream as long as the server says that it may take, and a little longer.

    The limit of the request is replaced before the body is read; it holds for a server that doesn't say.
    """
    try:
        every = float(response.headers["heartbeat-seconds"])
    except (KeyError, ValueError):
        return
    response.request.extensions["timeout"]["read"] = min(max(0.0, every), LONGEST_HEARTBEAT_SECONDS) + LATE_SECONDS
