from resourced.collectors.sensors import BatterySample, SensorsSample, TemperatureSample
from resourced.snapshot.sensors import Battery, derive_sensors
from tests.collectors.host_fakes import taken


def battery(*batteries: BatterySample, plugged_in: bool | None = False) -> Battery | None:
    return derive_sensors(None, taken(SensorsSample({}, {}, batteries, plugged_in)), None).battery


def test_several_batteries_are_one_by_their_energy() -> None:
    big, small = (
        BatterySample(0.5, 500, 1000, 10, discharging=True),
        BatterySample(1.0, 100, 100, None, discharging=False),
    )

    assert battery(big, small) == Battery(600 / 1100, plugged_in=False, remaining_seconds=60.0)
    assert battery(big, small, plugged_in=True) == Battery(600 / 1100, plugged_in=True, remaining_seconds=None)


def test_without_energy_the_charge_is_the_mean_and_the_time_unknown() -> None:
    first, second = (BatterySample(share, None, None, None, discharging=True) for share in (0.2, 0.4))
    found = battery(first, second, plugged_in=None)

    assert found is not None
    assert round(found.charge_share, 9) == 0.3
    assert found.remaining_seconds is found.plugged_in is None


def test_a_battery_that_tells_nothing_is_none() -> None:
    assert battery() is None
    assert battery(BatterySample(None, None, None, None, discharging=False)) is None


def test_a_temperature_that_is_unknown_stays_listed() -> None:
    sample = SensorsSample({"x/temp1": TemperatureSample(None, 80.0, None)}, {"x/fan1": None}, (), None)

    sensors = derive_sensors(None, taken(sample), None)

    assert (sensors.temperatures["x/temp1"].celsius, sensors.temperatures["x/temp1"].high_celsius) == (None, 80.0)
    assert sensors.fans_rpm == {"x/fan1": None}
