"""Each kind of fault: where it is, what was found, what is allowed."""

from pathlib import Path

import pytest

from resourced.configfiles import load
from resourced.errors import ConfigError
from tests.config.fakes import faults, write


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[api]\nprot = 1", "2: api.prot: unknown key; did you mean api.port?"),
        ("[daemon]\nport = 1", "2: daemon.port: unknown key; did you mean api.port?"),
        ("[polcy]\nmode = 'off'", "1: polcy: unknown key; did you mean policy?"),
        ("policy_mode = 'off'", "1: policy_mode: unknown key; did you mean policy.mode?"),
        ("[log]\nguard = {}", "2: log.guard: unknown key; did you mean guard?"),
        ("[log]\nxyzzy = 1", "2: log.xyzzy: unknown key; known here are level, format, repeat_limit, repeat_interval"),
        (
            "[collectors.cpu]\nintervall = 1",
            "2: collectors.cpu.intervall: unknown key; did you mean collectors.cpu.interval?",
        ),
        ("[policy.protect]\nunit = []", "2: policy.protect.unit: unknown key; did you mean policy.protect.units?"),
        ("[api]\n\nport = 99999", "3: api.port: found 99999; it must be a whole number, from 0 to 65535"),
        ("[api]\nport = 'x'", '2: api.port: found "x"; it must be a whole number, from 0 to 65535'),
        ("[api]\nport = true", "2: api.port: found true; it must be a whole number, from 0 to 65535"),
        ("[api]\nport = 1.5", "2: api.port: found 1.5; it must be a whole number, from 0 to 65535"),
        ("[api]\nport = 1979-05-27", "2: api.port: found 1979-05-27; it must be a whole number, from 0 to 65535"),
        ("api = 3", "1: api: is a table; found 3"),
        ("[policy]\npriorities = 3", "2: policy.priorities: is a table; found 3"),
        ("[policy]\npriorities = { 'a.b' = 'x' }", '2: policy.priorities."a.b": found "x"; it must be a valid number'),
        (
            "[sampling]\ninterval = '10ms'",
            '2: sampling.interval: found "10ms"; it must be a duration, from 100ms to 1min',
        ),
        (
            "[sampling]\ninterval = '1 x'",
            "2: sampling.interval: '1 x' is not a duration; write a number with us, ms, s, min, h, d, w or y",
        ),
        ("[sampling]\ninterval = nan", "2: sampling.interval: found nan; it must be a duration, from 100ms to 1min"),
        ("[sampling]\ninterval = true", "2: sampling.interval: found true; write text with a unit, or a number"),
        ("[history]\nmax_size = '1KiB'", '2: history.max_size: found "1KiB"; it must be a size, from 8MiB to 1TiB'),
        ("[guard]\nlow = '150%'", '2: guard.low: found "150%"; it must be a share, from 0% to 100%'),
        ("[guard]\nenabled = 1", "2: guard.enabled: found 1; it must be true or false"),
        (
            "[log]\nlevel = 'loud'",
            '2: log.level: found "loud"; it must be one of critical, error, warning, notice, info, debug',
        ),
        ("[policy]\nmode = 'on'", '2: policy.mode: found "on"; it must be one of off, observe, advise, enforce'),
        ("[actions]\ncommand = '/bin/x'", '2: actions.command: found "/bin/x"; it must be a list of texts'),
        (
            "[policy.protect]\nusers = [\n  'anna',\n  1000,\n]",
            '4: policy.protect.users.1: found 1000; it must be text, as in "1000"',
        ),
        ("[api]\nsocket = 'x'", "2: api.socket: 'x' is not an absolute path; write it from / on"),
        ("[history]\ndirectory = 3", "2: history.directory: found 3; it must be an absolute path"),
        (
            "[[rule]]\nname = 'Memory'\nmetric = 'a'\nabove = 1",
            '2: rule.Memory.name: found "Memory"; allowed are small letters, digits, and . _ - behind the first',
        ),
        ("[[rule]]\nname = 'a'\nmetric = 'a'", "1: rule.a: a needs either above or below"),
        (
            "[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nfro = 1",
            "5: rule.a.fro: unknown key; did you mean rule.a.for?",
        ),
        (
            "[[rule]]\nname = 'a'\nany = [\n{metric = 'a', abov = 1}]",
            "4: rule.a.any.0.abov: unknown key; did you mean rule.a.any.0.above?",
        ),
        (
            "[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nxyzzy = 1",
            "5: rule.a.xyzzy: unknown key; known here are name, description",
        ),
        (
            "[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nfor = -1",
            "5: rule.a.for: found -1; it must be a duration, at least 0s",
        ),
        (
            "[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nrank = []",
            "5: rule.a.rank: is empty; it needs at least one entry",
        ),
        ("[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nrank = ['biggest']", "5: rule.a.rank.biggest"),
        ("[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nrank = [{ largest = 1 }]", "5: rule.a.rank: is a table"),
        (
            "[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nrank = { largest = nan }",
            "5: rule.a.rank.largest: found nan",
        ),
        (
            "[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nrank = { largest = inf }",
            "5: rule.a.rank.largest: found inf",
        ),
        ("[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nrank = { largest = 0 }", "5: rule.a.rank.largest: found 0"),
        ("[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nsteps = [{grace = 1}]", "5: rule.a.steps.0.step: is missing"),
        ("[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nonly = 3", "5: rule.a.only: is a table; found 3"),
        (
            "[[rule]]\nname = 'a'\nmetric = 'a'\nabove = 1\nlevel = 'x'",
            '5: rule.a.level: found "x"; it must be one of warn, soft, hard',
        ),
        (
            "[guard]\nstall = '900ms'\nstall_window = '600ms'",
            "2: guard.stall: is not shorter than guard.stall_window, so that it could never be reached",
        ),
        ("[guard]\nstall_window = '500ms'\nstall='500ms'", "3: guard.stall: is not shorter"),
        ("[api]\ntls_key = '/k'", "2: api.tls_certificate: is missing beside api.tls_key; set both or neither"),
        ("[history.retention]\nraw = '100d'", "2: history.retention.raw: the finer, the shorter"),
        (
            "[sampling]\ndeadline = '5s'",
            "2: sampling.deadline: is longer than sampling.interval (1s): samples would come late",
        ),
        (f"[log]\nlevel = '{'x' * 200}'", f'2: log.level: found "{"x" * 79}…; it must be one of'),
    ],
)
def test_a_fault_names_place_key_value_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    found = faults(write(tmp_path / "r.toml", text))

    assert len(found) == 1
    assert found[0].startswith(f"r.toml:{said}")


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.toml",
        """\
nonsense = 1
[api]
prot = 1
port = 99999
address = "0.0.0.0"
tls_key = "/k"
[[rule]]
name = "memory-low"
belo = 1
[[rule]]
name = "a"
metric = "memory.available"
[guard]
min_interval = "1s"
max_interval = "200ms"
[sampling]
deadline = "10s"
""",
    )

    found = faults(path)

    assert [line.split(": ")[1] for line in found] == [
        "nonsense",
        "api.prot",
        "api.port",
        "api.address",
        "api.tls_certificate",
        "rule.memory-low.belo",
        "rule.a",
        "guard.min_interval",
        "sampling.deadline",
    ]
    assert [int(line.split(":")[1]) for line in found] == [1, 3, 4, 5, 6, 9, 10, 14, 17]


def test_a_check_that_needs_a_wrong_value_is_not_made(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "[sampling]\ninterval = '10x'\ndeadline = '5s'\n[guard]\nlow = 2\n")

    assert [line.split(": ")[1] for line in faults(path)] == ["sampling.interval", "guard.low"]


def test_faults_of_several_files_come_file_by_file(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "\n\n[api]\nport = -1\n")
    write(tmp_path / "r.toml.d/50-x.toml", "[log]\nlevel = 'x'\n")

    found = faults(path, "guard.low=7", RESOURCED_API__TOP="-1")

    assert [line.split(" ")[0] for line in found] == [
        "r.toml:4:",
        "r.toml.d/50-x.toml:2:",
        "RESOURCED_API__TOP",
        "--set",
    ]


def test_a_number_of_thousands_of_digits_is_a_fault_like_others(tmp_path: Path) -> None:
    [fault] = faults(write(tmp_path / "r.toml", f"[api]\nport = {'1' * 5000}\n"))
    assert fault.startswith("r.toml: ")
    assert "digits" in fault


def test_the_root_directory_is_no_file() -> None:
    with pytest.raises(ConfigError, match="/: is a directory; name a file"):
        load([Path("/")], environ={}, options=())
