from pathlib import Path

import pytest

from resourced.collectors.base import Roots
from resourced.collectors.sensors import SensorsCollector, SensorsSample
from resourced.errors import Unavailable
from tests.collectors.host_fakes import make_roots

HWMON, SUPPLY = "sys/class/hwmon", "sys/class/power_supply"


def collect(roots: Roots) -> SensorsSample:
    collector = SensorsCollector(roots)
    try:
        return collector.collect()
    finally:
        collector.close()


def test_a_machine_without_sensors_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="hwmon"):
        collect(Roots(sys=tmp_path))


def test_chips_of_one_name_are_told_apart_by_their_device(tmp_path: Path) -> None:
    files = {}
    for number, device in enumerate(("nvme1", "nvme0")):
        files[f"sys/devices/{device}/x"] = ""
        files[f"{HWMON}/hwmon{number}/name"] = "nvme\n"
        files[f"{HWMON}/hwmon{number}/temp1_input"] = f"{30 + number}500\n"
        files[f"{HWMON}/hwmon{number}/temp1_label"] = "Composite\n"
    roots = make_roots(tmp_path, files)
    for number, device in enumerate(("nvme1", "nvme0")):
        (tmp_path / HWMON / f"hwmon{number}/device").symlink_to(tmp_path / "sys/devices" / device)

    found = {key: value.celsius for key, value in collect(roots).temperatures.items()}

    assert found == {"nvme:nvme0/Composite": 31.5, "nvme:nvme1/Composite": 30.5}


def test_one_sensor_that_can_not_be_read_is_unknown_and_same_labels_are_told_apart(tmp_path: Path) -> None:
    chip = f"{HWMON}/hwmon0"
    files = {"name": "nct6775", "temp1_input": "n/a", "temp2_input": "40000", "temp2_crit": "90000", "fan1_input": "0"}
    files |= {"temp1_label": "CPU", "temp2_label": "CPU", "fan2_input": "1200", "temp2_crit_hyst": "1"}
    sample = collect(make_roots(tmp_path, {f"{chip}/{name}": f"{text}\n" for name, text in files.items()}))

    assert {key: (t.celsius, t.critical_celsius) for key, t in sample.temperatures.items()} == {
        "nct6775/CPU": (None, None),
        "nct6775/CPU (temp2)": (40.0, 90.0),
    }
    assert sample.fans_rpm == {"nct6775/fan1": 0, "nct6775/fan2": 1200}
    assert sample.plugged_in is None


def test_a_sensor_that_vanishes_is_unknown_until_the_next_look(tmp_path: Path) -> None:
    roots = make_roots(tmp_path, {f"{HWMON}/hwmon0/name": "x\n", f"{HWMON}/hwmon0/temp1_input": "1000\n"})
    collector = SensorsCollector(roots)
    before = collector.collect()
    collector.close()
    (tmp_path / HWMON / "hwmon0/temp1_input").unlink()
    after = collector.collect()
    collector.close()

    assert before.temperatures["x/temp1"].celsius == 1.0
    assert after.temperatures["x/temp1"].celsius is None


def test_disks_that_may_sleep_are_not_asked(tmp_path: Path) -> None:
    roots = make_roots(tmp_path, {f"{HWMON}/hwmon0/name": "drivetemp\n", f"{HWMON}/hwmon0/temp1_input": "1000\n"})

    with pytest.raises(Unavailable):
        collect(roots)
    assert SensorsCollector(roots, ignored=()).collect().temperatures["drivetemp/temp1"].celsius == 1.0


def test_a_battery_that_counts_charge_is_told_in_energy(tmp_path: Path) -> None:
    battery = {"type": "Battery", "status": "Discharging", "charge_now": "1000000", "charge_full": "4000000"}
    battery |= {"voltage_min_design": "10000000", "current_now": "500000"}
    files = {f"{SUPPLY}/BAT0/{name}": f"{text}\n" for name, text in battery.items()}
    files |= {f"{SUPPLY}/AC/type": "Mains\n", f"{SUPPLY}/AC/online": "1\n"}
    files |= {f"{SUPPLY}/mouse/type": "Battery\n", f"{SUPPLY}/mouse/scope": "Device\n"}
    sample = collect(make_roots(tmp_path, files))

    (found,) = sample.batteries
    assert found.energy_joules == pytest.approx(36_000)
    assert found.power_watts == pytest.approx(5)
    assert (found.charge_share, found.discharging, sample.plugged_in) == (0.25, True, True)
