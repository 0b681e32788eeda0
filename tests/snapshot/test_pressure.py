import pytest

from resourced.collectors.pressure import PressureOfSample, PressureSample, StallSample
from resourced.snapshot.pressure import derive_pressure
from tests.collectors.host_fakes import taken


def sample(total: float, *, cpu: bool = True) -> PressureSample:
    of = PressureOfSample(StallSample(0.1, 0.2, 0.3, total), None)
    return PressureSample(of if cpu else None, None, of)


@pytest.mark.parametrize(
    ("before", "now", "seconds", "expected"),
    [(1.0, 1.5, 2.0, 0.25), (1.0, 9.0, 2.0, 1.0), (1.0, 0.5, 2.0, None), (1.0, 2.0, 0.0, None)],
)
def test_the_share_of_the_interval_comes_from_the_total(
    before: float, now: float, seconds: float, expected: float | None
) -> None:
    pressure = derive_pressure(taken(sample(before)), taken(sample(now), seconds), None)

    assert pressure.io is not None
    assert pressure.io.some is not None
    assert pressure.io.some.share == expected
    assert pressure.io.full is None
    assert pressure.memory is None


def test_the_first_sample_and_a_resource_that_is_new_have_averages_alone() -> None:
    for before in (None, taken(sample(1, cpu=False))):
        pressure = derive_pressure(before, taken(sample(2), 1), None)

        assert pressure.cpu is not None
        assert pressure.cpu.some is not None
        assert (pressure.cpu.some.share, pressure.cpu.some.avg10_share) == (None, 0.1)
