import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.client import Target, find_target
from resourced.client.sse import EventParser
from resourced.client.target import candidates


def test_the_target_is_a_url_a_path_or_the_first_usual_socket(tmp_path: Path) -> None:
    assert find_target("http://h:1/") == Target("http://h:1")
    assert find_target("/a/b").socket == "/a/b"
    assert find_target(None, {"RESOURCED_SOCKET": "unix:/c"}).socket == "/c"
    usual = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert str(find_target(None, {})) == "/run/resourced/resourced.sock"
    assert candidates({})[1] == Path(f"/run/user/{os.getuid()}/resourced/resourced.sock"), "as of cron"
    (tmp_path / "resourced").mkdir()
    (tmp_path / "resourced/resourced.sock").touch()
    if not Path("/run/resourced/resourced.sock").exists():
        assert find_target(None, usual).socket == str(tmp_path / "resourced/resourced.sock")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_directory_of_somebody_else_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    code = (
        "import os; from resourced.client import find_target; from resourced.ctl.scope import unavailable, environment;"
        "os.setresuid(65534, 65534, 65534);"
        "print(find_target()); print(bool(unavailable('user', os.environ))); print(environment())"
    )
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "closed")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["/run/resourced/resourced.sock", "True", "{}"], done.stderr


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
