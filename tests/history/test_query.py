"""Questions: which series, which cells, which aggregate, from which tier."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from resourced.errors import QueryError
from resourced.history.grid import make_grid, step_for, tier_for
from resourced.series import Series
from tests.history.fakes import AVAILABLE, LAYOUT, RECEIVED, SENT, START, SWITCHES, Kit

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Return two days and a bit, a sample every ten seconds: gauge = number of the sample, counter = 10 times that."""
    kit = Kit(tmp_path_factory.mktemp("days"), flush_seconds=60.0)
    for number in range(2 * 8640 + 400):
        kit.add([float(number), number * 10.0, None, 5.0], passed=10.0)
        if number % 360 == 0:
            kit.history.flush()
            kit.history.maintain()
    kit.history.flush()
    kit.history.maintain()
    return kit


@pytest.mark.parametrize(
    ("metrics", "found"),
    [
        (["memory.available"], [AVAILABLE]),
        (["system.memory.linux.available"], [AVAILABLE]),
        (["cpu.context_switches", "memory.available"], [SWITCHES, AVAILABLE]),
        (["system.network.io{network.io.direction=transmit}"], [SENT]),
        (['system.network.io{network.interface.name="eth*"}'], [RECEIVED, SENT]),
        (["system.network.*"], [RECEIVED, SENT]),
        (["*"], list(LAYOUT)),
        (["system.network.io{network.interface.name=lo}"], []),
        (["swap.utilization"], []),
    ],
)
@pytest.mark.parametrize("stored", [False, True])
def test_series_are_found_by_name_pattern_and_label(
    kit: Kit, metrics: list[str], found: list[Series], *, stored: bool
) -> None:
    kit.add(1.0)
    if stored:
        kit.history.flush()
        kit.add(1.0, passed=7200)
        kit.history.flush()
        kit.history.maintain()

    assert list(kit.history.query(metrics, start=0, end=4e9).series) == found


@pytest.mark.parametrize(
    ("question", "parameter"),
    [
        ({"metrics": []}, "metric"),
        ({"metrics": ["memory.avialable"]}, "metric"),
        ({"start": 5.0, "end": 4.0}, "start"),
        ({"start": float("nan")}, "start"),
        ({"step": 0.0}, "step"),
        ({"step": float("inf")}, "step"),
        ({"points": 0}, "points"),
        ({"aggregate": "median"}, "aggregate"),
        ({"aggregate": "p101"}, "aggregate"),
        ({"step": 0.001}, "step"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_its_parameter(
    kit: Kit, question: dict[str, object], parameter: str
) -> None:
    asked = {"metrics": ["memory.available"], "start": START, "end": START + 1e6} | question
    metrics = asked.pop("metrics")

    with pytest.raises(QueryError) as caught:
        kit.history.query(metrics, **asked)  # type: ignore[arg-type]  # wrong on purpose

    assert caught.value.parameter == parameter


def test_too_much_at_once_is_refused(days: Kit) -> None:
    with pytest.raises(QueryError, match="ask for fewer series, or with a longer step"):
        days.history.query(["*"], start=0, end=9e6, step=9.5)


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [
        ("mean", 3.0),
        ("min", 1.0),
        ("max", 6.0),
        ("last", 6.0),
        ("count", 4.0),
        ("sum", 12.0),
        ("p50", 2.5),
        ("p0", 1.0),
        ("p100", 6.0),
        ("p25", 1.75),
    ],
)
def test_a_cell_is_aggregated(kit: Kit, aggregate: str, value: float) -> None:
    for each in (1.0, 3.0, None, 2.0, 6.0):
        kit.add([each] * 4)

    assert kit.values(step=60, aggregate=aggregate) == {START: value}


def test_gaps_stay_gaps(kit: Kit) -> None:
    kit.add(1.0)
    kit.add(2.0, passed=30)
    kit.add([None] * 4)

    table = kit.history.query(["memory.available"], start=START, end=START + 39, step=10)

    assert list(table.times) == [START, START + 10, START + 20, START + 30]
    assert table.series[AVAILABLE] == [1.0, None, None, 2.0]


@pytest.mark.parametrize("packed", [False, True])
def test_a_rate_leaves_out_resets_and_gaps(kit: Kit, *, packed: bool) -> None:
    for value in (100.0, 110.0, 5.0, 15.0, None, 35.0):  # a reset after the second
        kit.add([value] * 4)
    kit.add(1e6, passed=400)
    kit.add(1e6 + 30)
    if packed:
        kit.history.flush()
        kit.add(0.0, passed=7200)
        kit.history.flush()
        kit.history.maintain()

    assert kit.values(SWITCHES, aggregate="rate", end=START + 500) == {
        START + 2: 10.0,
        START + 4: 10.0,
        START + 6: 10.0,
        START + 407: 30.0,
    }
    assert kit.values(SWITCHES, aggregate="rate", step=60, end=START + 500) == {START: 10.0, START + 360: 30.0}


def test_a_gauge_may_fall(kit: Kit) -> None:
    for value in (100.0, 90.0, 80.0):
        kit.add(value)

    assert kit.values(AVAILABLE, aggregate="rate", step=60) == {START: -10.0}


@pytest.mark.parametrize("step", [60.0, 300.0, 3600.0, 86400.0])
@pytest.mark.parametrize("aggregate", ["min", "max", "mean", "last", "count", "sum"])
def test_a_tier_answers_as_the_ticks_would(days: Kit, step: float, aggregate: str) -> None:
    start, end = START, START + 3 * 86400
    ticks = days.values(start=start, end=end)
    cells: dict[float, list[float]] = {}
    for time, value in ticks.items():
        cells.setdefault(time // step * step, []).append(value)
    functions: dict[str, Callable[[list[float]], float]] = {
        "min": min,
        "max": max,
        "mean": lambda values: sum(values) / len(values),
        "last": lambda values: values[-1],
        "count": len,
        "sum": sum,
    }

    found = days.values(start=start, end=end - 1, step=step, aggregate=aggregate)

    table = days.history.query(["memory.available"], start=start, end=end, step=step)
    assert table.resolution == (3600 if step >= 3600 else 60)
    assert found == pytest.approx({t: functions[aggregate](v) for t, v in cells.items()}, rel=1e-6)


def test_a_rate_from_a_tier_is_the_rate(days: Kit) -> None:
    for step in (60.0, 3600.0):
        found = days.values(SWITCHES, start=START + step, end=START + 86400, step=step, aggregate="rate")
        assert list(found.values())[1:] == pytest.approx([1.0] * (len(found) - 1), rel=0.05)


def test_peaks_are_not_lost(kit: Kit) -> None:
    for number in range(2 * 3600):
        kit.add(1e9 if number == 1234 else 1.0)
        if number % 60 == 0:
            kit.history.flush()
    kit.history.maintain()

    for points in (1, 3, 10, 100, 1000):
        assert max(kit.values(points=points, aggregate="max", start=START, end=START + 7200).values()) == 1e9


def test_few_ticks_are_given_as_they_are(kit: Kit) -> None:
    for number in range(20):
        kit.add(float(number))

    table = kit.history.query(["memory.available"], start=START, end=START + 20, points=300)

    assert table.step is None
    assert list(table.series[AVAILABLE]) == [float(n) for n in range(20)]


def test_points_bound_the_cells(days: Kit) -> None:
    for points in (1, 7, 100, 999):
        table = days.history.query(["memory.available"], start=START + 1, end=START + 86400 * 2, points=points)
        assert 1 <= len(table.times) <= points


def test_old_ticks_are_answered_by_the_next_tier(tmp_path: Path) -> None:
    kit = Kit(tmp_path, raw_seconds=86400.0, minute_seconds=2 * 86400.0, hour_seconds=30 * 86400.0)
    for number in range(4 * 1440 * 2):
        kit.add(float(number), passed=30.0)
        if number % 120 == 0:
            kit.history.flush()
            kit.history.maintain()
    kit.history.flush()
    kit.history.maintain()

    ticks = kit.history.query(["memory.available"], start=START, end=START + 4 * 86400, aggregate="max")
    steps = [after - before for before, after in zip(ticks.times, ticks.times[1:], strict=False)]
    by_minute = kit.values(start=START, end=START + 4 * 86400 - 1, step=60, aggregate="count")
    by_hour = kit.values(start=START, end=START + 4 * 86400 - 1, step=3600, aggregate="count")

    assert {3600.0, 60.0, 30.0} <= set(steps)
    assert ticks.resolution == 3600
    assert steps == sorted(steps, reverse=True)
    assert sum(by_minute.values()) == sum(by_hour.values()) == 4 * 1440 * 2 - 1
    assert [tier.start for tier in kit.history.stats().tiers] == sorted(
        (tier.start or 0 for tier in kit.history.stats().tiers), reverse=True
    )
    oldest = kit.history.query(["memory.available"], start=START, end=START + 3600 * 5, aggregate="p50", step=7200)
    assert len(oldest.times) == 3


def test_a_table_leaves_as_json_and_csv(kit: Kit) -> None:
    kit.add([1.0, None, 3.0, 4.0])
    table = kit.history.query(["memory.available", "system.network.io"], start=START, end=START + 9)

    told = json.loads(table.to_json())
    rows = list(csv.reader(io.StringIO(table.to_csv())))

    assert told["times"] == [START + 1]
    assert [(each["series"], each["unit"], each["values"]) for each in told["series"]] == [
        (str(AVAILABLE), "By", [1.0]),
        (str(RECEIVED), "By", [3.0]),
        (str(SENT), "By", [4.0]),
    ]
    assert rows == [["time", str(AVAILABLE), str(RECEIVED), str(SENT)], [str(START + 1), "1.0", "3.0", "4.0"]]


def test_arrow_needs_pyarrow(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(QueryError, match="pyarrow"):
        kit.history.query(["memory.available"], start=0, end=1).to_arrow()


def test_a_table_leaves_as_arrow(kit: Kit) -> None:
    pa = pytest.importorskip("pyarrow")
    kit.add([1.0, None, 3.0, 4.0])
    table = kit.history.query(["memory.available"], start=0, end=4e9)

    read = pa.ipc.open_stream(table.to_arrow()).read_all()

    assert read.column_names == ["time", str(AVAILABLE)]
    assert read.to_pydict()[str(AVAILABLE)] == [1.0]


@pytest.mark.parametrize(
    ("seconds", "points", "step"),
    [(86400, 1000, 90), (7 * 86400, 1000, 720), (3600, 3600, 1), (60, 300, 0.2), (86400 * 400, 100, 4 * 86400)],
)
def test_steps_are_round(seconds: int, points: int, step: float) -> None:
    assert step_for(START, START + seconds, points) == step


def test_the_coarsest_tier_that_fits_is_taken() -> None:
    assert [tier_for(step) for step in (None, 1, 59, 60, 90, 120, 3600, 5400, 86400)] == [
        *(0, 0, 0, 60, 0, 60, 3600, 60, 3600)
    ]


def test_a_grid_covers_whole_cells() -> None:
    grid = make_grid(START + 61, START + 121, 60.0)

    assert (grid.start, grid.end, grid.times()) == (START + 60, START + 180, [START + 60, START + 120])
    assert make_grid(START, START, 60.0).cells == 1
