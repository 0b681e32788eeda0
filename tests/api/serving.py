"""A real server on real sockets for one test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from resourced.api import ApiServer, ApiSettings, Limits, ListenSettings, create_app, make_sockets
from resourced.api.app import App
from resourced.api.tls import Certificate
from tests.api.fakes import FakeService


@dataclass
class Served:
    app: App
    service: FakeService
    server: ApiServer
    path: Path
    port: int

    def unix(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(self.path)), base_url="http://localhost")

    def tcp(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}")


@contextlib.asynccontextmanager
async def served(
    directory: Path,
    service: FakeService | None = None,
    settings: ApiSettings | None = None,
    certificate: Certificate | None = None,
) -> AsyncIterator[Served]:
    """Serve on a Unix socket in a directory and on a free TCP port, there with TLS if a certificate is given."""
    service = service or FakeService()
    app = create_app(service, settings)
    limits = settings.limits if settings else Limits()
    listen = ListenSettings(socket=directory / "s.sock", port=0, limits=limits)
    sockets = make_sockets(listen, {})
    port = sockets[1].getsockname()[1]
    server = ApiServer(app, sockets, listen, certificate)
    task = asyncio.create_task(server.serve())
    try:
        await server.started()
        yield Served(app, service, server, directory / "s.sock", port)
    finally:
        server.stop()
        await task
