"""Web pages of other origins that may read answers: cross-origin resource sharing, with our kind of refusals."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from resourced.api.answers import SECURITY_HEADERS
from resourced.api.problem import Problem

_SECURITY = {name.decode(): value.decode() for name, value in SECURITY_HEADERS}


class Sharing(CORSMiddleware):
    """Answers the questions that browsers ask before they let a page read, and marks answers as readable.

    Args:
        below: What answers.
        origins: Origins of the pages.
    """

    def __init__(self, below: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            below,
            allow_origins=origins,
            allow_methods=("GET", "HEAD"),
            allow_headers=("authorization", "if-none-match", "last-event-id"),
            expose_headers=("etag", "retry-after"),
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return whether a page may ask what its browser is about to ask."""
        found = super().preflight_response(request_headers)
        if found.status_code != 200:
            detail = "pages of this origin, or requests of this kind from pages, are not allowed; see api.cors_origins"
            headers = {name: value for name, value in found.headers.items() if not name.startswith("content-")}
            found = Problem(found.status_code, detail, headers=headers).response()
        found.headers.update(_SECURITY)
        return found
