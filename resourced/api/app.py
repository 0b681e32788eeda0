"""The application: the routes, and a short way around them for what is asked for most."""

from dataclasses import dataclass, field

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from resourced.api import actions, changes, configuration, openapi, past, reads, records, workloads
from resourced.api.access import AccessSettings, Caller, Peer, Right, identify, require
from resourced.api.cors import Sharing
from resourced.api.endpoint import Border, Context, Endpoint, Path
from resourced.api.events import Hub
from resourced.api.limits import Limits
from resourced.api.problem import Problem
from resourced.api.refusals import Refusals
from resourced.api.resources import Encoded, ResourceSettings
from resourced.api.service import Service
from resourced.api.turns import Turns


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How the API answers."""

    resources: ResourceSettings = field(default_factory=ResourceSettings)
    """How samples are served."""
    access: AccessSettings = field(default_factory=AccessSettings)
    """Who may do what."""
    limits: Limits = field(default_factory=Limits)
    """How much of the daemon one caller may have."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose web pages may read answers."""


class App:
    """The ASGI application.

    A GET of a resource without parameters is answered from the bytes of the newest sample before any routing; all
    else goes by the routes. Both ways give the same answer.

    Args:
        service: The daemon.
        settings: How the API answers.
    """

    def __init__(self, service: Service, settings: ApiSettings) -> None:
        self._kept: dict[str, bytes] = {}
        self._endpoints = (
            *reads.endpoints(),
            *past.endpoints(),
            *records.endpoints(),
            *actions.endpoints(),
            *changes.endpoints(),
            *configuration.endpoints(),
            *workloads.endpoints(),
        )
        self._version = service.version
        self.encoded = Encoded(service, settings.resources)
        self.hub = Hub(service, settings.limits)
        self.refusals = Refusals(service.audit)
        self.context = Context(
            service,
            self.encoded,
            self.hub,
            Turns(settings.limits.query_threads, settings.limits.questions),
            settings.access,
            settings.limits,
            self.refusals,
            document=self._document,
            page=self._page,
        )
        self._border: ASGIApp = Border(self.context, _router(self.context, self._endpoints))
        self._cors = bool(settings.cors_origins)
        if self._cors:
            self._border = Sharing(self._border, settings.cors_origins)
        self._open = settings.access.anonymous_read
        self._hosts = settings.access.allowed_hosts

    def set_access(self, access: AccessSettings) -> None:
        """Put other rules of access into force, at once, for all listeners and for streams that are open."""
        self.context.access = access
        self._open = access.anonymous_read
        self._hosts = access.allowed_hosts
        self.hub.review(self._reader)

    def close(self) -> None:
        """End all streams, let all who wait go, and tell what was held back."""
        self.hub.close()
        self.refusals.close()

    def _reader(self, scope: Scope) -> Caller | None:
        """Return who sent a request, by the rules in force now; None if he may not read."""
        try:
            caller = identify(self.context.access, scope)
            require(caller, Right.READ)
        except Problem:
            return None
        return caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "GET" and not scope["query_string"]:
            answer = self.encoded.get(scope["path"])
            if answer is not None and self._may_read(scope):
                await answer(scope, receive, send)
                return
        await self._border(scope, receive, send)

    def _may_read(self, scope: Scope) -> bool:
        """Return whether it is plain that the caller may read; if it isn't, the long way decides."""
        if isinstance(scope.get("state", {}).get("peer"), Peer):
            return True  # no web page comes over a Unix socket
        hosts = 0
        for name, value in scope["headers"]:
            if name == b"host":
                hosts += 1
                if value.partition(b":")[0].decode("latin-1") not in self._hosts:
                    return False
            elif name == b"authorization" or (name == b"origin" and self._cors):
                return False
        return self._open and hosts == 1

    def _document(self) -> bytes:
        if "openapi" not in self._kept:
            self._kept["openapi"] = openapi.build(self._endpoints, self._version)
        return self._kept["openapi"]

    def _page(self) -> bytes:
        if "docs" not in self._kept:
            self._kept["docs"] = openapi.page(self._endpoints, self._version)
        return self._kept["docs"]


def _router(context: Context, endpoints: tuple[Endpoint, ...]) -> Router:
    paths: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, []).append(endpoint)
    routes = [Route(path, Path(context, found)) for path, found in paths.items()]
    return Router(routes, redirect_slashes=False)


def create_app(service: Service, settings: ApiSettings | None = None) -> App:
    """Return the application for a daemon."""
    return App(service, settings or ApiSettings())
