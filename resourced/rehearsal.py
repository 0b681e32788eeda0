"""Rehearsal over a recorded past: which policy, which past, and what would have been decided."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EACCES
from pathlib import Path

from resourced.config import state_directory
from resourced.configfiles import SYSTEM_DIRECTORY, Loaded, load, main_file
from resourced.decision import Decision
from resourced.errors import HistoryError
from resourced.history import Recording
from resourced.history.questions import Questions
from resourced.history.store import FILE_NAME
from resourced.parts import gap_seconds, rules_of
from resourced.past import past
from resourced.policy import Comparison, Replay, ReplayResult, Rule, compare, required_metrics
from resourced.policy.candidates import DECISIVE
from resourced.policy.lint import Finding, lint
from resourced.policy.profiles import PROFILES
from resourced.policy.replay import OOM_KILLS, STALLED
from resourced.policy.suggest import Suggestion, suggest

SYSTEM_STORE = Path("/var/lib/resourced") / FILE_NAME
"""Where the daemon of the machine keeps its history, unless its configuration says otherwise."""

_MOST_DECISIONS = 100_000


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules, and what must be known to judge by them as the daemon would."""

    name: str
    """What people call it: a file, a profile, or "the policy in force"."""
    rules: tuple[Rule, ...]
    """The rules that are not off."""
    gap_seconds: float
    """An interval between two ticks that is longer counts for no condition."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a policy would have decided, and how that differs from another or from what was decided."""

    policy: str
    """The policy."""
    result: ReplayResult
    """What it would have decided."""
    against: str
    """What it is compared with: another policy, or "what was decided"."""
    before: ReplayResult | None
    """What the other would have decided; null if it is compared with what was decided."""
    comparison: Comparison
    """What differs."""


def load_policy(name: str) -> Loaded:
    """Return the configuration that a file, or the name of a shipped profile, means; the environment has no say.

    Raises:
        ConfigError: It can't be used; the text lists every fault, one a line.
    """
    if name in PROFILES and not Path(name).exists():
        return load([], environ={}, options=[f"policy.profile={name}"])
    return load([Path(name).absolute()], environ={})


def policy_of(loaded: Loaded, name: str) -> Policy:
    """Return the policy of a configuration.

    Raises:
        ConfigError: Its rules make no sense.
    """
    return Policy(name, rules_of(loaded.config), gap_seconds(loaded.config))


def present_policy() -> Policy:
    """Return the policy in force: that of who asks if there is a file, else that of the machine.

    Raises:
        ConfigError: It can't be used.
    """
    own = main_file(os.environ, os.geteuid())
    system = SYSTEM_DIRECTORY / own.name
    loaded = load(None if own.exists() or not system.exists() else [system])
    return policy_of(loaded, "the policy in force")


def findings(loaded: Loaded) -> list[Finding]:
    """Return what is wrong or odd in the rules of a configuration, errors first, each with its place."""
    found = lint(loaded.config.rule, mode=loaded.config.policy.mode)
    placed = [
        each
        if each.rule is None
        else Finding(each.severity, each.rule, f"{loaded.origin(f'rule.{each.rule}')}: {each.text}")
        for each in found
    ]
    return [*placed, *(Finding("warning", None, text) for text in loaded.warnings)]


def find_store() -> Path:
    """Return where the history is that belongs to who asks: its own daemon's if there is one, else the machine's.

    Raises:
        ConfigError: The configuration that names it can't be used.
    """
    uid = os.geteuid()
    own = state_directory(load().config, os.environ, uid) / FILE_NAME
    return own if own.exists() or uid == 0 else SYSTEM_STORE


@contextmanager
def opened(path: Path) -> Iterator[Recording]:
    """Open a recording, or the store of a daemon that is not running.

    Raises:
        PermissionError: The caller may not read it.
        HistoryError: It can't be read, or holds nothing.
    """
    if path.exists() and not os.access(path, os.R_OK):
        raise PermissionError(EACCES, os.strerror(EACCES), str(path))
    with Recording(path) as recording:
        if recording.start is None or recording.end is None:
            raise HistoryError(f"{path} holds no samples")
        yield recording


def rehearse(questions: Questions, policy: Policy, since: float, until: float, against: Policy | None) -> Rehearsal:
    """Return what a policy would have decided over some time.

    Args:
        questions: The past.
        policy: The policy.
        since: First moment, seconds since the epoch.
        until: First moment after the last.
        against: The policy with which it is compared; None for what the daemon really decided.
    """
    course = Replay(policy.rules, gap_seconds=policy.gap_seconds)
    other = Replay(against.rules, gap_seconds=against.gap_seconds) if against else None
    for tick in past(questions, since, until, _metrics(policy, against)):
        course.see(tick)
        if other is not None:
            other.see(tick)
    result, before = course.result(), other.result() if other else None
    old = before.decisions if before else _decided(questions, since, until)
    name = against.name if against else "what was decided"
    return Rehearsal(policy.name, result, name, before, compare(old, result.decisions))


def _metrics(*policies: Policy | None) -> frozenset[str]:
    """Return the metrics that rules, decisions and the search for kills and stalls read; others need not be read."""
    rules = [rule for policy in policies if policy is not None for rule in policy.rules]
    read = {metric.name for metric in required_metrics(rules)}
    return frozenset(read | {OOM_KILLS.metric, STALLED.metric, *DECISIVE})


def _decided(questions: Questions, since: float, until: float) -> Sequence[Decision]:
    found = questions.decisions(since, until, limit=_MOST_DECISIONS)
    return sorted((each for each in found if each.time < until), key=lambda each: (each.time, each.id))


def suggestions(questions: Questions, policy: Policy, since: float, until: float) -> list[Suggestion]:
    """Return thresholds that some time speaks for, one for each comparison of which enough is known."""
    return suggest(past(questions, since, until, _metrics(policy)), policy.rules)
