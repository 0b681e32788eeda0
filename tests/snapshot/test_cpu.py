from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.cpu import CpuSample, Stat, Ticks
from resourced.snapshot.cpu import derive_cpu
from tests.collectors.host_fakes import taken

ZERO: Ticks = (0,) * 8


def sample(total: Ticks, cores: dict[str, Ticks] | None = None, switches: int | None = 0) -> CpuSample:
    stat = Stat(total, cores or {}, switches, 0, 0, 1, 1, 0)
    return CpuSample(stat, 100, (0.0, 0.0, 0.0), {}, None)


def test_the_first_sample_has_no_shares_and_no_rates() -> None:
    cpu = derive_cpu(None, taken(sample((100, 0, 0, 300, 0, 0, 0, 0), {"0": ZERO})), None)

    assert cpu.utilization is None
    assert set(cpu.modes.values()) == {None}
    assert cpu.cores["0"].utilization is None
    assert cpu.context_switches_per_second is None
    assert cpu.mode_seconds["idle"] == 3.0


def test_waiting_for_io_is_not_work() -> None:
    cpu = derive_cpu(taken(sample(ZERO), 0), taken(sample((20, 5, 10, 40, 15, 2, 3, 5), None, 500), 1), None)

    assert cpu.utilization == 0.45
    assert cpu.modes["iowait"] == 0.15
    assert cpu.context_switches_per_second == 500


def test_idle_that_goes_back_by_a_tick_counts_as_none() -> None:
    cpu = derive_cpu(taken(sample((0, 0, 0, 100, 50, 0, 0, 0)), 0), taken(sample((10, 0, 0, 98, 49, 0, 0, 0)), 1), None)

    assert (cpu.utilization, cpu.modes["idle"], cpu.modes["iowait"]) == (1.0, 0.0, 0.0)


def test_a_processor_whose_counters_were_reset_or_that_is_new_is_unknown_alone() -> None:
    before = sample(ZERO, {"0": ZERO, "1": (500, 0, 0, 500, 0, 0, 0, 0), "2": ZERO})
    now = sample((50, 0, 0, 50, 0, 0, 0, 0), {"0": (50, 0, 0, 50, 0, 0, 0, 0), "1": ZERO, "3": ZERO})

    cpu = derive_cpu(taken(before, 0), taken(now, 1), None)

    assert {number: core.utilization for number, core in cpu.cores.items()} == {"0": 0.5, "1": None, "3": None}
    assert (cpu.utilization, cpu.logical_count) == (0.5, 3)


def test_no_time_gives_no_shares() -> None:
    before, now = taken(sample(ZERO), 5), taken(sample((1, 0, 0, 1, 0, 0, 0, 0)), 5)

    assert derive_cpu(before, now, None).utilization is None
    assert derive_cpu(before, taken(sample(ZERO), 6), None).utilization is None


@given(st.tuples(*[st.integers(0, 2**40)] * 8), st.tuples(*[st.integers(-3, 2**40)] * 8))
def test_shares_are_between_0_and_1(before: Ticks, grown: Ticks) -> None:
    now = tuple(max(0, old + more) for old, more in zip(before, grown, strict=True))

    cpu = derive_cpu(taken(sample(before), 0), taken(sample(now), 1), None)

    for value in (cpu.utilization, *cpu.modes.values()):
        assert value is None or 0 <= value <= 1
