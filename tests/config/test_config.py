"""The model: defaults, bounds, and checks that look at several keys."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from resourced.config import (
    DaemonConfig,
    HistoryConfig,
    ResourceConfig,
    runtime_directory,
    socket_path,
    state_directory,
)
from resourced.config_policy import PolicyConfig
from resourced.configschema import settings, tables
from resourced.decision import Mode
from resourced.policy.profiles import PROFILES

TOKENS, CERTIFICATE, KEY = "/etc/resourced/tokens", "/etc/resourced/cert.pem", "/etc/resourced/key.pem"


def make(**sections: Any) -> ResourceConfig:
    return ResourceConfig.model_validate(sections)


def refusal(**sections: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**sections)
    return str(caught.value)


def test_the_defaults_only_observe_and_listen_on_this_machine_alone() -> None:
    config = ResourceConfig()

    assert config.policy.mode is Mode.OBSERVE
    assert config.api.loopback
    assert config.api.port == 8414
    assert config.history.flush_interval == 10
    assert config.history.max_size == 256 * 1024**2
    assert config.collectors.cgroups.limit == 1000


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ResourceConfig().api.port = 1


def test_every_setting_and_table_is_described() -> None:
    assert [each.key for each in settings() if not each.description.endswith(".")] == []
    assert [key for key, description in tables().items() if not description.endswith(".")] == []


def test_every_number_has_bounds() -> None:
    numbers = [each for each in settings() if each.type in (int, float)]

    assert [each.key for each in numbers if each.low is None or each.high is None] == []
    assert [
        each.key for each in numbers if each.default is not None and not each.low <= each.default <= each.high
    ] == []


@pytest.mark.parametrize("setting", [s for s in settings() if s.type in (int, float)], ids=lambda s: ".".join(s.key))
def test_bounds_are_held(setting: Any) -> None:
    for value in (setting.low - 1, setting.high + 1):
        data: Any = value
        for name in reversed(setting.key):
            data = {name: data}
        assert setting.key[-1] in refusal(**data)


def test_the_profiles_that_may_be_named_are_those_that_are_shipped() -> None:
    allowed = PolicyConfig.model_json_schema()["properties"]["profile"]["enum"]

    assert sorted(allowed) == sorted([*PROFILES, "none"])


@pytest.mark.parametrize(
    "lacking", [("tokens_file",), ("tls_certificate", "tls_key"), ("tokens_file", "tls_certificate", "tls_key")]
)
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5"])
def test_others_are_listened_to_only_with_token_and_certificate(address: str, lacking: tuple[str, ...]) -> None:
    safe = {"address": address, "tokens_file": TOKENS, "tls_certificate": CERTIFICATE, "tls_key": KEY}

    assert make(api=safe).api.address == address
    text = refusal(api={key: value for key, value in safe.items() if key not in lacking})
    assert f"api.{lacking[0]}" in text
    assert "or listen on 127.0.0.1" in text


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_needs_neither(address: str) -> None:
    assert make(api={"address": address}).api.loopback


def test_without_tcp_the_address_does_not_matter() -> None:
    assert not make(api={"tcp": False, "address": "0.0.0.0"}).api.tcp


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"api": {"tls_key": KEY}}, "api.tls_certificate: is missing beside api.tls_key"),
        ({"api": {"tls_certificate": CERTIFICATE}}, "api.tls_key: is missing beside api.tls_certificate"),
        ({"api": {"unix": False, "tcp": False}}, "nobody could ask"),
        ({"api": {"address": "localhost"}}, "is not an IP address"),
        ({"api": {"socket": "run/x"}}, "is not an absolute path"),
        ({"sampling": {"interval": "1s", "deadline": "2s"}}, "sampling.deadline: is longer"),
        ({"collectors": {"gpus": {"deadline": "2s"}}}, "collectors.gpus.deadline: is longer"),
        ({"history": {"retention": {"raw": "100d"}}}, "the finer, the shorter"),
        ({"history": {"retention": {"raw": "30min"}}}, "is shorter than history.memory_window"),
        ({"guard": {"min_interval": "1s", "max_interval": "500ms"}}, "guard.min_interval: is longer"),
        ({"guard": {"stall": "1s"}}, "guard.stall: is not shorter"),
        ({"actions": {"command": ["notify-send"]}}, "'notify-send' is not an absolute path"),
        ({"actions": {"webhook": "http://example.com/x"}}, "write a URL that begins with https://"),
        ({"actions": {"webhook": "http://[::1"}}, "can't be told"),
        ({"actions": {"webhook": "file:///etc/passwd"}}, "can't be told"),
    ],
)
def test_what_makes_no_sense_together_is_refused(sections: dict[str, Any], said: str) -> None:
    assert said in refusal(**sections)


@pytest.mark.parametrize(
    "webhook", ["https://example.com/hook", "http://localhost:9/x", "http://127.0.0.1/", "http://[::1]:8/"]
)
def test_a_webhook_is_encrypted_or_on_this_machine(webhook: str) -> None:
    assert make(actions={"webhook": webhook}).actions.webhook == webhook


def test_two_rules_of_a_name_are_refused() -> None:
    rule = {"name": "a", "metric": "memory.available", "below": "5%"}

    assert "rule.a: two rules have this name" in refusal(rule=[rule, rule])


def test_all_faults_of_one_check_are_told() -> None:
    text = refusal(sampling={"deadline": "2s"}, collectors={"cpu": {"deadline": "3s"}})

    assert "sampling.deadline" in text
    assert "collectors.cpu.deadline" in text


def test_a_collector_is_read_at_most_once_a_sample() -> None:
    config = make(sampling={"interval": "20s"}, collectors={"gpus": {"interval": "1min"}})

    assert config.interval_seconds("filesystems") == 20  # its default of 10 s gives way
    assert config.interval_seconds("gpus") == 60
    assert config.interval_seconds("cpu") == 20


def test_what_is_asked_for_more_often_than_samples_are_taken_is_known() -> None:
    text = "is shorter than sampling.interval; 3s is meant"

    hasty = make(sampling={"interval": 3}, collectors={"gpus": {"interval": 1}}, history={"flush_interval": 2}).hasty()

    assert hasty == dict.fromkeys(
        ["collectors.sensors.interval", "collectors.gpus.interval", "history.flush_interval"], text
    )


def test_deadlines_come_from_the_collector_or_the_sampling_or_the_interval() -> None:
    assert ResourceConfig().deadline_seconds("cpu") == 0.8
    assert make(sampling={"deadline": "500ms"}).deadline_seconds("cpu") == 0.5
    assert make(sampling={"deadline": "500ms"}, collectors={"cpu": {"deadline": "1s"}}).deadline_seconds("cpu") == 1


@pytest.mark.parametrize(
    ("environ", "uid", "state", "runtime"),
    [
        ({}, 0, "/var/lib/resourced", "/run/resourced"),
        ({"STATE_DIRECTORY": "/s:/t", "RUNTIME_DIRECTORY": "/r:/q"}, 0, "/s", "/r"),
        ({"HOME": "/home/a"}, 1000, "/home/a/.local/state/resourced", "/run/user/1000/resourced"),
        ({"XDG_STATE_HOME": "/x", "XDG_RUNTIME_DIR": "/y"}, 1000, "/x/resourced", "/y/resourced"),
        ({}, 1000, "/.local/state/resourced", "/run/user/1000/resourced"),
    ],
)
def test_directories_depend_on_who_runs_the_daemon(environ: dict[str, str], uid: int, state: str, runtime: str) -> None:
    assert state_directory(ResourceConfig(), environ, uid) == Path(state)
    assert runtime_directory(ResourceConfig(), environ, uid) == Path(runtime)


def test_directories_that_are_set_decide() -> None:
    config = ResourceConfig(
        history=HistoryConfig(directory=Path("/h")), daemon=DaemonConfig(runtime_directory=Path("/d"))
    )

    assert state_directory(config, {"STATE_DIRECTORY": "/s"}, 0) == Path("/h")
    assert runtime_directory(config, {"RUNTIME_DIRECTORY": "/r"}, 0) == Path("/d")


def test_the_socket_is_in_the_run_time_directory_unless_it_is_set_or_off() -> None:
    assert socket_path(make().api, Path("/r")) == Path("/r/resourced.sock")
    assert socket_path(make(api={"socket": "/a/b"}).api, Path("/r")) == Path("/a/b")
    assert socket_path(make(api={"unix": False}).api, Path("/r")) is None


def test_there_are_few_models() -> None:
    """Each model costs some 60 KiB and a millisecond at start: a table more is a decision, not an accident."""
    models: set[type] = set()
    pending: list[type[BaseModel]] = [ResourceConfig]
    while pending:
        model = pending.pop()
        models.add(model)
        pending += [each.annotation for each in model.model_fields.values() if _is_model(each.annotation)]  # type: ignore[misc] # is one

    assert len(models - {ResourceConfig}) <= 20


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def test_the_configuration_imports_neither_server_nor_policy() -> None:
    script = (
        "import sys, resourced.configfiles\n"
        "wrong = {'uvicorn', 'starlette', 'numpy', 'structlog', 'click', 'resourced.policy', 'resourced.journal'}\n"
        "sys.exit(', '.join(wrong & set(sys.modules)) or 0)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
