"""How much of the daemon one caller may have."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on connections and requests."""

    connections: int = 1024
    """Connections at once, and as many whose TLS handshake isn't over; beyond it an idle one makes room."""
    streams: int = 256
    """Event streams and waiting callers at once."""
    query_threads: int = 2
    """Questions to the history that are answered at once."""
    questions: int = 32
    """Questions to the history that may wait meanwhile."""
    header_bytes: int = 16384
    """Largest head of a request."""
    header_seconds: float = 10.0
    """How long a caller may take to send it."""
    body_bytes: int = 16384
    """Largest body of a request."""
    body_seconds: float = 5.0
    """How long a caller may take to send it."""
    answer_seconds: float = 30.0
    """How long a caller may take to go on reading an answer or a stream."""
    heartbeat_seconds: float = 15.0
    """Time between signs of life on a stream on which nothing happens."""
