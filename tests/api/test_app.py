import asyncio
import json
from pathlib import Path

import httpx
import pytest

from resourced.api import ApiSettings, create_app
from tests.api.fakes import TIME, FakeService
from tests.api.serving import served


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def client(service: FakeService) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(service)), base_url="http://localhost")


SECTIONS = ("cpu", "memory", "network", "gpu", "disk", "pressure", "cgroups", "processes", "sensors", "filesystems")


@pytest.mark.parametrize("name", SECTIONS)
async def test_each_resource_is_served_in_its_envelope(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/resources/{name}")
    assert answer.status_code == 200
    section = "gpus" if name == "gpu" else name
    assert set(answer.json()) == {"sequence", "time", "monotonic_seconds", "collector", section}


async def test_both_listeners_give_the_same_bytes(tmp_path: Path) -> None:
    async with served(tmp_path) as s, s.unix() as unix, s.tcp() as tcp:
        one, other = await unix.get("/resources/all"), await tcp.get("/resources/all")
        assert one.status_code == other.status_code == 200
        assert one.content == other.content
        assert one.headers["etag"] == other.headers["etag"]


async def test_short_and_long_way_agree(client: httpx.AsyncClient) -> None:
    short, long = await client.get("/resources/all"), await client.get("/resources/all?fresh=0")
    assert short.content == long.content
    assert dict(short.headers) == dict(long.headers)


async def test_all_is_cut_and_full_is_not(client: httpx.AsyncClient) -> None:
    cut = (await client.get("/resources/all")).json()
    full = (await client.get("/resources/all?full=1")).json()
    assert len(cut["processes"]["items"]) == 40
    assert len(full["processes"]["items"]) == 60
    assert cut["cgroups"]["truncated"]


async def test_a_known_copy_is_not_sent_again(client: httpx.AsyncClient, service: FakeService) -> None:
    first = await client.get("/resources/cpu")
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "max-age=1"
    again = await client.get("/resources/cpu", headers={"if-none-match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    service.publish()
    assert (await client.get("/resources/cpu", headers={"if-none-match": etag})).status_code == 200


async def test_head_has_the_headers_of_get_and_no_body(client: httpx.AsyncClient) -> None:
    for path in ("/resources/all", "/version", "/nowhere"):
        get, head = await client.get(path), await client.head(path)
        assert dict(head.headers) == dict(get.headers)
        assert head.status_code == get.status_code
        assert head.content == b""


async def test_options_and_wrong_methods_name_what_is_allowed(client: httpx.AsyncClient) -> None:
    options = await client.options("/resources/cpu")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    wrong = await client.post("/resources/cpu")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (await client.get("/reload")).headers["allow"] == "OPTIONS, POST"


async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/resources/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("sort=size", "sort"),
        ("frsh=1", "frsh"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient, query: str, parameter: str) -> None:
    answer = await client.get(f"/resources/processes?{query}")
    assert answer.status_code == 422
    assert answer.json()["parameter"] == parameter


async def test_processes_are_sorted_and_limited(client: httpx.AsyncClient) -> None:
    by_cpu = (await client.get("/resources/processes?limit=3")).json()["processes"]["items"]
    by_memory = (await client.get("/resources/processes?sort=memory&limit=2")).json()["processes"]["items"]
    assert [p["pid"] for p in by_cpu] == [159, 158, 157]
    assert [p["pid"] for p in by_memory] == [100, 101]


async def test_concurrent_callers_share_a_fresh_sample(client: httpx.AsyncClient, service: FakeService) -> None:
    answers = await asyncio.gather(*(client.get("/resources/cpu?fresh=1") for _ in range(50)))
    assert {answer.json()["sequence"] for answer in answers} == {2}
    assert service.samples == 1


async def test_before_the_first_sample_nothing_is_invented(client: httpx.AsyncClient, service: FakeService) -> None:
    service.state = None
    for path in ("/resources/cpu", "/resources/processes", "/prune", "/metrics"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (await client.get("/healthz")).status_code == 200


async def test_readiness_is_told_by_status(client: httpx.AsyncClient, service: FakeService) -> None:
    assert (await client.get("/readyz")).json()["ready"] is True
    service.is_ready = False
    assert (await client.get("/readyz")).status_code == 503


async def test_history_decisions_and_catalog_are_served(client: httpx.AsyncClient) -> None:
    history = await client.get("/history?metric=memory.used&start=1h")
    assert history.json()["series"][0]["values"] == [1.0, None]
    wrong = await client.get("/history?metric=memory.usd")
    assert (wrong.status_code, wrong.json()["parameter"]) == (422, "metric")
    assert (await client.get("/history")).json()["parameter"] == "metric"
    listed = (await client.get("/decisions?limit=1")).json()["decisions"]
    assert [d["id"] for d in listed] == [f"{2:020x}"]
    one = (await client.get(f"/decisions/{1:020x}")).json()
    assert one["outcomes"][0]["result"] == "done"
    assert (await client.get("/decisions/ffff")).status_code == 404
    assert (await client.get("/catalog")).json()["metrics"][0]["openmetrics"] == "system_cpu_utilization_ratio"
    verdict = json.loads((await client.get("/prune")).content)
    assert (verdict["prune"], verdict["rules"][0]["rule"]) == (False, "memory-low")


async def test_values_come_in_other_forms(client: httpx.AsyncClient) -> None:
    text = await client.get("/history?metric=memory.used&format=csv")
    assert text.headers["content-type"].startswith("text/csv")
    assert text.text == "time,used\n1,2\n"
    arrow = await client.get("/history?metric=memory.used&format=arrow")
    assert (arrow.status_code, arrow.json()["parameter"]) == (422, "format")


async def test_times_are_told_from_the_daemons_own_present(client: httpx.AsyncClient, service: FakeService) -> None:
    await client.get("/history?metric=memory.used&aggregate=p99.9&start=10s")
    assert (service.history.asked["start"], service.history.asked["end"]) == (TIME + 990, TIME + 1000)
    assert service.history.asked["aggregate"] == "p99.9"
    wrong = await client.get("/history?metric=memory.used&aggregate=p101")
    assert (wrong.status_code, wrong.json()["parameter"]) == (422, "aggregate")
    assert "p99" in wrong.json()["detail"]
    empty = await client.get("/history?metric=memory.used&start=now&end=1h")
    assert "before end" in empty.json()["detail"]


async def test_a_past_moment_is_served_as_a_whole(client: httpx.AsyncClient, service: FakeService) -> None:
    past = await client.get(f"/resources/all?at={TIME + 5}")
    assert (past.status_code, past.json()["time"]) == (200, TIME + 5)
    none = await client.get("/resources/all?at=0")
    assert (none.status_code, none.json()["parameter"]) == (422, "at")
    service.state = None
    assert (await client.get(f"/resources/all?at={TIME + 5}")).status_code == 200


async def test_who_used_most_is_told(client: httpx.AsyncClient, service: FakeService) -> None:
    answer = await client.get("/history/top?of=user&by=cpu&start=1h&order=mean&limit=3")
    assert answer.json()["entries"][0]["name"] == "a.service"
    assert service.history.asked == {
        "of": "user", "by": "cpu", "start": TIME - 2600, "end": TIME + 1000, "order": "mean", "limit": 3,
    }  # fmt: skip


async def test_a_recording_is_for_those_who_may_change_things(tmp_path: Path) -> None:
    async with served(tmp_path) as s, s.unix() as unix, s.tcp() as tcp:
        assert (await tcp.get("/history/export")).status_code == 401
        head = await unix.head("/history/export")
        answer = await unix.get("/history/export?start=1h")
        assert (answer.status_code, len(answer.content)) == (200, 200_000)
        assert head.headers["content-length"] == "200000"
        assert "history_exported" in [event for event, _ in s.service.audited]
        async with s.app.context.exporting:
            busy = await unix.get("/history/export")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "10")


async def test_pages_of_other_origins_may_read_only_where_it_was_said(service: FakeService) -> None:
    origin = "https://dashboard.example"
    for origins in ((), (origin,)):
        app = create_app(service, ApiSettings(cors_origins=origins))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            for path in ("/resources/all", "/version", "/nowhere"):
                for asking in (origin, "https://evil.example"):
                    answer = await client.get(path, headers={"origin": asking})
                    allowed = answer.headers.get("access-control-allow-origin")
                    assert allowed == (origin if origins and asking == origin else None)
            asked = {"origin": origin, "access-control-request-method": "POST"}
            assert "access-control-allow-origin" not in (await client.options("/reload", headers=asked)).headers or (
                "POST" not in (await client.options("/reload", headers=asked)).headers["access-control-allow-methods"]
            )


async def test_one_alone_is_asked_for_by_name(client: httpx.AsyncClient) -> None:
    assert (await client.get("/prune?pid=42")).json()["found"] is True
    assert (await client.get("/prune?pid=43")).status_code == 404
    both = await client.get("/prune?pid=42&unit=a.service")
    assert (both.status_code, both.json()["parameter"]) == (422, "unit")
    assert (await client.get("/prune?wait=0&pid=42")).status_code == 200


async def test_a_fault_is_a_problem_and_goes_to_the_journal(
    client: httpx.AsyncClient, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("broken")

    monkeypatch.setattr(service, "status", broken)
    answer = await client.get("/healthz")
    assert answer.status_code == 500
    assert service.audited[0][0] == "api_fault"
