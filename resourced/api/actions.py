"""The route that tells what is done about decisions now. Approving and refusing is in `resourced.api.changes`."""

from typing import Any

from starlette.types import ASGIApp

from resourced.api.endpoint import Call, Endpoint, json_answer

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}


def _list(**fields: Any) -> dict[str, Any]:
    item = {"type": "object", "required": list(fields), "properties": fields, "additionalProperties": False}
    return {"type": "array", "items": item}


_STEPS = {"type": "array", "items": _TEXT}
_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["courses", "changes", "rivals"],
    "properties": {
        "courses": {
            "description": "Decisions that wait for approval (waiting), run down their ladder (running), or only wait"
            " for the rule to recover (watching).",
            **_list(
                decision=_TEXT,
                rule=_TEXT,
                instance=_TEXT,
                target=_TEXT,
                status={"enum": ["waiting", "running", "watching"]},
                taken=_STEPS,
                steps=_STEPS,
                approved_by=_TEXT_OR_NULL,
            ),
        },
        "changes": {
            "description": "What was changed and will be put back: limits, what is frozen, what is stopped.",
            **_list(
                decision=_TEXT,
                target=_TEXT,
                step=_TEXT,
                time={"type": "number"},
                expires={"type": "number"},
                cgroup=_TEXT_OR_NULL,
                pid={"type": ["integer", "null"]},
                file=_TEXT_OR_NULL,
                original=_TEXT_OR_NULL,
                written=_TEXT_OR_NULL,
            ),
        },
        "rivals": {"description": "Other killers that are active.", **_list(name=_TEXT, about=_TEXT)},
    },
    "additionalProperties": False,
}


async def _actions(call: Call) -> ASGIApp:
    return json_answer(call.service.actions())


def endpoints() -> list[Endpoint]:
    """Return the routes."""
    return [Endpoint("/actions", _actions, "What is done about decisions now, and what can be undone.", _ANSWER)]
