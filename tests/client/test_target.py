import os
import subprocess
import sys
from pathlib import Path

import pytest

from resourced.client import Target, find_target
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
