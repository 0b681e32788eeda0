"""What holds for every rule, how steps are taken, and the guard that watches memory between two samples."""

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from resourced.config_rules import ProtectConfig
from resourced.configkinds import Count, Duration, Fraction, Section, Size, Switch
from resourced.decision import Mode


class PolicyConfig(Section):
    """What holds for every rule."""

    profile: Literal["default", "desktop", "gpu-server", "ci-runner", "none"] = "default"
    """The shipped rules to start from; `[[rule]]` adds to them, and changes those whose name it repeats. A profile also
    says how far it goes (policy.mode), unless you do."""
    mode: Mode = Mode.OBSERVE
    """How far any rule may go: off judges nothing, observe only records what would be done, advise waits for somebody's
    approval, enforce acts."""
    warmup: Annotated[Duration, Field(ge=0, le=3600)] = 0.0
    """How long the machine must have been watched before a rule may fire, for rules that don't say."""
    cooldown: Annotated[Duration, Field(ge=0, le=86400)] = 15.0
    """How long after a decision a rule takes no further one, for rules that don't say. One that enforces also waits
    until its steps can have been taken."""
    kill_limit: Annotated[Count, Field(ge=0, le=10_000)] = 10
    """Most targets that are terminated or killed in kill_interval; beyond it the daemon only says what it would do."""
    kill_interval: Annotated[Duration, Field(ge=1, le=7 * 86400)] = 600.0
    """The time that kill_limit counts."""
    protect: ProtectConfig = ProtectConfig()
    """What is never pruned, beside what is essential to the machine; neither is a tree, unit, slice or user that holds
    a process which is meant. Patterns may hold * and ?."""
    priorities: dict[str, Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]] = Field(default_factory=dict)
    """Priority by pattern of unit: higher is more important and goes later; 0 is usual."""


def _webhook(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    else:
        if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_local(host))):
            return text
    raise ValueError(f"{text!r} can't be told; write a URL that begins with https://, or http:// on this machine")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ActionsConfig(Section):
    """How steps are taken."""

    settle: Annotated[Duration, Field(ge=0, le=300)] = 2.0
    """How long after a step the machine is left alone before its gain is measured."""
    grace: Annotated[Duration, Field(ge=0, le=3600)] = 10.0
    """How long the effect of a step is awaited before the next one, for steps of a rule that don't say."""
    terminals: Switch = True
    """Whether the owner of a target that is told to give way reads of it on every terminal."""
    workload_patience: Annotated[Duration, Field(ge=0, le=3600)] = 30.0
    """How long a registered workload that was asked to give way may take to acknowledge."""
    workload_grace_limit: Annotated[Duration, Field(ge=0, le=3600)] = 300.0
    """How long one that has acknowledged may take at most, whatever it wishes; less if the forecast leaves less."""
    throttle_limit: Annotated[Duration, Field(ge=1, le=7 * 86400)] = 3600.0
    """Limits that were put on a target expire after this, whatever happens."""
    freeze_limit: Annotated[Duration, Field(ge=1, le=86400)] = 900.0
    """A frozen target is thawed after this, whatever happens."""
    approval: Annotated[Duration, Field(ge=1, le=86400)] = 300.0
    """How long a decision waits for somebody's approval: of a rule in mode advise, or beyond policy.kill_limit."""
    webhook: Annotated[str, AfterValidator(_webhook)] | None = None
    """URL that is told of each decision and outcome, by POST of JSON: {"kind": "decision", "decision": {…}}, or
    outcome. It begins with https://, or names this machine."""
    webhook_timeout: Annotated[Duration, Field(ge=0.1, le=60)] = 5.0
    """How long telling it may take in all."""
    command: tuple[str, ...] = ()
    """Program, by its absolute path, and arguments that are run for each decision, with {"kind": "decision",
    "decision": {…}} on standard input; no shell, and no environment but PATH and LANG."""
    command_timeout: Annotated[Duration, Field(ge=0.1, le=300)] = 10.0
    """How long it may take before it is ended."""

    @model_validator(mode="after")
    def _runnable(self) -> Self:
        if self.command and not self.command[0].startswith("/"):
            raise ValueError(
                f"actions.command: {self.command[0]!r} is not an absolute path; the first word names the program from /"
            )
        return self


class GuardConfig(Section):
    """The guard: looks at memory alone, more often the less is left, and judges by the same rules."""

    enabled: Switch = True
    """Whether memory is watched between two samples."""
    min_interval: Annotated[Duration, Field(ge=0.02, le=1)] = 0.05
    """Shortest time from one look to the next."""
    max_interval: Annotated[Duration, Field(ge=0.02, le=1)] = 1.0
    """Longest time from one look to the next."""
    fill_rate: Annotated[Size, Field(ge=1024**2, le=1024**4)] = 4 * 1024**3
    """By how much a second memory is believed to fill at most: what is left, divided by it, is the time to the next
    look."""
    stall: Annotated[Duration, Field(ge=0.001, le=10)] = 0.15
    """Time that tasks must have waited for memory within stall_window for the kernel to wake the guard at once."""
    stall_window: Annotated[Duration, Field(ge=0.5, le=10)] = 1.0
    """The window that the kernel looks at. Without the right to choose, the kernel takes multiples of 2s only."""
    low: Fraction = 0.05
    """Share of memory left below which the guard looks as often as it may."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        faults = []
        if self.min_interval > self.max_interval:
            faults.append("guard.min_interval: is longer than guard.max_interval")
        if self.stall >= self.stall_window:
            faults.append("guard.stall: is not shorter than guard.stall_window, so that it could never be reached")
        if faults:
            raise ValueError("\n".join(faults))
        return self
