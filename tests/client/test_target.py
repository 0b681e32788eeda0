from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from resourced.client import Target, find_target
from resourced.client.sse import EventParser


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


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0"), min_size=1), min_size=1))
def test_data_of_several_lines_is_joined(lines: list[str]) -> None:
    parser = EventParser()
    for line in lines:
        assert parser.feed(f"data: {line}") is None
    event = parser.feed("")
    assert event is not None
    assert isinstance(event.data, str | int | float | bool | list | dict | None)
    if len(lines) == 1 and lines[0].isalpha() and lines[0] not in {"true", "false", "null", "NaN", "Infinity"}:
        assert event.data == lines[0]


def test_the_server_may_ask_for_a_pause() -> None:
    parser = EventParser()
    for line in ("retry: 1500", "retry: x", "id: a\0b", "unknown: 1", ""):
        assert parser.feed(line) is None
    assert parser.retry_seconds == 1.5
    assert parser.last_id is None
