"""Where the daemon is: a Unix socket by default, or a URL."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SYSTEM_SOCKET = Path("/run/resourced/resourced.sock")


@dataclass(frozen=True, slots=True)
class Target:
    """An address in the form that an HTTP client wants.

    Attributes:
        base_url: Scheme and host; a fixed one for a Unix socket.
        socket: Path of the Unix socket; None for TCP.
    """

    base_url: str
    socket: str | None = None

    def __str__(self) -> str:
        return self.socket or self.base_url


def candidates(environment: Mapping[str, str]) -> list[Path]:
    """Return the sockets at which a daemon may listen, the system's first."""
    return [SYSTEM_SOCKET, runtime_of(environment) / "resourced/resourced.sock"]


def runtime_of(environment: Mapping[str, str]) -> Path:
    """Return the run-time directory of this user, whom cron or ssh may not have told."""
    return Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")


def find_target(target: str | None = None, environment: Mapping[str, str] = os.environ) -> Target:
    """Return the address that is meant.

    Args:
        target: A URL (http:// or https://) or the path of a socket. If not given, $RESOURCED_SOCKET, or else the first
            of the usual sockets that exists.
        environment: Where variables stand.
    """
    named = target or environment.get("RESOURCED_SOCKET")
    if named and named.startswith(("http://", "https://")):
        return Target(named.rstrip("/"))
    if named:
        return Target("http://localhost", named.removeprefix("unix:"))
    usual = candidates(environment)
    # Not Path.exists: it raises where somebody else's directory is in the way, as after su.
    found = next((path for path in usual if os.path.exists(path)), usual[0])  # noqa: PTH110
    return Target("http://localhost", str(found))
