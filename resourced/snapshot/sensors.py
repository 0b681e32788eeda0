"""Temperatures, fans and power supply: what a snapshot says of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Temperature:
    """One thermometer."""

    celsius: float
    """Present temperature."""
    high_celsius: float | None
    """Where the maker calls it high."""
    critical_celsius: float | None
    """Where the maker calls it critical."""


@dataclass(frozen=True, slots=True)
class Battery:
    """The battery of a laptop or a UPS."""

    charge_share: float
    """How full it is, 0-1."""
    plugged_in: bool | None
    """Whether mains power is present."""
    remaining_seconds: float | None
    """Time left at the present draw; null while charging or unknown."""


@dataclass(frozen=True, slots=True)
class Sensors:
    """What hwmon and power_supply tell, through psutil; empty where the machine has none."""

    temperatures: dict[str, Temperature]
    """Keyed by chip and label ("coretemp/Core 0"), sorted."""
    fans_rpm: dict[str, int]
    """Revolutions a minute, keyed by chip and label, sorted."""
    battery: Battery | None
    """Null where there is none."""
