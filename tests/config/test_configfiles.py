"""Where configuration comes from, and what wins."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced import configfiles
from resourced.config import ResourceConfig
from resourced.configfiles import load, main_file, profile_text
from resourced.configlayers import Origin
from resourced.decision import Mode
from resourced.errors import ConfigError
from tests.config.fakes import faults, read, write


def test_without_any_file_all_is_as_shipped(tmp_path: Path) -> None:
    loaded = load(environ={"XDG_CONFIG_HOME": str(tmp_path)}, uid=1000)

    assert loaded.config.model_copy(update={"rule": ()}) == ResourceConfig()
    assert [rule.name for rule in loaded.config.rule][:2] == ["memory-low", "memory-exhaustion"]
    assert loaded.files == ()
    assert loaded.warnings == ()


def test_every_setting_has_an_origin(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", "[api]\n\nport = 1\n"))

    assert loaded.origin("api.port") == Origin("file", str(tmp_path / "r.toml"), 3)
    assert loaded.origin("api.top") == Origin("default")
    assert loaded.origins["history.retention.raw"] == Origin("default")
    assert "api" not in loaded.origins
    assert str(loaded.origin("rule.memory-low.level")).startswith("profile default:")
    assert loaded.origin("no.such.key") == Origin("default")


@given(st.sets(st.sampled_from(["main", "10-a", "20-b", "environment", "option"])))
def test_the_later_covers_the_earlier(tmp_path_factory: pytest.TempPathFactory, places: set[str]) -> None:
    path = tmp_path_factory.mktemp("c") / "r.toml"
    order = {"main": 1, "10-a": 2, "20-b": 3, "environment": 4, "option": 5}
    if "main" in places:
        write(path, "[api]\nport = 1")
    for name in sorted(places & {"10-a", "20-b"}):
        write(path.with_name("r.toml.d") / f"{name}.toml", f"[api]\nport = {order[name]}")
    environ = {"RESOURCED_API__PORT": "4"} if "environment" in places else {}
    options = ["api.port=5"] if "option" in places else []

    loaded = load([path] if path.exists() else [write(path, "")], environ=environ, options=options, uid=0)

    assert loaded.config.api.port == max((order[place] for place in places), default=8414)
    source = {1: "file", 2: "file", 3: "file", 4: "environment", 5: "option", 8414: "default"}
    assert loaded.origin("api.port").source == source[loaded.config.api.port]


def test_later_main_files_cover_earlier_ones_and_their_drop_ins(tmp_path: Path) -> None:
    first = write(tmp_path / "a.toml", "")
    write(tmp_path / "a.toml.d/x.toml", "[api]\nport = 1\ntop = 1")
    second = write(tmp_path / "b.toml", "[api]\nport = 2")

    loaded = load([first, second], environ={}, uid=0)

    assert (loaded.config.api.port, loaded.config.api.top) == (2, 1)
    assert loaded.files == (first, tmp_path / "a.toml.d/x.toml", second)


def test_the_later_option_wins(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", ""), "api.port=1", "api.port = 2")

    assert loaded.config.api.port == 2


@pytest.mark.parametrize(
    ("environ", "uid", "path"),
    [
        ({}, 0, "/etc/resourced/resourced.toml"),
        ({"CONFIGURATION_DIRECTORY": "/etc/a:/etc/b"}, 990, "/etc/a/resourced.toml"),
        ({"XDG_CONFIG_HOME": "/x"}, 1000, "/x/resourced/resourced.toml"),
        ({"HOME": "/home/a"}, 1000, "/home/a/.config/resourced/resourced.toml"),
        ({}, 1000, "/.config/resourced/resourced.toml"),
    ],
)
def test_the_main_file_depends_on_who_runs_the_daemon(environ: dict[str, str], uid: int, path: str) -> None:
    assert main_file(environ, uid) == Path(path)


def test_the_process_is_asked_for_what_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "resourced.toml", "[api]\nport = 1")
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("RESOURCED_API__TOP", "7")

    loaded = load()

    assert (loaded.config.api.port, loaded.config.api.top) == (1, 7)


def test_drop_ins_are_read_without_a_main_file(tmp_path: Path) -> None:
    write(tmp_path / "resourced/resourced.toml.d/a.toml", "[api]\nport = 1")

    assert load(environ={"XDG_CONFIG_HOME": str(tmp_path)}, uid=1000).config.api.port == 1


def test_only_drop_ins_of_the_right_name_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "")
    for name in (".hidden.toml", "old.toml~", "local.conf", "x.toml.rpmnew"):
        write(tmp_path / "r.toml.d" / name, "not TOML")

    loaded = read(path)

    assert loaded.files == (path,)
    assert [text.replace(f"{tmp_path}/", "") for text in loaded.warnings] == [
        "r.toml.d/local.conf is not read: its name doesn't end in .toml",
        "r.toml.d/x.toml.rpmnew is not read: its name doesn't end in .toml",
    ]


# Files that can't be read.


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    assert faults(tmp_path / "r.toml") == ["r.toml: can't be read: No such file or directory"]


def test_a_link_that_leads_nowhere_is_no_missing_file(tmp_path: Path) -> None:
    write(tmp_path / "r.toml", "")
    (tmp_path / "r.toml.d").mkdir()
    (tmp_path / "r.toml.d/x.toml").symlink_to("nowhere")

    assert faults(tmp_path / "r.toml") == ["r.toml.d/x.toml: can't be read: No such file or directory"]


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "r.toml").mkdir()

    assert faults(tmp_path / "r.toml") == ["r.toml: is a directory; name a file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path / "r.toml", "").chmod(0)

    assert faults(tmp_path / "r.toml") == ["r.toml: can't be read: Permission denied"]


def test_drop_ins_that_can_not_be_listed_are_no_missing_drop_ins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "r.toml", "")
    monkeypatch.setattr(Path, "iterdir", refuse)

    assert faults(path) == ["r.toml.d: can't be read: Permission denied"]


def test_a_file_in_place_of_the_directory_of_drop_ins_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "r.toml.d", "")

    assert read(write(tmp_path / "r.toml", "")).warnings == ()


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"# fine\n# caf\xe9\n")

    assert faults(tmp_path / "r.toml") == ["r.toml:2: is not UTF-8: byte 0xe9; save the file as UTF-8"]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"\xef\xbb\xbf[api]\r\nport = 1\r\n")

    assert read(tmp_path / "r.toml").origin("api.port").line == 2


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"#" * (4 * 1024**2 + 1))

    assert faults(tmp_path / "r.toml") == ["r.toml: is larger than 4 MiB"]


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "a = " + "[" * 100_000)

    assert faults(path) == ["r.toml: arrays or tables are nested too deeply"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[api]\nport 1\n", "r.toml:2: is not TOML: expected '=' after a key in a key/value pair"),
        ("[api\n", "r.toml:1: is not TOML: "),
        ("\n\nx = '''\n", "r.toml:3: is not TOML: "),
        ("[api]\nport = 1\nport = 2\n", "r.toml:3: this key or table is there twice: port = 2"),
        ("[api]\nport = 1\n[log]\n[api]\n", "r.toml:4: this key or table is there twice: [api]"),
        ("api = {}\napi.port = 1\n", "r.toml:2: this key or table is there twice: api.port = 1"),
    ],
)
def test_what_is_not_toml_names_the_line(tmp_path: Path, text: str, said: str) -> None:
    found = faults(write(tmp_path / "r.toml", text))

    assert len(found) == 1
    assert found[0].startswith(said)


def test_faults_of_all_places_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "[api]\nport 1\n")
    write(tmp_path / "r.toml.d/a.toml", "[api]\nport = 'x'")

    found = faults(path, "nonsense", RESOURCED_LOG__LEVEL="loud")

    assert [line.split(": ")[0] for line in found] == [
        "r.toml:2",
        "r.toml.d/a.toml:2",
        "RESOURCED_LOG__LEVEL in the environment",
        "--set nonsense",
    ]


def test_a_file_that_everybody_may_write_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "")
    path.chmod(0o666)

    assert "everybody may write this file" in read(path).warnings[0]


def test_an_interval_that_can_not_be_kept_is_told_unless_it_is_a_default(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "[sampling]\ninterval = '20s'\n[collectors.gpus]\ninterval = '5s'")

    assert read(path).warnings == (
        f"{path}:4: collectors.gpus.interval: is shorter than sampling.interval; 20s is meant",
    )


# The environment and options.


def test_values_of_the_environment_are_toml_where_they_can_be(tmp_path: Path) -> None:
    loaded = read(
        write(tmp_path / "r.toml", ""),
        RESOURCED_API__PORT="9000",
        RESOURCED_API__TCP="false",
        RESOURCED_API__SOCKET_GROUP="1000",
        RESOURCED_API__ALLOWED_HOSTS='["a", "b"]',
        RESOURCED_API__SOCKET="/run/x",
        RESOURCED_SAMPLING__INTERVAL="2s",
        RESOURCED_HISTORY__MAX_SIZE="16777216",
        RESOURCED_HISTORY__RETENTION__RAW="3d",
        RESOURCED_POLICY__MODE="off",
        RESOURCED_POLICY__PRIORITIES='{ "a.service" = -1 }',
    )

    config = loaded.config
    assert (config.api.port, config.api.tcp, config.api.socket_group) == (9000, False, "1000")
    assert config.api.allowed_hosts == ("a", "b")
    assert config.api.socket == Path("/run/x")
    assert config.sampling.interval == 2
    assert config.history.max_size == 16 * 1024**2
    assert config.history.retention.raw == 3 * 86400
    assert config.policy.mode is Mode.OFF
    assert config.policy.priorities == {"a.service": -1}


def test_variables_for_others_are_left_alone(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", ""), RESOURCED_SOCKET="/run/x", HOME="/", RESOURCEDX__A="1")

    assert loaded.warnings == ()


def test_a_variable_with_too_few_underscores_is_told(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", ""), RESOURCED_API_PORT="1", RESOURCED_HISTORY_RETENTION_RAW="1")

    assert [text.split("; ")[1] for text in loaded.warnings] == [
        "write RESOURCED_API__PORT",
        "write RESOURCED_HISTORY__RETENTION__RAW",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RESOURCED_API__PROT", "1", "api.prot: unknown key; did you mean api.port?"),
        ("RESOURCED_API__PORT__X", "1", "api.port: found { x = 1 }; it must be a whole number, from 0 to 65535"),
        ("RESOURCED_API__PORT", "", 'api.port: found ""; it must be a whole number, from 0 to 65535'),
        ("RESOURCED_GUARD__ENABLED", "yes", 'guard.enabled: found "yes"; it must be true or false'),
        ("RESOURCED_RULE__A__MODE", "off", "rules can't be changed in the environment; use a drop-in file or --set"),
    ],
)
def test_faults_in_the_environment_name_the_variable(tmp_path: Path, variable: str, value: str, said: str) -> None:
    found = faults(write(tmp_path / "r.toml", ""), **{variable: value})

    assert found == [f"{variable} in the environment: {said}"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("api.port", "'api.port' sets nothing; write for example api.port=9000"),
        ("=1", "'' is not a key; write for example api.port"),
        ("a b=1", "'a b' is not a key; write for example api.port"),
        ("api.prot=1", "api.prot: unknown key; did you mean api.port?"),
        ("rule=1", "name one key of one rule, as rule.memory-low.mode=off"),
        ("rule.a.b.c=1", "name one key of one rule, as rule.memory-low.mode=off"),
        ("rule.memory-lo.mode=off", "rule.memory-lo: there is no rule of this name that it could change: did you mean"),
    ],
)
def test_faults_in_options_name_the_option(tmp_path: Path, option: str, said: str) -> None:
    found = faults(write(tmp_path / "r.toml", ""), option)

    assert len(found) == 1
    assert found[0].startswith(f"--set {option}: {said}")


# Rules.


def test_a_drop_in_changes_a_shipped_rule(tmp_path: Path) -> None:
    path = write(tmp_path / "r.toml", "")
    write(tmp_path / "r.toml.d/a.toml", "[[rule]]\nname = 'memory-low'\nbelow = '20%'\n")

    loaded = read(path, "rule.disk-full.mode=off")

    rules = {rule.name: rule for rule in loaded.config.rule}
    assert rules["memory-low"].below == "20%"
    assert rules["memory-low"].level == "warn"
    assert rules["disk-full"].mode == "off"
    assert str(loaded.origin("rule.memory-low.below")) == f"{tmp_path}/r.toml.d/a.toml:3"
    assert str(loaded.origin("rule.disk-full.mode")) == "--set rule.disk-full.mode=off"


def test_a_profile_brings_its_rules_and_its_mode(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", "[policy]\nprofile = 'desktop'"))

    assert loaded.config.policy.mode is Mode.ENFORCE
    assert str(loaded.origin("policy.mode")).startswith("profile desktop:")


def test_a_mode_that_was_said_goes_before_that_of_the_profile(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", "[policy]\nmode = 'observe'"), "policy.profile=desktop")

    assert loaded.config.policy.mode is Mode.OBSERVE


def test_no_profile_brings_no_rule(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "r.toml", "[policy]\nprofile = 'none'"))

    assert loaded.config.rule == ()
    assert loaded.config.policy.mode is Mode.OBSERVE


@pytest.mark.parametrize("profile", ["destkop", "../../etc/passwd"])
def test_a_profile_that_is_not_ours_is_a_fault_and_not_read(tmp_path: Path, profile: str) -> None:
    found = faults(write(tmp_path / "r.toml", f"[policy]\nprofile = '{profile}'"))

    assert found == [
        f'r.toml:2: policy.profile: found "{profile}"; it must be one of default, desktop, gpu-server, ci-runner, none'
    ]


@pytest.mark.parametrize("text", ["policy = 3", "[policy]\nprofile = 3", "[policy]\nprofile = ['a']"])
def test_a_profile_of_the_wrong_type_is_a_fault(tmp_path: Path, text: str) -> None:
    assert len(faults(write(tmp_path / "r.toml", text))) == 1


def test_a_profile_that_was_not_installed_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configfiles, "files", lambda _: tmp_path)

    assert profile_text("default") is None
    assert read(write(tmp_path / "r.toml", "")).config.rule == ()


@given(st.text(max_size=40))
def test_arbitrary_text_is_configuration_or_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    try:
        load([path], environ={}, options=[text], uid=0)
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - either is right
