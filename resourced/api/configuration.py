"""The route that tells by what the daemon goes, and where each value was said; for those who may change things."""

import asyncio
from typing import Any

from starlette.types import ASGIApp

from resourced.api.access import Right
from resourced.api.endpoint import Call, Endpoint, json_answer

_SETTING: dict[str, Any] = {
    "type": "object",
    "required": ["written", "origin"],
    "properties": {
        "written": {"type": ["string", "null"], "description": "As it is written in TOML; null if it is not set."},
        "origin": {"type": "string", "description": "default, a profile, a file with the line, a variable, an option."},
    },
    "additionalProperties": False,
}
_CONFIG: dict[str, Any] = {
    "type": "object",
    "required": ["files", "settings", "text"],
    "properties": {
        "files": {"type": "array", "items": {"type": "string"}, "description": "What was read, in this order."},
        "settings": {"type": "object", "additionalProperties": _SETTING, "description": "By dotted key."},
        "text": {"type": "string", "description": "A main file that means the same, rules with it."},
    },
    "additionalProperties": False,
}


async def _config(call: Call) -> ASGIApp:
    return json_answer(await asyncio.to_thread(call.service.configuration))


def endpoints() -> list[Endpoint]:
    """Return the routes."""
    return [
        Endpoint(
            "/config",
            _config,
            "What is configured, and where each value was said.",
            _CONFIG,
            right=Right.ADMIN,
            description="Addresses that a webhook calls may hold secrets, so this is for those who may change things.",
            problems=(403,),
        ),
    ]
