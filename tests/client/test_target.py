from pathlib import Path

from resourced.client import Target, find_target


def test_the_target_is_a_url_a_path_or_the_first_usual_socket(tmp_path: Path) -> None:
    assert find_target("http://h:1/") == Target("http://h:1")
    assert find_target("/a/b").socket == "/a/b"
    assert find_target(None, {"RESOURCED_SOCKET": "unix:/c"}).socket == "/c"
    usual = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert str(find_target(None, {})) == "/run/resourced/resourced.sock"
    (tmp_path / "resourced").mkdir()
    (tmp_path / "resourced/resourced.sock").touch()
    if not Path("/run/resourced/resourced.sock").exists():
        assert find_target(None, usual).socket == str(tmp_path / "resourced/resourced.sock")
