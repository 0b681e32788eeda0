"""Who is to keep a storm from doing harm: this daemon and its peers, each as its distribution sets it up."""

from dataclasses import dataclass
from pathlib import Path

from tests.system.machine import Machine

PACKAGES = ("earlyoom", "nohang", "systemd-oomd")
# Fedora's systemd-oomd-defaults.
_OOMD = {
    "/etc/systemd/oomd.conf.d/10-storm.conf": "[OOM]\nSwapUsedLimit=90%\nDefaultMemoryPressureDurationSec=20s\n",
    "/etc/systemd/system/-.slice.d/10-storm.conf": "[Slice]\nManagedOOMSwap=kill\n",
    "/etc/systemd/system/system.slice.d/10-storm.conf": (
        "[Slice]\nManagedOOMMemoryPressure=kill\nManagedOOMMemoryPressureLimit=80%\n"
    ),
}
_ENFORCE = "/etc/resourced/resourced.toml.d/50-storm.toml"


@dataclass(frozen=True, slots=True)
class Keeper:
    """A daemon to try."""

    name: str
    unit: str | None
    """Its service; None where nobody keeps watch."""
    about: str
    """How it is set up."""


KEEPERS = (
    Keeper("none", None, "nobody but the kernel"),
    Keeper("earlyoom", "earlyoom.service", "Debian's defaults"),
    Keeper("nohang", "nohang.service", "Debian's nohang.conf"),
    Keeper(
        "systemd-oomd", "systemd-oomd.service", "Fedora's defaults: swap 90 %, pressure 80 % for 20 s on system.slice"
    ),
    Keeper("resourced", "resourced.service", "as packaged, policy.mode enforce"),
)


def install(machine: Machine, package: Path) -> None:
    """Have all of them installed and none running."""
    machine.put(package, "/root/resourced.deb")
    machine.run("systemctl disable --now earlyoom nohang nohang-desktop systemd-oomd.socket systemd-oomd", check=False)
    machine.run("dpkg -i /root/resourced.deb; systemctl disable --now resourced.service")
    machine.run(f"mkdir -p {' '.join(sorted({str(Path(each).parent) for each in (*_OOMD, _ENFORCE)}))}")
    machine.write(_ENFORCE, '[policy]\nmode = "enforce"\n')


def start(machine: Machine, keeper: Keeper) -> None:
    """Start one, as after a boot: without memory of earlier storms."""
    if keeper.name == "systemd-oomd":
        for path, text in _OOMD.items():
            machine.write(path, text)
        machine.run("systemctl daemon-reload")
    if keeper.name == "resourced":
        machine.run("rm -rf /var/lib/resourced/* /run/resourced/actions.json; systemctl start resourced.socket")
    if keeper.unit is not None:
        machine.run(f"systemctl reset-failed {keeper.unit}", check=False)
        machine.run(f"systemctl start {keeper.unit}")


def stop(machine: Machine, keeper: Keeper) -> None:
    """End it and take back what it was set up by."""
    if keeper.unit is not None:
        machine.run(f"systemctl stop {keeper.unit}", check=False)
    if keeper.name == "systemd-oomd":
        machine.run(
            f"systemctl stop systemd-oomd.socket; rm -f {' '.join(_OOMD)}; systemctl daemon-reload", check=False
        )
