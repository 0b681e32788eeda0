from collections.abc import Mapping, Sequence
from pathlib import Path

from resourced.collectors.base import Roots
from resourced.collectors.blocklayers import BlockLayers


def put_devices(roots: Roots, names: Mapping[str, str], slaves: Mapping[str, Sequence[str]]) -> None:
    """Make block devices below /sys as the kernel has them: names by number, and what each stands on."""
    numbers = roots.sys / "dev/block"
    numbers.mkdir(parents=True, exist_ok=True)
    for number, name in names.items():
        below = roots.sys / "devices/virtual/block" / name / "slaves"
        below.mkdir(parents=True)
        for slave in slaves.get(name, ()):
            (below / slave).touch()
        (numbers / number).symlink_to(f"../../devices/virtual/block/{name}")


def test_devices_that_stand_on_others_are_not_at_the_bottom(tmp_path: Path) -> None:
    roots = Roots(sys=tmp_path)
    names = {"8:0": "sda", "259:0": "nvme0n1", "9:0": "md0", "254:0": "dm-0", "7:0": "loop0", "252:0": "zram0"}
    put_devices(roots, names, {"md0": ["sda", "nvme0n1"], "dm-0": ["md0"]})
    layers = BlockLayers(roots)

    assert {number for number in names if layers.at_bottom(number.encode())} == {"8:0", "259:0"}
    assert layers.at_bottom(b"8:16"), "nothing is told of it"


def test_what_is_known_of_a_number_is_kept_for_a_while(tmp_path: Path) -> None:
    now = [0.0]
    roots = Roots(sys=tmp_path)
    layers = BlockLayers(roots, lambda: now[0])
    before = layers.at_bottom(b"254:0")
    put_devices(roots, {"254:0": "dm-0"}, {"dm-0": ["sda"]})
    now[0] = 59.0
    kept = layers.at_bottom(b"254:0")
    now[0] = 60.0

    assert (before, kept, layers.at_bottom(b"254:0")) == (True, True, False)


def test_no_loop_device_of_this_machine_is_at_the_bottom() -> None:
    layers = BlockLayers(Roots())
    numbers = [path.name for path in Path("/sys/dev/block").glob("7:*")]

    assert not any(layers.at_bottom(number.encode()) for number in numbers)
