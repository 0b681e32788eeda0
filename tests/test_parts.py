"""From the configuration to the settings of the rooms."""

import grp
from pathlib import Path

import pytest

from resourced.configfiles import load
from resourced.errors import ConfigError
from resourced.parts import (
    access_settings,
    api_settings,
    changed_keys,
    history_settings,
    listen_settings,
    log_settings,
    needs_restart,
    rules_of,
    tokens_file,
)


def test_each_room_gets_what_was_said() -> None:
    options = [
        "history.max_size=64MiB",
        "history.retention.raw=3d",
        "sampling.interval=20s",
        "log.level=debug",
        "api.cache_time=3s",
        "api.max_connections=7",
        "api.port=9",
        "api.socket=/x/y.sock",
        "api.keep_alive=9s",
        "api.query_threads=3",
        "api.max_questions=5",
    ]
    config = load([], environ={}, options=options).config
    history = history_settings(config)
    assert (history.max_bytes, history.raw_seconds, history.flush_seconds) == (64 * 1024**2, 3 * 86400.0, 20.0)
    assert log_settings(config).level == "debug"
    assert api_settings(config).resources.cache_seconds == 3.0
    listen = listen_settings(config, {}, 1000)
    assert (listen.port, listen.socket, listen.keep_alive_seconds) == (9, Path("/x/y.sock"), 9)
    assert (listen.limits.connections, listen.limits.query_threads, listen.limits.questions) == (7, 3, 5)
    assert listen.socket_group is None
    assert listen_settings(load([], environ={}, options=["api.tcp=false"]).config, {}, 1000).port is None


def test_rules_know_how_long_steps_take() -> None:
    options = ["actions.settle=20s", "actions.workload_patience=7min", "policy.mode=enforce"]
    [rule] = [each for each in rules_of(load([], environ={}, options=options).config) if each.name == "memory-critical"]
    assert (rule.ladder_seconds, rule.asking_seconds) == (60, 420)


def test_rules_of_the_shipped_profile_observe() -> None:
    rules = rules_of(load([], environ={}).config)
    assert {rule.name for rule in rules} >= {"memory-critical", "memory-low", "disk-full"}
    assert {rule.mode.value for rule in rules} == {"observe"}


@pytest.mark.parametrize(("group", "gid"), [(grp.getgrgid(0).gr_name, 0), ("no-such-group", None)])
def test_the_group_of_admins_is_looked_up(group: str, gid: int | None) -> None:
    config = load([], environ={}, options=[f"api.admin_group={group}"]).config
    assert access_settings(config).admin_gid == gid


def test_a_file_of_tokens_that_is_missing_is_an_error() -> None:
    config = load([], environ={}, options=["api.tokens_file=/no/such/tokens"]).config
    with pytest.raises(ConfigError, match="/no/such/tokens"):
        access_settings(config)


def test_what_changed_is_named_and_what_waits_for_a_restart() -> None:
    before = load([], environ={}).config
    rule = ["rule.memory-low.below=13%", "api.port=1", "log.level=debug", "collectors.gpus.enabled=false"]
    after = load([], environ={}, options=rule).config
    keys = changed_keys(before, after)
    assert keys == ("api.port", "collectors.gpus.enabled", "log.level", "rule.memory-low")
    assert needs_restart(keys) == ("api.port",)
    assert changed_keys(before, before) == ()


def test_of_the_guard_waits_what_its_thread_and_the_kernel_were_told_at_the_start() -> None:
    before = load([], environ={}).config
    after = ["enabled=false", "min_interval=90ms", "max_interval=900ms", "fill_rate=1GiB", "low=7%"]
    after += ["stall=100ms", "stall_window=2s"]
    keys = changed_keys(before, load([], environ={}, options=[f"guard.{each}" for each in after]).config)
    assert len(keys) == len(after)
    assert needs_restart(keys) == ("guard.enabled", "guard.stall", "guard.stall_window")


def test_tokens_come_from_the_service_manager_unless_the_configuration_names_a_file(tmp_path: Path) -> None:
    silent = load([], environ={}).config
    named = load([], environ={}, options=["api.tokens_file=/etc/mine"]).config
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert tokens_file(silent, environ) is None
    (tmp_path / "tokens").write_text("")
    assert tokens_file(silent, environ) == tmp_path / "tokens"
    assert tokens_file(silent, {}) is None
    assert tokens_file(named, environ) == Path("/etc/mine")
