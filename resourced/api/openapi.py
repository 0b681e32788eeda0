"""The API's own description, generated from routes and types when it is first asked for."""

import gc
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from resourced.api.access import Right
from resourced.api.answers import to_json
from resourced.api.endpoint import Endpoint
from resourced.api.parameters import Parameter
from resourced.api.problem import MEDIA_TYPE, PROBLEM_SCHEMA

_REF = "#/components/schemas/{model}"
_ALWAYS = (400, 401, 408, 421, 422, 431, 500)
"""With which any request may fail: what is no HTTP, too slow or too large is refused before routing."""
_IF_NONE_MATCH = Parameter("If-None-Match", "string", "Entity tag of the copy that the caller has.")
_TAG = {"ETag": {"description": "Tag of this answer, which changes with every sample.", "schema": {"type": "string"}}}
_EXAMPLES = Path(__file__).parent / "examples.json"
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Examples:
    """Answers that were really given, about a machine that was made up; see tests/api/examples.py."""

    answers: Mapping[str, Any]
    """By method and path, such as "GET /prune"."""
    problems: Mapping[str, Any]
    """By status."""


def build(endpoints: Iterable[Endpoint], version: str) -> bytes:
    """Return the OpenAPI 3.1 document as JSON."""
    listed = list(endpoints)
    schemas, components = _schemas(listed)
    examples = Examples(**json.loads(_EXAMPLES.read_bytes()))
    paths: dict[str, dict[str, Any]] = {}
    for number, endpoint in enumerate(listed):
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(
            endpoint, schemas.get(number), examples
        )
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "resourced",
            "version": version,
            "summary": "One Linux machine: what it does, what it did, what must give way and why.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components | {"Problem": PROBLEM_SCHEMA},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    written = to_json(document)
    del document, schemas, components, paths, examples
    gc.collect()
    return written


def _is_schema(answer: Any) -> bool:
    return isinstance(answer, Mapping) and ("type" in answer and not isinstance(answer["type"], type))


def _parts(endpoint: Endpoint) -> dict[str, Any]:
    """Return the types of which an answer is made: by property, or the whole under an empty name."""
    answer = endpoint.answer
    if _is_schema(answer) or (isinstance(answer, Mapping) and "content" in answer):
        return {}
    if isinstance(answer, Mapping):
        return {name: kind for name, kind in answer.items() if name != "optional"} | dict(answer.get("optional", {}))
    return {"": answer}


def _schemas(endpoints: list[Endpoint]) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """Return the schemas of all parts by endpoint and property, and the components that they refer to."""
    from pydantic import ConfigDict, TypeAdapter  # noqa: PLC0415 - only needed when somebody asks

    config = ConfigDict(use_attribute_docstrings=True)
    inputs: list[Any] = [
        ((number, name), "serialization", TypeAdapter[Any](list[kind], config=config))  # type: ignore[valid-type]  # a type made at run time
        for number, endpoint in enumerate(endpoints)
        for name, kind in _parts(endpoint).items()  # a dataclass takes its docstrings from the list around it
    ]
    found, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    by_endpoint: dict[int, dict[str, Any]] = {}
    for (number, name), _ in found:
        by_endpoint.setdefault(number, {})[name] = found[(number, name), "serialization"]["items"]
    return by_endpoint, _without_titles(definitions["$defs"])


def _without_titles(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_titles(v) for k, v in value.items() if k != "title" or not isinstance(v, str)}
    return [_without_titles(item) for item in value] if isinstance(value, list) else value


def _answer_schema(endpoint: Endpoint, parts: dict[str, Any] | None) -> dict[str, Any]:
    if parts is None:
        return dict(endpoint.answer)
    if "" in parts:
        return dict(parts[""])
    optional = endpoint.answer.get("optional", {})
    required = [name for name in parts if name not in optional]
    return {"type": "object", "required": required, "properties": parts, "additionalProperties": False}


def _content(endpoint: Endpoint, parts: dict[str, Any] | None, example: Any) -> dict[str, Any]:
    """Return the forms of an answer by media type."""
    answer = endpoint.answer
    if isinstance(answer, Mapping) and "content" in answer:
        content = dict(answer["content"])
    else:
        content = {"application/json": {"schema": _answer_schema(endpoint, parts)}}
    for media_type, schema in endpoint.also.items():
        first = content.get(media_type)
        content[media_type] = {"schema": {"anyOf": [first["schema"], schema]} if first else schema}
    if example is not None:
        usual = next(iter(content))
        content[usual] = {**content[usual], "example": example}
    return content


def _responses(endpoint: Endpoint, parts: dict[str, Any] | None, examples: Examples) -> dict[str, Any]:
    """Return everything that may be answered, by status."""
    content = _content(endpoint, parts, examples.answers.get(f"{endpoint.method} {endpoint.path}"))
    done = str(endpoint.status)
    responses: dict[str, Any] = {done: {"description": endpoint.summary, "content": content}}
    if endpoint.kept:
        responses[done]["headers"] = _TAG
        responses["304"] = {"description": "The caller's copy, named by If-None-Match, is still good.", "headers": _TAG}
    for status, schema in endpoint.statuses.items():
        described = {"application/json": {"schema": schema}}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": described}
    for status in sorted({*_ALWAYS, *endpoint.problems} - set(endpoint.statuses)):
        problem: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
        if str(status) in examples.problems:
            problem["example"] = examples.problems[str(status)]
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: problem}}
    return responses


def _body(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form of a body, with an example made of the first choice of each property."""
    properties = schema["properties"].items()
    return {"schema": schema, "example": {name: about["enum"][0] for name, about in properties if "enum" in about}}


def _operation(endpoint: Endpoint, parts: dict[str, Any] | None, examples: Examples) -> dict[str, Any]:
    words = re.findall(r"\w+", endpoint.path)
    operation: dict[str, Any] = {
        "operationId": "_".join([endpoint.method.lower(), *words]),
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PLACE.findall(endpoint.path)
        ]
        + [parameter.schema() for parameter in endpoint.parameters]
        + [header.schema("header") for header in (*endpoint.headers, *([_IF_NONE_MATCH] if endpoint.kept else []))],
        "responses": _responses(endpoint, parts, examples),
        "security": [{"token": []}] if endpoint.right is Right.ADMIN else [{}, {"token": []}],
    }
    if endpoint.body is not None:
        needed = bool(endpoint.body.get("required"))
        operation["requestBody"] = {"required": needed, "content": {"application/json": _body(endpoint.body)}}
    return operation


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#8882;padding:.1em .3em}table{border-collapse:collapse;width:100%}"
    "td,th{border:1px solid #8886;padding:.3em .6em;text-align:left;vertical-align:top}"
    ":root{color-scheme:light dark}"
)


def page(endpoints: Iterable[Endpoint], version: str) -> bytes:
    """Return the description for people: one page that needs nothing from elsewhere."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>resourced</title><style>{_STYLE}</style><h1>resourced {html.escape(version)}</h1>",
        "<p>The complete description, with every field of every answer, is at <a href=/openapi.json>/openapi.json</a>.",
    ]
    for endpoint in endpoints:
        plain = endpoint.method == "GET" and "{" not in endpoint.path
        name = html.escape(endpoint.path)
        shown = f"<a href={name}>{name}</a>" if plain else name
        parts.append(f"<h2><code>{endpoint.method} {shown}</code></h2><p>{html.escape(endpoint.summary)}")
        parts.append(f" {html.escape(endpoint.description)}</p>")
        if endpoint.parameters:
            rows = "".join(
                f"<tr><td><code>{p.name}</code><td>{p.kind}<td>{html.escape(p.description)}"
                f"{' One of ' + ', '.join(p.choices) + '.' if p.choices else ''}"
                for p in endpoint.parameters
            )
            parts.append(f"<table><tr><th>parameter<th>kind<th>meaning{rows}</table>")
    return "".join(parts).encode()
