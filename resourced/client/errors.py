"""What a client can meet: nobody there, nobody let in, or an answer that says no."""

from typing import Any

from resourced.errors import ResourcedError


class ClientError(ResourcedError):
    """Root of what the client raises."""


class NotRunning(ClientError):  # noqa: N818 - names what was found
    """Nobody answers at the address.

    Args:
        address: Where the daemon was looked for.
        detail: What the system said.
    """

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(
            f"resourced does not answer at {address} ({detail}). "
            "Start it with `systemctl start resourced`, or `resourced run` as an ordinary user"
        )
        self.address = address


class NotAllowed(ClientError):  # noqa: N818 - an answer, not a fault
    """The system does not let this user connect to the socket.

    Args:
        address: The socket.
    """

    def __init__(self, address: str) -> None:
        super().__init__(
            f"This user may not connect to {address}. Readers belong to the group resourced: "
            "`usermod -aG resourced USER`, then log in again"
        )
        self.address = address


class ApiError(ClientError):
    """The daemon answered with a problem (RFC 9457).

    Args:
        status: HTTP status.
        problem: The body; title and detail are shown if they are there.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        title = str(problem.get("title") or f"HTTP status {status}")
        detail = problem.get("detail")
        super().__init__(f"{title}: {detail}" if detail and detail != title else title)
        self.status = status
        self.problem = problem
