"""The `resourced` command, mostly as a process of its own."""

import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from resourced import __version__, cli
from resourced.cli import Exit
from resourced.configfiles import Loaded
from resourced.errors import ConfigError


def resourced(*arguments: str, directory: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a home of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("RESOURCED_", "XDG_"))}
    return subprocess.run(
        [sys.executable, "-m", "resourced", *arguments],
        env={**clean, "CONFIGURATION_DIRECTORY": str(directory), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


Inside = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inside:
    """Run the command in this process."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code = cli._main(list(arguments))
        captured = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    return run


def test_a_good_configuration_is_said_to_be_good(tmp_path: Path) -> None:
    (tmp_path / "resourced.toml").write_text("[policy]\nmode = 'off'\n")

    done = resourced("check-config", directory=tmp_path)

    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert f"The configuration is good ({tmp_path}/resourced.toml)." in done.stdout
    assert f"mode off ({tmp_path}/resourced.toml:2), profile default" in done.stdout


def test_what_is_shipped_is_good(tmp_path: Path) -> None:
    done = resourced("check-config", directory=tmp_path)

    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert "no file; all is as shipped" in done.stdout


def test_every_fault_is_printed_and_the_exit_says_so(tmp_path: Path) -> None:
    (tmp_path / "resourced.toml").write_text("[api]\nprot = 1\n")

    done = resourced("check-config", "--set", "log.level=loud", directory=tmp_path, RESOURCED_GUARD__LOW="7")

    assert done.returncode == Exit.FAULTS
    assert done.stdout == ""
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        f"{tmp_path}/resourced.toml:2",
        "RESOURCED_GUARD__LOW in the environment",
        "--set log.level=loud",
    ]


def test_a_rule_that_can_not_be_compiled_is_a_fault_at_its_place(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "resourced.toml").write_text("\n[[rule]]\nname = 'a'\nmetric = 'memory.availabel'\nbelow = '5%'\n")

    done = inside("check-config")

    assert done.returncode == Exit.FAULTS
    assert done.stderr.startswith(f"{tmp_path}/resourced.toml:2: rule 'a': ")
    assert "memory.available" in done.stderr


def test_oddities_are_told_and_are_no_faults(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "resourced.toml").write_text("[[rule]]\nname = 'a'\nmetric = 'memory.utilization'\nabove = '200%'\n")

    done = inside("check-config", RESOURCED_API_PORT="1")

    assert done.returncode == Exit.OK
    assert "warning: RESOURCED_API_PORT is not read" in done.stderr
    assert f"warning: {tmp_path}/resourced.toml:1: rule 'a': it can never fire" in done.stderr


def test_a_named_file_replaces_that_of_the_machine(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "resourced.toml").write_text("nonsense")
    (tmp_path / "mine.toml").write_text("")

    done = inside("check-config", "--config", str(tmp_path / "mine.toml"))

    assert done.returncode == Exit.OK


def test_a_relative_path_is_told_as_an_absolute_one(inside: Inside, tmp_path: Path) -> None:
    done = inside("check-config", "--config", "no-such-file.toml")

    assert done.returncode == Exit.FAULTS
    assert done.stderr == f"{Path.cwd()}/no-such-file.toml: can't be read: No such file or directory\n"


def test_what_is_in_force_is_shown_with_its_origin(inside: Inside, tmp_path: Path) -> None:
    done = inside("check-config", "--show", "--set", "api.port=9000")

    assert done.returncode == Exit.OK
    assert "port = 9000  # --set api.port=9000\n" in done.stdout


def test_the_defaults_are_printed_as_a_file_that_is_good(inside: Inside, tmp_path: Path) -> None:
    printed = inside("default-config")
    (tmp_path / "resourced.toml").write_text(printed.stdout)

    assert printed.returncode == Exit.OK
    assert inside("check-config").returncode == Exit.OK


def test_the_summary_counts_the_rules_in_force(inside: Inside) -> None:
    done = inside("check-config", "--set", "rule.disk-full.mode=off")

    assert done.stdout.endswith("rules in force: 6.\n")


def test_a_wrong_option_is_told(inside: Inside) -> None:
    done = inside("check-config", "--nonsense")

    assert done.returncode == Exit.USAGE
    assert "No such option" in done.stderr


def test_a_reader_that_goes_away_ends_the_command_in_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[int] = []

    def refuse(*_: object, **__: object) -> None:
        raise BrokenPipeError

    def move(fd: int, onto: int) -> None:
        os.close(fd)
        moved.append(onto)

    with monkeypatch.context() as patched:  # no longer than needed: the capture of output moves descriptors, too
        patched.setattr("click.echo", refuse)
        patched.setattr(os, "dup2", move)
        code = cli._main(["default-config"])

    assert (code, moved) == (Exit.PIPE_CLOSED, [1])


def test_the_version_is_told(tmp_path: Path) -> None:
    assert resourced("--version", directory=tmp_path).stdout == f"resourced {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("check-config", "--nonsense"), ("run", "--sideways")])
def test_a_wrong_command_line_is_told(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = resourced(*arguments, directory=tmp_path)

    assert done.returncode == Exit.USAGE
    assert "Usage: resourced" in done.stderr


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "resourced", "default-config"], stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (Exit.PIPE_CLOSED, b"")


def test_a_closed_output_is_no_fault(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m resourced default-config >&-', sys.executable], check=False, capture_output=True
    )

    assert (done.returncode, done.stderr) == (Exit.OK, b"")


@pytest.mark.parametrize("module", ["resourced", "resourced.ctl"])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_fault(module: str, closed: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m {module} --version {closed}', sys.executable], check=False, capture_output=True
    )

    assert (done.returncode, done.stderr) == (Exit.OK, b"")


@pytest.mark.parametrize(
    ("program", "words", "code"), [("resourced", "default-config", 70), ("resourcectl", "--help", 1)]
)
def test_a_full_disk_is_told_in_a_sentence(program: str, words: str, code: int) -> None:
    module = "resourced" if program == "resourced" else "resourced.ctl"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", module, words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == code
    assert done.stderr == f"{program}: what is printed can't be written: No space left on device\n"


@pytest.mark.parametrize(("shell", "word"), [("bash", "1"), ("zsh", "1"), ("fish", "check")])
def test_a_shell_is_told_what_may_follow(shell: str, word: str) -> None:
    asked = {"_RESOURCED_COMPLETE": f"{shell}_complete", "COMP_WORDS": "resourced ", "COMP_CWORD": word}
    done = subprocess.run(
        [sys.executable, "-m", "resourced"], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert "check-config" in done.stdout


# run: the daemon itself is replaced, for it is tested on its own.


def _daemon(monkeypatch: pytest.MonkeyPatch, run: Callable[..., int]) -> None:
    module = types.ModuleType("resourced.daemon")
    module.run = run  # type: ignore[attr-defined] # made up
    monkeypatch.setitem(sys.modules, "resourced.daemon", module)


def test_run_gives_the_daemon_what_loads_the_configuration_now_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.toml"
    path.write_text("[api]\nport = 1\n")
    seen: list[object] = []

    def run(load: Callable[[], Loaded]) -> int:
        seen.append(load().config.api.port)
        path.write_text("[api]\nport = 2\n")
        seen.extend([load().config.api.port, load().config.api.top])
        return 5

    _daemon(monkeypatch, run)

    arguments = ["run", "-c", str(path), "--set", "api.top=7"]
    assert cli._main(arguments) == 5
    assert seen == [1, 2, 7]


def test_run_says_what_is_wrong_with_the_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(load: Callable[[], Loaded]) -> int:
        raise ConfigError("a.toml:1: no\nb.toml:2: no")

    _daemon(monkeypatch, run)

    assert cli._main(["run"]) == Exit.CONFIG
    assert capsys.readouterr().err == "a.toml:1: no\nb.toml:2: no\n"


def test_ctrl_c_ends_with_the_code_of_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(load: Callable[[], Loaded]) -> int:
        raise KeyboardInterrupt

    _daemon(monkeypatch, run)

    assert cli._main(["run"]) == Exit.INTERRUPTED


def test_a_fault_is_shown_and_has_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(load: Callable[[], Loaded]) -> int:
        raise ZeroDivisionError("nobody foresaw this")

    _daemon(monkeypatch, run)

    assert cli._main(["run"]) == Exit.FAILED
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert "ZeroDivisionError: nobody foresaw this" in told


def test_main_ends_the_process_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["resourced", "--version"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == Exit.OK
