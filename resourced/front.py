"""What stands before the world: listening sockets, and the server that answers on them for a service."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from resourced.api import ApiServer, create_app, make_sockets
from resourced.api.access import AccessSettings
from resourced.api.listen import is_wide
from resourced.api.service import Service
from resourced.api.tls import Certificate
from resourced.config import ResourceConfig
from resourced.errors import ConfigError
from resourced.parts import api_settings, listen_settings


class Front:
    """Sockets from the start, so that a wrong address is told at once; a server as soon as there is a service.

    Args:
        config: Where to listen, and how to answer.

    Raises:
        ConfigError: A socket can't be made, or the certificate can't be used.
    """

    def __init__(self, config: ResourceConfig) -> None:
        self._config = config
        self._listen = listen_settings(config, os.environ, os.geteuid())
        chain, key = self._listen.tls_certificate, self._listen.tls_key
        self._certificate = Certificate(chain, key) if chain is not None and self._listen.port is not None else None
        _make_directory(self._listen.socket)
        self._sockets = make_sockets(self._listen)
        self._wide = is_wide(self._sockets)
        scheme = "http" if self._certificate is None else "https"
        self.listeners = tuple(_told(sock.getsockname(), scheme) for sock in self._sockets)
        """Addresses, as people write them."""

    def open(self, service: Service) -> None:
        """Build what answers for a service; `serve` begins to."""
        settings = api_settings(self._config)
        self._app = create_app(service, replace(settings, access=self._narrowed(settings.access)))
        self._server = ApiServer(self._app, self._sockets, self._listen, self._certificate)

    async def serve(self) -> None:
        """Answer until `stop`."""
        await self._server.serve()

    async def started(self) -> None:
        """Return when all sockets are served."""
        await self._server.started()

    def stop(self) -> None:
        """Let `serve` return within a second."""
        self._server.stop()

    def set_access(self, access: AccessSettings) -> None:
        """Put other rules of access into force."""
        self._app.set_access(self._narrowed(access))

    def renew_certificate(self) -> bool:
        """Read certificate and key again, for new connections; return whether they differ. It may block.

        Raises:
            ConfigError: They can't be used; those in force stay.
        """
        return self._certificate is not None and self._certificate.renew()

    def _narrowed(self, access: AccessSettings) -> AccessSettings:
        """Return the rules for these sockets: where other machines can ask, nobody reads without a token."""
        return replace(access, anonymous_read=access.anonymous_read and not self._wide)

    def remove_socket(self) -> None:
        """Remove our own Unix socket; one that systemd handed over is systemd's."""
        if self._listen.socket is not None and "LISTEN_FDS" not in os.environ:
            self._listen.socket.unlink(missing_ok=True)


def _make_directory(path: Path | None) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    except OSError as error:
        raise ConfigError(
            f"{path.parent}: can't be made: {error.strerror}; set daemon.runtime_directory or api.socket to a"
            " place that may be written"
        ) from error


def _told(name: Any, scheme: str) -> str:
    if isinstance(name, str):
        return name or "unnamed socket"
    host, port = str(name[0]), name[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
