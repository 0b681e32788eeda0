"""What the judge remembers between ticks: immutable, and saved as JSON so that a restart forgets nothing."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from resourced.decision import Decision, Phase
from resourced.policy.binding import Binding
from resourced.policy.chosen import Pruned, call_off, choose
from resourced.policy.window import Window, empty

VERSION = 1


class Held(NamedTuple):
    """How long a comparison has held, and how much of its period agrees."""

    seconds: float
    """Time credited: between two samples that both held; within the period if only a share must agree."""
    seen: float
    """Monotonic time of the newest sample for which it held."""
    samples: int
    """Samples since it began to hold, or in the period."""
    agreeing: int
    """Those for which it held."""
    credits: tuple[tuple[float, float, int], ...] = ()
    """(monotonic time, seconds credited, whether it held) of each sample in the period, where a share is asked for."""


class Standing(NamedTuple):
    """Where one rule stands for one instance."""

    phase: Phase = Phase.INACTIVE
    since: float = 0.0
    """Monotonic time at which the phase began."""
    since_wall: float = 0.0
    """The same, wall time."""
    true_since: float | None = None
    """Monotonic time since which the condition has held, its periods left aside."""
    decided: float | None = None
    """Monotonic time of the last decision."""
    decisions: int = 0
    """Decisions since it began to fire."""
    fired: tuple[float, ...] = ()
    """Monotonic times at which it began to fire lately."""
    last_id: str | None = None
    """The last decision's id."""


IDLE = Standing()


@dataclass(frozen=True, slots=True)
class JudgeState:
    """Everything that the judge remembers."""

    started: float | None = None
    """Monotonic time of the first tick."""
    last: float | None = None
    """Monotonic time of the last tick."""
    boot_id: str | None = None
    """Boot to which monotonic times belong."""
    binding: Binding | None = None
    """Rules and layout to which the tuples below belong."""
    windows: tuple[Window, ...] = ()
    leaves: tuple[Held | None, ...] = ()
    instances: tuple[Standing, ...] = ()
    hot: frozenset[int] = frozenset()
    """Numbers of the instances that are not inactive."""
    pruned: tuple[Pruned, ...] = ()
    """Targets chosen lately, oldest first."""
    decisions: tuple[tuple[int, Decision], ...] = ()
    """Decisions behind the instances that fire, by number."""
    parked: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What belongs to rules or instances that aren't there now: windows, leaves and instances by key."""

    @classmethod
    def empty(cls) -> "JudgeState":
        """Return the state of a judge that has seen nothing."""
        return cls()

    def keyed(self) -> dict[str, dict[str, Any]]:
        """Return windows, leaves and instances by key, with what is parked."""
        parts = {name: dict(self.parked.get(name, {})) for name in ("windows", "leaves", "instances")}
        if self.binding is not None:
            parts["windows"].update(zip(self.binding.windows, self.windows, strict=True))
            parts["leaves"].update(
                (bound.key, held) for bound, held in zip(self.binding.leaves, self.leaves, strict=True) if held
            )
            parts["instances"].update(
                (bound.key, standing)
                for bound, standing in zip(self.binding.instances, self.instances, strict=True)
                if standing is not IDLE
            )
        return parts

    def bind(self, binding: Binding) -> "JudgeState":
        """Return the same state for other rules or another layout."""
        parts = self.keyed()
        windows = tuple(parts["windows"].pop(key, None) or empty() for key in binding.windows)
        leaves = tuple(parts["leaves"].pop(bound.key, None) for bound in binding.leaves)
        instances = tuple(parts["instances"].pop(bound.key, IDLE) for bound in binding.instances)
        hot = frozenset(number for number, each in enumerate(instances) if each.phase is not Phase.INACTIVE)
        known = {f"{each.rule.name}|{each.name}": number for number, each in enumerate(binding.instances)}
        decisions = tuple(
            (known[f"{decision.rule}|{decision.instance}"], decision)
            for _, decision in self.decisions
            if f"{decision.rule}|{decision.instance}" in known
        )
        parked = {name: dict(list(part.items())[-_MOST_PARKED:]) for name, part in parts.items()}
        # For a rule or an instance that is there no more, or may not act any more, nothing is done any more either.
        acting, pruned = {each.key for each in binding.instances if each.rule.busy_seconds}, self.pruned
        for by in {each.by for each in pruned} - acting:
            pruned = call_off(pruned, by, self.last or 0.0)
        return JudgeState(
            self.started,
            self.last,
            self.boot_id,
            binding,
            windows,
            leaves,
            instances,
            hot,
            pruned,
            decisions,
            parked,
        )

    def after_boot(self) -> "JudgeState":
        """Return what outlives a reboot: the means of earlier days, which hang on wall time."""
        kept = {key: window for key, window in self.keyed()["windows"].items() if "seasonal(" in key}
        return JudgeState(parked={"windows": kept})

    def after_restart(self) -> "JudgeState":
        """Return what outlives the process: targets chosen before are not dealt with by anybody any more.

        Were they remembered, the next decision would pass over the very one that is still in the way.
        """
        return replace(self, pruned=())

    def unbound(self, names: Iterable[str], now: float) -> "JudgeState":
        """Return the state in which rules of these names, and no others, may decide now, whoever is dealt with.

        Args:
            names: Of rules.
            now: Monotonic time.
        """
        if self.binding is None:
            return self
        free = frozenset(names)
        instances = tuple(
            each._replace(decided=None if bound.rule.name in free else now)
            for bound, each in zip(self.binding.instances, self.instances, strict=True)
        )
        return replace(self, instances=instances, pruned=())

    def detached(self) -> "JudgeState":
        """Return the same state sharing nothing that grows, for another thread to judge on from there."""
        return replace(self, windows=tuple(window.detached() for window in self.windows))

    def with_decision(self, decision: Decision, resource: str, gravity: int) -> "JudgeState":
        """Return the state after somebody else, judging by the same rules, has taken a decision."""
        if self.binding is None or decision.target is None:
            return self
        instances, decisions = list(self.instances), self.decisions
        new = Pruned(decision.monotonic_seconds, gravity, resource, decision.target.key)
        for number, bound in enumerate(self.binding.instances):
            if (bound.rule.name, bound.name) == (decision.rule, decision.instance):
                before, now = instances[number], decision.monotonic_seconds
                new = new._replace(by=bound.key, busy=bound.rule.busy_seconds)
                fired = before.phase in (Phase.FIRING, Phase.CLEARING)
                instances[number] = before._replace(
                    phase=Phase.FIRING,
                    since=before.since if fired else now,
                    since_wall=before.since_wall if fired else decision.time,
                    true_since=now if before.true_since is None else before.true_since,
                    decided=now,
                    decisions=before.decisions + 1 if fired else 1,
                    fired=before.fired if fired else (*before.fired, now)[-8:],
                    last_id=decision.id,
                )
                decisions = ((number, decision), *(each for each in decisions if each[0] != number))
        hot = frozenset(number for number, each in enumerate(instances) if each.phase is not Phase.INACTIVE)
        pruned = choose(self.pruned, new)
        return replace(self, instances=tuple(instances), hot=hot, decisions=decisions, pruned=pruned)

    def to_json(self) -> str:
        """Return the state as text, for `from_json`."""
        parts = self.keyed()
        return json.dumps(
            {
                "version": VERSION,
                "started": self.started,
                "last": self.last,
                "boot_id": self.boot_id,
                "pruned": self.pruned,
                "windows": {key: window.to_json() for key, window in parts["windows"].items()},
                "leaves": parts["leaves"],
                "instances": parts["instances"],
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> "JudgeState":
        """Return the state that `to_json` wrote.

        Raises:
            ValueError: The text is something else, or of another version.
        """
        try:
            saved = json.loads(text)
            if saved["version"] != VERSION:
                raise ValueError(f"state of the policy has version {saved['version']!r}, expected {VERSION}")
            parts: dict[str, dict[str, Any]] = {
                "windows": {key: Window.from_json(each) for key, each in saved["windows"].items()},
                "leaves": {key: _held(each) for key, each in saved["leaves"].items()},
                "instances": {key: _standing(each) for key, each in saved["instances"].items()},
            }
            pruned = tuple(Pruned(*each) for each in saved["pruned"])
            return cls(saved["started"], saved["last"], saved["boot_id"], pruned=pruned, parked=parts)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"this is not a state of the policy: {error!r}") from error


_MOST_PARKED = 256


def _held(saved: list[Any]) -> Held:
    seconds, seen, samples, agreeing, credits_ = saved
    return Held(seconds, seen, samples, agreeing, tuple((at, credit, hit) for at, credit, hit in credits_))


def _standing(saved: list[Any]) -> Standing:
    phase, since, since_wall, true_since, decided, decisions, fired, last_id = saved
    return Standing(Phase(phase), since, since_wall, true_since, decided, decisions, tuple(fired), last_id)
