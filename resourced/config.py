"""ResourceConfig: everything that can be set, with its unit, its default and its bounds.

It is read from files, the environment and the command line by `resourced.configfiles`. Defaults that depend on who runs
the daemon (directories, the socket) are None here and are found by `state_directory` and `runtime_directory`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from resourced.config_api import ApiConfig, socket_path
from resourced.config_collectors import CollectorConfig, CollectorsConfig, SamplingConfig
from resourced.config_policy import ActionsConfig, GuardConfig, PolicyConfig
from resourced.config_rules import RuleConfig
from resourced.configkinds import AbsolutePath, Count, Duration, Section, Size, Switch, write_duration

__all__ = [
    "COLLECTORS",
    "ActionsConfig",
    "ApiConfig",
    "CollectorConfig",
    "CollectorsConfig",
    "DaemonConfig",
    "GuardConfig",
    "HistoryConfig",
    "LogConfig",
    "PolicyConfig",
    "ResourceConfig",
    "RetentionConfig",
    "RuleConfig",
    "SamplingConfig",
    "runtime_directory",
    "socket_path",
    "state_directory",
]

COLLECTORS: tuple[str, ...] = tuple(CollectorsConfig.model_fields)
"""Names of the collectors."""

Retention = Annotated[Duration, Field(ge=60, le=100 * 31536000)]


class RetentionConfig(Section):
    """How long what was seen is remembered, by how finely it is known."""

    raw: Retention = 7 * 86400.0
    """Every sample."""
    minute: Retention = 90 * 86400.0
    """Least, greatest and mean of each minute."""
    hour: Retention = 2 * 31536000.0
    """Least, greatest and mean of each hour."""
    groups: Retention = 2 * 86400.0
    """The largest processes and cgroups, which are recorded every 5 s and at each decision."""
    decisions: Retention = 2 * 31536000.0
    """Decisions, their evidence, and what came of them."""
    events: Retention = 90 * 86400.0
    """What the daemon logged that is worth keeping."""


class HistoryConfig(Section):
    """What is remembered."""

    enabled: Switch = True
    """Whether anything is written to disk. The last memory_window is remembered in any case."""
    directory: AbsolutePath | None = None
    """Where the store is. By default $STATE_DIRECTORY; else /var/lib/resourced for root, and resourced in
    $XDG_STATE_HOME for others."""
    flush_interval: Annotated[Duration, Field(ge=1, le=300)] = 10.0
    """How often samples are written to disk, and so how many are lost if the power fails. Decisions are written at
    once."""
    memory_window: Annotated[Duration, Field(ge=60, le=86400)] = 3600.0
    """The last time of which every sample is kept in memory."""
    max_size: Annotated[Size, Field(ge=8 * 1024**2, le=1024**4)] = 256 * 1024**2
    """Most bytes on disk; beyond it the oldest samples go before their time."""
    top_processes: Annotated[Count, Field(ge=0, le=200)] = 20
    """How many processes are recorded every 5 s: so many by each of processor use, memory, I/O and GPU memory."""
    top_cgroups: Annotated[Count, Field(ge=0, le=200)] = 20
    """How many cgroups are recorded every 5 s: so many by each of processor use, memory and I/O."""
    retention: RetentionConfig = RetentionConfig()
    """How long what was seen is remembered. Nothing goes for its age in the first hour of running, nor by a clock that
    was set ahead less than an hour ago."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        kept, faults = self.retention, []
        if not kept.raw <= kept.minute <= kept.hour:
            faults.append(
                "history.retention.raw: the finer, the shorter: history.retention.raw, history.retention.minute and"
                " history.retention.hour may be equal or grow in this order"
            )
        if kept.raw < self.memory_window:
            faults.append("history.retention.raw: is shorter than history.memory_window")
        if faults:
            raise ValueError("\n".join(faults))
        return self


class LogConfig(Section):
    """The log."""

    level: Literal["critical", "error", "warning", "notice", "info", "debug"] = "info"
    """The least grave level that is told."""
    format: Literal["auto", "journald", "console", "json"] = "auto"
    """auto is journald where systemd connected standard error to the journal, console on a terminal, else json."""
    repeat_limit: Annotated[Count, Field(ge=1, le=100_000)] = 10
    """How often the same thing is told within repeat_interval; what is held back is counted."""
    repeat_interval: Annotated[Duration, Field(ge=1, le=86400)] = 60.0
    """The time that repeat_limit counts."""


class DaemonConfig(Section):
    """The process itself."""

    runtime_directory: AbsolutePath | None = None
    """Where the Unix socket is. By default $RUNTIME_DIRECTORY; else /run/resourced for root, and resourced in
    $XDG_RUNTIME_DIR for others."""
    watchdog: Switch = True
    """Whether systemd is told of every sample, if it asks (WatchdogSec=): it restarts a daemon that hangs."""
    nice: Annotated[Count, Field(ge=-20, le=19)] | None = None
    """Priority of the process; lower is more. By default that which it was started with. The confined service may not
    change it: use Nice= in its unit."""
    memory_lock: Switch = True
    """Whether the daemon's memory is kept out of swap in mode enforce with the guard on, so that it can act when all
    else waits."""
    stop_timeout: Annotated[Duration, Field(ge=0.1, le=300)] = 5.0
    """How long requests and actions under way may take when the daemon ends."""


class ResourceConfig(Section):
    """Everything that can be set. It never changes: a reload makes another."""

    sampling: SamplingConfig = SamplingConfig()
    """The tick: one sample, one judgement, one answer for everybody who asks."""
    collectors: CollectorsConfig = CollectorsConfig()
    """What is read from the machine: one table for each collector."""
    history: HistoryConfig = HistoryConfig()
    """What is remembered, and for how long."""
    policy: PolicyConfig = PolicyConfig()
    """What holds for every rule."""
    rule: tuple[RuleConfig, ...] = ()
    """When something must give way, and what."""
    actions: ActionsConfig = ActionsConfig()
    """How steps are taken."""
    guard: GuardConfig = GuardConfig()
    """The guard: looks at memory alone, more often the less is left, and judges by the same rules."""
    api: ApiConfig = ApiConfig()
    """The HTTP API."""
    log: LogConfig = LogConfig()
    """The log."""
    daemon: DaemonConfig = DaemonConfig()
    """The process itself."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [*self._timing(), *self._names()]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _timing(self) -> list[str]:
        tick, faults = self.sampling.interval, []
        told = write_duration(tick)
        if self.sampling.deadline is not None and self.sampling.deadline > tick:
            faults.append(f"sampling.deadline: is longer than sampling.interval ({told}): samples would come late")
        for name in COLLECTORS:
            each: CollectorConfig = getattr(self.collectors, name)
            key = f"collectors.{name}"
            if each.deadline is not None and each.deadline > tick:
                faults.append(f"{key}.deadline: is longer than sampling.interval ({told}): samples would come late")
        return faults

    def _names(self) -> list[str]:
        names = [rule.name for rule in self.rule]
        twice = sorted({name for name in names if names.count(name) > 1})
        return [f"rule.{name}: two rules have this name; names are unique" for name in twice]

    def hasty(self) -> dict[str, str]:
        """Return what is asked for more often than samples are taken, and so done with each sample: why, by key."""
        tick = self.sampling.interval
        asked = {f"collectors.{name}.interval": getattr(self.collectors, name).interval for name in COLLECTORS}
        asked["history.flush_interval"] = self.history.flush_interval
        text = f"is shorter than sampling.interval; {write_duration(tick)} is meant"
        return {key: text for key, interval in asked.items() if interval is not None and interval < tick}

    def interval_seconds(self, collector: str) -> float:
        """Return the time from one reading of a collector to the next, at least sampling.interval."""
        interval: float | None = getattr(self.collectors, collector).interval
        return max(interval or 0.0, self.sampling.interval)

    def deadline_seconds(self, collector: str) -> float:
        """Return how long a reading of a collector may take."""
        own: float | None = getattr(self.collectors, collector).deadline
        return own or self.sampling.deadline or 0.8 * self.sampling.interval


def state_directory(config: ResourceConfig, environ: Mapping[str, str], uid: int) -> Path:
    """Return where the history is kept.

    Args:
        config: history.directory decides, if set.
        environ: The process's environment; systemd sets STATE_DIRECTORY.
        uid: The process's effective user id.
    """
    if config.history.directory is not None:
        return config.history.directory
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    if uid == 0:
        return Path("/var/lib/resourced")
    home = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or "/") / ".local/state"
    return Path(home) / "resourced"


def runtime_directory(config: ResourceConfig, environ: Mapping[str, str], uid: int) -> Path:
    """Return where the Unix socket is made.

    Args:
        config: daemon.runtime_directory decides, if set.
        environ: The process's environment; systemd sets RUNTIME_DIRECTORY.
        uid: The process's effective user id.
    """
    if config.daemon.runtime_directory is not None:
        return config.daemon.runtime_directory
    if given := environ.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0])
    if uid == 0:
        return Path("/run/resourced")
    return Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}") / "resourced"
