"""Where the API listens, for whom, and how much of it one caller may have."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from resourced.configkinds import AbsolutePath, Count, Duration, Section, Size, Switch


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address; write for example 127.0.0.1 or ::1") from None


def _origin(text: str) -> str:
    if re.fullmatch(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?", text) is None:
        raise ValueError(
            f"{text!r} is not an origin; write scheme and host, for example https://dashboard.example:3000"
        )
    return text


class ApiConfig(Section):
    """The HTTP API."""

    unix: Switch = True
    """Whether to listen on a Unix socket."""
    socket: AbsolutePath | None = None
    """Path of the Unix socket. By default resourced.sock in the run-time directory."""
    socket_group: str | None = None
    """Group that may connect to it. By default resourced, if there is such a group and the daemon runs as root."""
    admin_group: str | None = "resourced-admin"
    """Group whose members may change things over the Unix socket, as root may. It is looked up at the start and at a
    reload."""
    tcp: Switch = True
    """Whether to listen on TCP."""
    address: Annotated[str, AfterValidator(_address)] = "127.0.0.1"
    """Address to listen on. One that others can reach takes a token file and a TLS certificate."""
    port: Annotated[Count, Field(ge=0, le=65535)] = 8414
    """TCP port; 0 takes any that is free."""
    anonymous_read: Switch = True
    """Whether TCP callers without a token may read. Where other machines can ask, none may."""
    tokens_file: AbsolutePath | None = None
    """File with a line `name right token` for each TCP caller, right being read or admin. By default the credential
    tokens, which the service gets from /etc/resourced/tokens."""
    tls_certificate: AbsolutePath | None = None
    """PEM file with the certificate chain for TCP. A reload reads it and the key again."""
    tls_key: AbsolutePath | None = None
    """PEM file with its key."""
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """Names that the Host header may carry over TCP, without port: no web page reaches the API by its own name."""
    cors_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
    """Web pages of these origins, such as https://dashboard.example, may read answers; none may by default."""
    cache_time: Annotated[Duration, Field(ge=0, le=60)] = 1.0
    """For how long callers may keep an answer."""
    top: Annotated[Count, Field(ge=0, le=1000)] = 20
    """How many processes and cgroups, by processor use and by memory, /resources/all holds."""
    max_connections: Annotated[Count, Field(ge=1, le=65536)] = 1024
    """Connections at once, and as many whose TLS handshake isn't over; beyond it the one that is idle longest makes
    room."""
    max_streams: Annotated[Count, Field(ge=1, le=10_000)] = 256
    """Event streams and waiting callers at once."""
    max_header: Annotated[Size, Field(ge=1024, le=1024**2)] = 16 * 1024
    """Largest head of a request."""
    max_body: Annotated[Size, Field(ge=1024, le=64 * 1024**2)] = 16 * 1024
    """Largest body of a request."""
    header_timeout: Annotated[Duration, Field(ge=0.1, le=300)] = 10.0
    """How long a caller may take to send the head of a request."""
    body_timeout: Annotated[Duration, Field(ge=0.1, le=300)] = 5.0
    """How long a caller may take to send the body of a request."""
    answer_timeout: Annotated[Duration, Field(ge=0.1, le=3600)] = 30.0
    """How long a caller may take to go on reading an answer or a stream of events."""
    keep_alive: Annotated[Duration, Field(ge=1, le=3600)] = 15.0
    """How long an idle connection is kept."""
    heartbeat: Annotated[Duration, Field(ge=1, le=300)] = 15.0
    """Time between signs of life on a stream of events on which nothing happens."""
    query_threads: Annotated[Count, Field(ge=1, le=32)] = 2
    """Questions to the history that are answered at once."""
    max_questions: Annotated[Count, Field(ge=1, le=10_000)] = 32
    """Questions to the history that may wait meanwhile; beyond it callers are told to ask again later."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        faults = []
        if (self.tls_certificate is None) != (self.tls_key is None):
            missing, there = ("tls_key", "tls_certificate") if self.tls_key is None else ("tls_certificate", "tls_key")
            faults.append(f"api.{missing}: is missing beside api.{there}; set both or neither")
        if self.tcp and not self.loopback:
            lacking = [
                name
                for name, value in (("tokens_file", self.tokens_file), ("tls_certificate", self.tls_certificate))
                if value is None
            ]
            if lacking:
                faults.append(
                    f"api.address: {self.address} can be reached from other machines, which takes a token file and a"
                    f" TLS certificate; set {' and '.join(f'api.{name}' for name in lacking)}, or listen on 127.0.0.1"
                )
        if not (self.unix or self.tcp):
            faults.append("api.tcp: neither api.unix nor api.tcp is on, so nobody could ask; leave one on")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the TCP address."""
        return ipaddress.ip_address(self.address).is_loopback


DEFAULT_SOCKET_NAME = "resourced.sock"
"""The Unix socket's name in the run-time directory."""


def socket_path(config: ApiConfig, runtime_directory: Path) -> Path | None:
    """Return where the Unix socket is made; None if there shall be none."""
    return (config.socket or runtime_directory / DEFAULT_SOCKET_NAME) if config.unix else None
