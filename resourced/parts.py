"""What the configuration says to each room: the settings that the daemon's parts are built with."""

import grp
import os
from collections.abc import Mapping
from pathlib import Path

from resourced.actions import Settings as ActionSettings
from resourced.api import AccessSettings, ApiSettings, Limits, ListenSettings
from resourced.api.access import Token, read_tokens
from resourced.api.resources import ResourceSettings
from resourced.config import ResourceConfig, runtime_directory, socket_path
from resourced.guard import GuardSettings
from resourced.history import HistorySettings
from resourced.journal import LogSettings
from resourced.messenger import MessengerSettings
from resourced.policy import Defaults, Rule, compile_rules, gap_of, shield_of

_SOCKET_GROUP = "resourced"
_TOKENS = "tokens"
"""Name of the credential that holds tokens (LoadCredential=)."""


def rules_of(config: ResourceConfig) -> tuple[Rule, ...]:
    """Return the rules in force.

    Raises:
        ConfigError: Some make no sense; the text lists every fault, one a line.
    """
    policy, actions = config.policy, config.actions
    asking = max(actions.workload_patience, actions.workload_grace_limit)
    return compile_rules(
        config.rule,
        mode=policy.mode,
        shield=shield_of(policy.protect, policy.priorities),
        defaults=Defaults(policy.warmup, policy.cooldown, actions.grace, actions.settle, asking),
    )


def gap_seconds(config: ResourceConfig) -> float:
    """Return the time between two samples beyond which it counts for no condition."""
    return gap_of(config.sampling.interval)


def action_settings(config: ResourceConfig) -> ActionSettings:
    """Return how steps are taken."""
    actions, policy = config.actions, config.policy
    return ActionSettings(
        settle_seconds=actions.settle,
        terminals=actions.terminals,
        throttle_seconds=actions.throttle_limit,
        freeze_seconds=actions.freeze_limit,
        approval_seconds=actions.approval,
        kill_limit=policy.kill_limit,
        kill_interval_seconds=policy.kill_interval,
        patience_seconds=actions.workload_patience,
        grace_limit_seconds=actions.workload_grace_limit,
    )


def guard_settings(config: ResourceConfig) -> GuardSettings | None:
    """Return how often memory is looked at between two samples; None if it isn't."""
    guard, policy = config.guard, config.policy
    if not guard.enabled:
        return None
    return GuardSettings(
        min_seconds=guard.min_interval,
        max_seconds=guard.max_interval,
        fill_bytes_per_second=guard.fill_rate,
        low_share=guard.low,
        stall_seconds=guard.stall,
        window_seconds=guard.stall_window,
        kill_limit=policy.kill_limit,
        kill_interval_seconds=policy.kill_interval,
    )


def messenger_settings(config: ResourceConfig) -> MessengerSettings:
    """Return who else is told of decisions."""
    actions = config.actions
    return MessengerSettings(actions.webhook, actions.webhook_timeout, actions.command, actions.command_timeout)


def history_settings(config: ResourceConfig) -> HistorySettings:
    """Return how much is remembered, and for how long."""
    history, kept = config.history, config.history.retention
    return HistorySettings(
        flush_seconds=max(history.flush_interval, config.sampling.interval),
        window_seconds=history.memory_window,
        max_bytes=history.max_size,
        raw_seconds=kept.raw,
        minute_seconds=kept.minute,
        hour_seconds=kept.hour,
        tops_seconds=kept.groups,
        decisions_seconds=kept.decisions,
        events_seconds=kept.events,
        top_cgroups=history.top_cgroups,
        top_processes=history.top_processes,
    )


def log_settings(config: ResourceConfig) -> LogSettings:
    """Return what is logged, and how."""
    log = config.log
    return LogSettings(log.level, log.format, log.repeat_limit, log.repeat_interval)


def access_settings(config: ResourceConfig) -> AccessSettings:
    """Return who may do what. It may block: groups may be known to another machine.

    Raises:
        ConfigError: The file of tokens can't be used.
    """
    api = config.api
    return AccessSettings(
        admin_gid=None if api.admin_group is None else _gid(api.admin_group),
        tokens=_tokens(config, os.environ),
        anonymous_read=api.anonymous_read,
        allowed_hosts=frozenset(api.allowed_hosts),
    )


def _gid(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _tokens(config: ResourceConfig, environ: Mapping[str, str]) -> tuple[Token, ...]:
    path = tokens_file(config, environ)
    return read_tokens(path) if path is not None else ()


def tokens_file(config: ResourceConfig, environ: Mapping[str, str]) -> Path | None:
    """Return the file of tokens: that of the configuration, else systemd's credential `tokens`, or None."""
    if config.api.tokens_file is not None:
        return config.api.tokens_file
    given = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(given) / _TOKENS if given else None
    return path if path is not None and path.is_file() else None


def api_settings(config: ResourceConfig) -> ApiSettings:
    """Return how the API answers; see `access_settings` for errors."""
    api = config.api
    return ApiSettings(
        resources=ResourceSettings(cache_seconds=api.cache_time, top=api.top),
        access=access_settings(config),
        limits=_limits(config),
        cors_origins=api.cors_origins,
    )


def listen_settings(config: ResourceConfig, environ: Mapping[str, str], uid: int) -> ListenSettings:
    """Return where the API listens.

    Args:
        config: Paths, addresses and the port.
        environ: The process's environment.
        uid: The process's effective user id.

    Raises:
        ConfigError: The file of tokens can't be used.
    """
    api = config.api
    return ListenSettings(
        socket=socket_path(api, runtime_directory(config, environ, uid)),
        socket_group=api.socket_group or _default_group(uid),
        address=api.address,
        port=api.port if api.tcp else None,
        tls_certificate=api.tls_certificate,
        tls_key=api.tls_key,
        has_tokens=bool(_tokens(config, environ)),
        keep_alive_seconds=round(api.keep_alive),
        limits=_limits(config),
    )


def _limits(config: ResourceConfig) -> Limits:
    api = config.api
    return Limits(
        connections=api.max_connections,
        streams=api.max_streams,
        query_threads=api.query_threads,
        questions=api.max_questions,
        header_bytes=api.max_header,
        header_seconds=api.header_timeout,
        body_bytes=api.max_body,
        body_seconds=api.body_timeout,
        answer_seconds=api.answer_timeout,
        heartbeat_seconds=api.heartbeat,
    )


def _default_group(uid: int) -> str | None:
    if uid != 0:
        return None
    try:
        return grp.getgrnam(_SOCKET_GROUP).gr_name
    except KeyError:
        return None


def changed_keys(before: ResourceConfig, after: ResourceConfig) -> tuple[str, ...]:
    """Return the dotted keys whose values differ, sorted; rules count as `rule.NAME`."""
    old, new = _flat(before), _flat(after)
    return tuple(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)))


def _flat(config: ResourceConfig) -> dict[str, object]:
    flat: dict[str, object] = {f"rule.{rule.name}": rule for rule in config.rule}
    stack: list[tuple[str, object]] = [(name, value) for name, value in config.model_dump(exclude={"rule"}).items()]
    while stack:
        key, value = stack.pop()
        if isinstance(value, dict):
            stack.extend((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            flat[key] = value
    return flat


LIVE = (
    "rule.",
    "policy.",
    "sampling.",
    "collectors.",
    "guard.min_interval",
    "guard.max_interval",
    "guard.fill_rate",
    "guard.low",
    "log.level",
    "api.allowed_hosts",
    "api.tokens_file",
    "api.admin_group",
    "api.anonymous_read",
    "actions.grace",
    "actions.settle",
    "actions.terminals",
    "actions.throttle_limit",
    "actions.freeze_limit",
    "actions.approval",
    "actions.workload_patience",
    "actions.workload_grace_limit",
)
"""Keys, or beginnings of keys, that a reload puts into force; all others wait for a restart."""


def needs_restart(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the changed keys that a reload can't put into force."""
    return tuple(key for key in keys if not key.startswith(LIVE))
