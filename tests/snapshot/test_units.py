"""From paths of cgroups to units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.snapshot.units import unit_of


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/", "-.slice"),
        ("/system.slice", "system.slice"),
        ("/system.slice/ssh.service", "ssh.service"),
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ("/user.slice/user-1000.slice/user@1000.service", "user@1000.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", "foo.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice", "user@1000.service"),
        ("/system.slice/docker.service/payload/deep", "docker.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("/system.slice/boot.mount", "boot.mount"),
        ("/init.scope", "init.scope"),
        ("/kubepods/burstable/pod1", None),
        ("/.service", None),
    ],
)
def test_the_innermost_unit_owns_the_path(path: str, unit: str | None) -> None:
    assert unit_of(path) == unit


@given(st.lists(st.text(st.characters(exclude_characters="/"), min_size=1, max_size=8), max_size=6))
def test_a_unit_is_always_a_part_of_the_path(parts: list[str]) -> None:
    unit = unit_of("/" + "/".join(parts))
    assert unit is None or unit in parts or (not parts and unit == "-.slice")
