"""What stands before the world: listening sockets, and the server that answers on them for a service."""

import os
from pathlib import Path
from typing import Any

from resourced.api import ApiServer, create_app, make_sockets
from resourced.api.access import AccessSettings
from resourced.api.service import Service
from resourced.config import ResourceConfig
from resourced.errors import ConfigError
from resourced.parts import api_settings, listen_settings


class Front:
    """Sockets from the start, so that a wrong address is told at once; a server as soon as there is a service.

    Args:
        config: Where to listen, and how to answer.

    Raises:
        ConfigError: A socket can't be made.
    """

    def __init__(self, config: ResourceConfig) -> None:
        self._config = config
        self._listen = listen_settings(config, os.environ, os.geteuid())
        _make_directory(self._listen.socket)
        self._sockets = make_sockets(self._listen)
        self.listeners = tuple(_told(sock.getsockname()) for sock in self._sockets)
        """Addresses, as people write them."""

    def open(self, service: Service) -> None:
        """Build what answers for a service; `serve` begins to."""
        self._app = create_app(service, api_settings(self._config))
        self._server = ApiServer(self._app, self._sockets, self._listen)

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
        self._app.set_access(access)

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


def _told(name: Any) -> str:
    if isinstance(name, str):
        return name or "unnamed socket"
    host, port = str(name[0]), name[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
