"""Errors as RFC 9457 problem documents."""

from http import HTTPStatus
from typing import Any

import pydantic_core
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
_REFUSALS = (400, 401, 403, 408, 409, 413, 421, 431)
"""Statuses of refusals, which the journal hears of; all others are mistakes of the caller's, or troubles of ours."""


class Problem(Exception):  # noqa: N818 - the name of the document
    """An answer that says what went wrong.

    Args:
        status: HTTP status.
        detail: A sentence for a person: what, and what instead.
        parameter: Name of the parameter at fault, if one is.
        headers: Further headers of the answer.
        refusal: Whether a caller is refused what others may have, or at other times; the status says it for most.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        parameter: str | None = None,
        headers: dict[str, str] | None = None,
        refusal: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.parameter = parameter
        self.headers = headers or {}
        self.refusal = refusal or status in _REFUSALS

    def response(self) -> Response:
        """Return the answer."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.parameter is not None:
            body["parameter"] = self.parameter
        headers = {"cache-control": "no-store", **self.headers}
        return Response(pydantic_core.to_json(body), self.status, headers, MEDIA_TYPE)


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem document.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Always about:blank: the status says the kind."},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What went wrong and what is allowed."},
        "parameter": {"type": "string", "description": "Name of the parameter at fault."},
    },
}
