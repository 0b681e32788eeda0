"""Schemas of answers that are put together by hand."""

from typing import Any


def object_schema(description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all of these properties."""
    return {"type": "object", "description": description, "required": list(properties), "properties": properties}
