import math
import string
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.api import create_app
from resourced.api.parameters import Parameter, read_parameters
from resourced.api.problem import Problem
from tests.api.fakes import FakeService

KINDS = ("integer", "number", "boolean", "string", "time", "duration")


@given(st.sampled_from(KINDS), st.text())
def test_any_text_is_a_value_or_a_problem_that_names_the_parameter(kind: str, text: str) -> None:
    parameter = Parameter("p", kind, "Something.", minimum=0, maximum=1e12)
    try:
        value = parameter.parse(text, 1e9)
    except Problem as problem:
        assert (problem.status, problem.parameter) == (422, "p")  # noqa: PT017 - both ends are right
    else:
        assert isinstance(value, str) or (math.isfinite(value) and value >= 0)


@given(st.binary(max_size=200))
def test_any_query_is_read_or_refused(query: bytes) -> None:
    try:
        values = read_parameters(query, [Parameter("a", "integer", "A.", default=1)], 1e9)
    except Problem as problem:
        assert problem.status == 422  # noqa: PT017 - both ends are right
    else:
        assert set(values) == {"a"}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("time", "1970-01-01T00:01:00Z", 60.0),
        ("time", "1970-01-02T00:00+00:00", 86400.0),
        ("time", "90s", 1e9 - 90),
        ("time", "now", 1e9),
        ("time", "60.5", 60.5),
        ("duration", "1h30m", 5400.0),
        ("boolean", "yes", True),
        ("integer", "-3", -3),
    ],
)
def test_values_are_read(kind: str, text: str, value: float) -> None:
    assert Parameter("p", kind, "P.").parse(text, 1e9) == value


NAMES = st.sampled_from(["fresh", "wait", "after", "sort", "limit", "command_line", "x"])


@given(st.lists(st.tuples(NAMES, st.text(string.printable, max_size=8)), max_size=3))
async def test_no_parameter_makes_the_server_fail(pairs: list[tuple[str, str]]) -> None:
    pairs = [(name, text) for name, text in pairs if name != "wait"]
    service = FakeService()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(service)), base_url="http://localhost"
    ) as client:
        answer = await client.get(f"/resources/processes?{urlencode(pairs)}")
    assert answer.status_code in (200, 422)
