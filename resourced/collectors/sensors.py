"""Temperatures, fans and power supply: /sys/class/hwmon and /sys/class/power_supply.

Which sensors there are is looked up once a minute; a sample reads only their present values.
https://docs.kernel.org/hwmon/sysfs-interface.html, https://docs.kernel.org/power/power_supply_class.html
"""

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resourced.collectors.base import KeptFile, Roots, read_int, read_text
from resourced.collectors.rarely import Rarely
from resourced.errors import Unavailable

IGNORED = ("drivetemp",)
"""Chips that are left out by default: asking a disk for its temperature may keep it from spinning down."""

_DEVICES_SECONDS = 60.0
_INPUT = re.compile(r"((temp|fan)\d+)_input")
_BATTERIES = ("Battery", "UPS")
_MAINS = ("Mains", "USB", "Wireless")


@dataclass(frozen=True, slots=True)
class TemperatureSample:
    """One thermometer; None for what can't be read."""

    celsius: float | None
    high_celsius: float | None
    critical_celsius: float | None


@dataclass(frozen=True, slots=True)
class BatterySample:
    """One battery; None for what it doesn't tell."""

    charge_share: float | None
    energy_joules: float | None
    full_joules: float | None
    power_watts: float | None
    discharging: bool


@dataclass(frozen=True, slots=True)
class SensorsSample:
    """All sensors at one moment."""

    temperatures: dict[str, TemperatureSample]
    """Keyed by chip and label, sorted."""
    fans_rpm: dict[str, int | None]
    """Keyed by chip and label, sorted."""
    batteries: tuple[BatterySample, ...]
    plugged_in: bool | None
    """Whether one of the mains supplies is on; None without any."""


@dataclass(frozen=True, slots=True)
class _Sensor:
    """One file temp*_input or fan*_input, with what doesn't change about it."""

    key: str
    kind: str
    file: KeptFile
    high_celsius: float | None = None
    critical_celsius: float | None = None

    def read(self) -> int | None:
        """Return the number in the file, or None if it can't be read: the chip sleeps, or was removed."""
        with contextlib.suppress(OSError, Unavailable, ValueError):
            return int(self.file.read())
        return None


@dataclass(frozen=True, slots=True)
class _Layout:
    """What was found at the last look."""

    sensors: tuple[_Sensor, ...]
    batteries: tuple[Path, ...]
    mains: tuple[Path, ...]


class SensorsCollector:
    """Reads hwmon chips and power supplies.

    Args:
        roots: Where /sys is.
        ignored: Names of hwmon chips that are left out.
    """

    name = "sensors"

    def __init__(self, roots: Roots, ignored: Sequence[str] = IGNORED) -> None:
        self._chips = roots.sys / "class/hwmon"
        self._supplies = roots.sys / "class/power_supply"
        self._ignored = frozenset(ignored)
        self._open: tuple[_Sensor, ...] = ()
        self._layout = Rarely(self._find, _DEVICES_SECONDS)

    def collect(self) -> SensorsSample:
        layout = self._layout.get()
        if not (layout.sensors or layout.batteries or layout.mains):
            raise Unavailable(f"neither {self._chips} nor {self._supplies} has a sensor, as in most virtual machines")
        temperatures, fans = {}, {}
        for sensor in layout.sensors:
            value = sensor.read()
            if sensor.kind == "fan":
                fans[sensor.key] = value
            else:
                celsius = value / 1000 if value is not None else None
                temperatures[sensor.key] = TemperatureSample(celsius, sensor.high_celsius, sensor.critical_celsius)
        online = [on for mains in layout.mains if (on := read_int(mains / "online")) is not None]
        return SensorsSample(
            temperatures=temperatures,
            fans_rpm=fans,
            batteries=tuple(_read_battery(path) for path in layout.batteries),
            plugged_in=any(online) if online else None,
        )

    def _find(self) -> _Layout:
        self.close()
        self._open = tuple(sorted(self._find_sensors(), key=lambda sensor: sensor.key))
        supplies = [(read_text(path / "type"), path) for path in _entries(self._supplies)]
        return _Layout(
            sensors=self._open,
            # A mouse's or a headset's battery says that its scope is Device.
            batteries=tuple(p for kind, p in supplies if kind in _BATTERIES and read_text(p / "scope") != "Device"),
            mains=tuple(path for kind, path in supplies if kind in _MAINS),
        )

    def _find_sensors(self) -> Iterable[_Sensor]:
        chips = [(read_text(path / "name") or path.name, path) for path in _entries(self._chips)]
        same = Counter(name for name, _ in chips)
        taken: set[str] = set()
        for name, path in chips:
            if name in self._ignored:
                continue
            # Numbers of hwmon vary from boot to boot; the device behind one does not.
            chip = f"{name}:{(path / 'device').resolve().name}" if same[name] > 1 else name
            for entry in _entries(path):
                if (found := _INPUT.fullmatch(entry.name)) is None:
                    continue
                key = f"{chip}/{read_text(path / f'{found[1]}_label') or found[1]}"
                key = f"{key} ({found[1]})" if key in taken else key
                key = f"{key} ({path.name})" if key in taken else key
                taken.add(key)
                high, critical = _celsius(path / f"{found[1]}_max"), _celsius(path / f"{found[1]}_crit")
                yield _Sensor(key, found[2], KeptFile(entry, one_record=True), high, critical)

    def close(self) -> None:
        for sensor in self._open:
            sensor.file.close()


def _entries(directory: Path) -> list[Path]:
    """Return what is in a directory, sorted by name, or nothing if it can't be read."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _celsius(path: Path) -> float | None:
    value = read_int(path)
    return value / 1000 if value is not None else None


def _read_battery(path: Path) -> BatterySample:
    """Return what one battery tells: energy where it counts that, else charge times its designed voltage."""

    def scaled(name: str, factor: float) -> float | None:
        value = read_int(path / name)
        return value * factor if value is not None and value >= 0 else None

    now, full, power = scaled("energy_now", 3.6e-3), scaled("energy_full", 3.6e-3), scaled("power_now", 1e-6)
    volts = scaled("voltage_min_design", 1e-6) or scaled("voltage_now", 1e-6)
    if now is None and volts is not None:
        now, full = scaled("charge_now", 3.6e-3 * volts), scaled("charge_full", 3.6e-3 * volts)
        power = scaled("current_now", 1e-6 * volts)
    percent = read_int(path / "capacity")
    charge = percent / 100 if percent is not None else now / full if now is not None and full else None
    return BatterySample(
        charge_share=min(1.0, max(0.0, charge)) if charge is not None else None,
        energy_joules=now,
        full_joules=full,
        power_watts=power,
        discharging=read_text(path / "status") == "Discharging",
    )
