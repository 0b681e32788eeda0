"""Temperatures, fans and power supply: what a snapshot says of them."""

from dataclasses import dataclass

from resourced.collectors.base import Taken
from resourced.collectors.sensors import BatterySample, SensorsSample
from resourced.quantities import share


@dataclass(frozen=True, slots=True)
class Temperature:
    """One thermometer."""

    celsius: float | None
    """Present temperature; null if it can't be read now."""
    high_celsius: float | None
    """Where the maker calls it high."""
    critical_celsius: float | None
    """Where the maker calls it critical."""


@dataclass(frozen=True, slots=True)
class Battery:
    """The batteries of a laptop or a UPS, together."""

    charge_share: float
    """How full it is, 0-1."""
    plugged_in: bool | None
    """Whether mains power is present."""
    remaining_seconds: float | None
    """Time left at the present draw; null while charging or unknown."""


@dataclass(frozen=True, slots=True)
class Sensors:
    """What hwmon and power_supply tell; empty where the machine has none."""

    temperatures: dict[str, Temperature]
    """Keyed by chip and label ("coretemp/Core 0"), sorted."""
    fans_rpm: dict[str, int | None]
    """Revolutions a minute, keyed by chip and label, sorted; null for one that can't be read now."""
    battery: Battery | None
    """Null where there is none."""


def derive_sensors(before: Taken[SensorsSample] | None, now: Taken[SensorsSample], previous: Sensors | None) -> Sensors:
    """Return the sensors' section."""
    del before, previous
    sample = now.sample
    return Sensors(
        temperatures={
            key: Temperature(found.celsius, found.high_celsius, found.critical_celsius)
            for key, found in sample.temperatures.items()
        },
        fans_rpm=sample.fans_rpm,
        battery=_battery(sample.batteries, plugged_in=sample.plugged_in),
    )


def _battery(batteries: tuple[BatterySample, ...], *, plugged_in: bool | None) -> Battery | None:
    """Return all batteries as one: by their energy if each of them tells it, else by the mean of their charge."""
    charged = [battery.charge_share for battery in batteries if battery.charge_share is not None]
    if not charged:
        return None
    now = _sum([battery.energy_joules for battery in batteries])
    full = _sum([battery.full_joules for battery in batteries])
    draw = _sum([battery.power_watts for battery in batteries if battery.discharging])
    whole = share(now, full)
    return Battery(
        charge_share=whole if whole is not None else sum(charged) / len(charged),
        plugged_in=plugged_in,
        remaining_seconds=now / draw if now is not None and draw and not plugged_in else None,
    )


def _sum(values: list[float | None]) -> float | None:
    """Return the sum, or None if one is unknown or there are none."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
