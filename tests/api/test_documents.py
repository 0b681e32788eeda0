import json
from typing import Any

import httpx
import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from resourced.api import create_app
from resourced.metrics import CATALOGUE
from tests.api.examples import EXAMPLES, examples
from tests.api.fakes import FakeService, make_decision


@pytest.fixture
def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(FakeService())), base_url="http://localhost")


def _check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


async def test_every_answer_is_as_the_description_says(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    checked = 0
    for path, operations in document["paths"].items():
        if "get" not in operations or path == "/events":
            continue
        query = {"/history": "?metric=memory.used"}.get(path, "")
        answer = await client.get(path.replace("{id}", make_decision(1).id) + query)
        content = operations["get"]["responses"][str(answer.status_code)]["content"]
        media_type = answer.headers["content-type"].partition(";")[0]
        assert media_type in content, path
        if media_type == "application/json":
            _check(document, content[media_type]["schema"], answer.json())
            checked += 1
    assert checked >= 18


async def test_how_one_would_fare_is_as_the_description_says(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schema = document["paths"]["/prune"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    _check(document, schema, (await client.get("/prune?pid=42")).json())


async def test_fields_are_described(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    memory = document["components"]["schemas"]["Memory"]["properties"]
    assert "without swapping" in memory["available_bytes"]["description"]
    assert document["openapi"] == "3.1.0"
    parameters = document["paths"]["/resources/processes"]["get"]["parameters"]
    named = {p["name"] for p in parameters}
    assert named == {"fresh", "wait", "after", "sort", "limit", "command_line", "If-None-Match"}
    [resumed] = [p for p in document["paths"]["/events"]["get"]["parameters"] if p["in"] == "header"]
    assert resumed["name"] == "Last-Event-ID"


async def test_the_examples_are_what_is_answered() -> None:
    written = json.loads(EXAMPLES.read_text())

    assert json.loads(json.dumps(await examples())) == written, "run python -m tests.api.examples"


async def test_every_route_has_an_example_that_is_as_described(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    lacking = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            done = next(each for status, each in operation["responses"].items() if status in ("200", "201"))
            [[_, content], *_] = done["content"].items()
            if "example" not in content:
                lacking.append(f"{method} {path}")
                continue
            _check(document, content["schema"], content["example"])
            for about in operation.get("requestBody", {}).get("content", {}).values():
                _check(document, about["schema"], about["example"])
    assert set(lacking) == {"get /history/export", "get /openapi.json", "get /docs"}  # a file, and itself twice


async def test_every_error_has_an_example_that_is_as_described(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    seen = set()
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                for about in response.get("content", {}).values():
                    if about["schema"] == {"$ref": "#/components/schemas/Problem"}:
                        _check(document, about["schema"], about["example"])
                        assert about["example"]["status"] == int(status)
                        seen.add(int(status))
    assert seen == {400, 401, 403, 404, 408, 409, 413, 421, 422, 429, 431, 500, 503}


async def test_problems_are_as_described(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for path in ("/nowhere", "/resources/cpu?x=1", "/decisions/0"):
        _check(document, document["components"]["schemas"]["Problem"], (await client.get(path)).json())


async def test_the_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert "/resources/all" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text


async def test_a_parser_accepts_the_metrics(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}  # type: ignore[no-untyped-call]  # likewise
    assert families["system_cpu_utilization_ratio"].samples[0].value == 0.5
    assert families["system_cpu_time_seconds"].samples[0].name == "system_cpu_time_seconds_total"
    assert families["system_cpu_time_seconds"].unit == "seconds"
    assert {s.labels["rule"] for s in families["resourced_rule_firing"].samples} == {"memory-low"}
    assert not any(sample.value != sample.value for family in families.values() for sample in family.samples)


async def test_the_catalogue_is_complete(client: httpx.AsyncClient) -> None:
    listed = json.loads((await client.get("/catalog")).content)["metrics"]
    assert [entry["name"] for entry in listed] == list(CATALOGUE)
    assert [entry["name"] for entry in listed if not (entry["help"] and entry["unit"])] == []
    places = ("/proc/", "/sys/", "NVML", "nvml", "statvfs", "cgroup")
    assert [entry["name"] for entry in listed if not any(place in entry["source"] for place in places)] == []
