"""Who resourced is, and what owners of cgroups asked for."""

import os
from pathlib import Path

from resourced.collectors.base import Roots
from resourced.surroundings import Preferences, read_myself
from tests.attributes import set_attribute


def test_the_process_knows_itself_and_its_ancestors() -> None:
    myself = read_myself(Roots())
    assert myself.pid == os.getpid()
    assert os.getppid() in myself.ancestors
    assert myself.pid not in myself.ancestors


def test_the_way_up_ends_at_the_first_process_and_at_a_loop(tmp_path: Path) -> None:
    pid = os.getpid()
    for child, parent in ((pid, 50), (50, 60), (60, 50)):
        (tmp_path / str(child)).mkdir()
        (tmp_path / str(child) / "stat").write_text(f"{child} (a) b) S {parent} 1 1\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("3:cpu:/x\n0::/system.slice/resourced.service\n")
    myself = read_myself(Roots(proc=tmp_path))
    assert myself.ancestors == {50, 60}
    assert myself.cgroup == "/system.slice/resourced.service"


def test_wishes_of_owners_are_read_from_extended_attributes(tmp_path: Path) -> None:
    set_attribute(tmp_path / "a.service", "user.oomd_omit")
    set_attribute(tmp_path / "b.service", "user.oomd_avoid")
    set_attribute(tmp_path / "c.service", "user.oomd_avoid", b"0")
    set_attribute(tmp_path / "d.service", "user.oomd_avoid")
    set_attribute(tmp_path / "d.service", "user.oomd_omit")
    set_attribute(tmp_path / "e.service", "user.something_else")
    paths = ["/", *(f"/{name}.service" for name in "abcde"), "/gone.service"]
    found = Preferences(Roots(cgroup=tmp_path), paths)
    assert {path: each.kind for path, each in found.items()} == {
        "/a.service": "omit",
        "/b.service": "avoid",
        "/d.service": "omit",
    }
    assert len(found) == 3
    assert found["/a.service"].owner_uid == os.getuid()
    assert found["/a.service"].ancestor_uid == tmp_path.stat().st_uid


def test_a_wish_is_read_when_it_is_asked_for_and_kept_for_the_record(tmp_path: Path) -> None:
    for name in ("a.service", "b.service"):
        (tmp_path / name).mkdir()
    found = Preferences(Roots(cgroup=tmp_path), ["/a.service", "/b.service"])
    assert found.get("/a.service") is None
    set_attribute(tmp_path / "a.service", "user.oomd_omit")
    set_attribute(tmp_path / "b.service", "user.oomd_omit")
    set_attribute(tmp_path / "new.service", "user.oomd_omit")
    assert "/b.service" in found, "it was set before anybody asked"
    assert found["/new.service"].kind == "omit", "whoever is not among those known may be asked for"
    assert list(found) == ["/b.service"], "what was judged by is what is recorded"
