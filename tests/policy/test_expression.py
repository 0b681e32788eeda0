import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.errors import ConfigError
from resourced.policy.expression import FUNCTIONS, Call, Reading, bounds, parse, quantity, readings


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("memory.available", "By"),
        ("memory.utilization", "1"),
        ("rate(swap.in, 1m)", "By/s"),
        ("rate(pressure.memory.some.total)", "1"),
        ("mean(memory.available, 5m)", "By"),
        ("p95(cpu.utilization, 10m)", "1"),
        ("share(memory.available, memory.total)", "1"),
        ("share(plus(memory.available, memory.zfs_arc_reclaimable), memory.total)", "1"),
        ("exhaustion(filesystem.available, 5min)", "s"),
        ("idle(gpu.utilization, 1%)", "s"),
        ("minus(memory.used, memory.shmem)", "By"),
        ('mean(network.receive{network.interface.name="eth0"}, 10s)', "By"),
    ],
)
def test_an_expression_has_the_unit_of_what_it_computes(text: str, unit: str) -> None:
    assert parse(text).unit == unit


def test_a_call_knows_its_window_and_its_limit() -> None:
    mean, idle = parse("mean(cpu.utilization, 5m)"), parse("idle(gpu.utilization, 5%)")
    assert isinstance(mean, Call)
    assert isinstance(idle, Call)
    assert (mean.window, idle.limit) == (300, 0.05)


def test_readings_are_found_at_any_depth() -> None:
    names = [str(each) for each in readings(parse("share(plus(memory.available, memory.shmem), memory.total)"))]
    assert names == ["memory.available", "memory.shmem", "memory.total"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("memory.availible", "memory.available"),
        ("men(memory.available)", "did you mean 'mean'"),
        ("xyzzy(memory.available)", "there are share"),
        ("share(memory.available)", "expected"),
        ("share(memory.available, cpu.utilization)", "same unit"),
        ("mean(memory.available, 5parsecs)", "not a duration"),
        ("mean(memory.available, 3w)", "between 1s and 1d"),
        ("mean(memory.available", "the end"),
        ("memory.available)", "nothing may follow"),
        ("", "the end"),
        ("system.memory.*", "labels only"),
        ("idle(gpu.utilization, 5MiB)", "does not fit"),
        ("(", "the name of a metric"),
    ],
)
def test_a_fault_is_named_with_what_to_write_instead(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=r".+") as caught:
        parse(text)
    assert hint in str(caught.value)


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert str(parse(text))


@given(st.sampled_from(sorted(FUNCTIONS)), st.text('memory.avilbtos(){},"=%15 ', max_size=30))
def test_no_arguments_make_the_parser_fail_otherwise(function: str, rest: str) -> None:
    with contextlib.suppress(ConfigError):
        assert str(parse(f"{function}({rest}"))


@pytest.mark.parametrize(
    ("value", "unit", "number"),
    [
        ("10%", "1", 0.1),
        (0.1, "1", 0.1),
        ("512MiB", "By", 512 * 1024**2),
        ("1MiB/s", "By/s", 1024**2),
        ("30s", "s", 30),
        ("45", "s", 45),
        ("-5", "Cel", -5),
        ("-1MiB/s", "By/s", -(1024**2)),
        (87, "Cel", 87),
    ],
)
def test_a_threshold_is_read_in_the_unit_of_its_metric(value: float | str, unit: str, number: float) -> None:
    assert quantity(value, unit, "rule 'x'") == number


@pytest.mark.parametrize(("value", "unit"), [("512MiB", "1"), ("10%", "Cel"), ("30s", "By"), (float("nan"), "1")])
def test_an_impossible_unit_is_refused(value: float | str, unit: str) -> None:
    with pytest.raises(ConfigError, match="rule 'x'"):
        quantity(value, unit, "rule 'x'")


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("memory.utilization", 0, 1),
        ("mean(memory.utilization)", 0, 1),
        ("share(memory.available, memory.total)", 0, 1),
        ("exhaustion(memory.available)", 0, 30 * 86400),
        ("gpu.temperature", -1e300, 1e300),
        ("rate(swap.in)", 0, 1e300),
        ("rate(memory.available)", -1e300, 1e300),
        ("minus(memory.used, memory.shmem)", -1e300, 1e300),
    ],
)
def test_bounds_say_what_values_are_possible(text: str, low: float, high: float) -> None:
    assert bounds(parse(text)) == (low, high)


def test_a_reading_keeps_what_was_written() -> None:
    reading = parse("memory.available")
    assert isinstance(reading, Reading)
    assert (str(reading), reading.metric.name) == ("memory.available", "system.memory.linux.available")
