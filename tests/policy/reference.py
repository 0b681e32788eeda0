"""The state machine once more, as plainly as it can be said: it keeps the whole past and works everything out anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

Truth = bool | None


@dataclass
class Sample:
    at: float
    value: float | None


@dataclass
class Choice:
    """Somebody who was chosen."""

    at: float
    who: str
    sure: bool
    """Whether nobody else can have been dealt with at that moment."""
    held_up: float = 0.0
    """Seconds in which nothing was done while it was dealt with."""
    over: bool = False
    """Whether the rule has recovered since."""


QUARTER_OF_AN_HOUR = 900
MINUTE = 60


class Reference:
    """One rule with one comparison above a threshold, and the people among whom it chooses, who never go."""

    def __init__(
        self,
        *,
        threshold: float,
        clear: float,
        period: float,
        share: float,
        clear_for: float,
        cooldown: float,
        warmup: float = 0.0,
        level: str = "hard",
        enforced: bool = True,
        ladder: float = 0.0,
        people: Sequence[str] = (),
    ) -> None:
        self.threshold = threshold
        self.clear = clear
        self.period = period
        self.share = share
        self.clear_for = clear_for
        self.cooldown = cooldown
        self.warmup = warmup
        self.level = level
        self.enforced = enforced
        self.ladder = ladder if enforced else 0.0
        self.people = people
        self.choices: list[Choice] = []
        self.past: list[Sample] = []
        self.verdicts: list[bool | None] = []
        self.phase = "inactive"
        self.clearing_since = 0.0
        self.decided: list[float] = []
        self.begun: list[float] = []

    def see(self, at: float, value: float | None) -> list[str | None]:
        """Take one sample; return whom a decision names, None if nobody; nothing if none falls."""
        if self.phase == "clearing":
            for each in self.choices:
                if self._under_way(each, self.past[-1].at):
                    each.held_up += at - self.past[-1].at
        self.past.append(Sample(at, value))
        active = self.phase in ("firing", "clearing")
        limit = self.clear if active else self.threshold
        holds = None if value is None else value > limit
        self.verdicts.append(holds)
        if active:
            return self._active(at, holds)
        if self.decided and at - self.decided[-1] < self._cooldown(at):
            self.phase = "cooling"
            return []
        if holds and self._long_enough() and at - self.past[0].at >= self.warmup:
            self.phase = "firing"
            self.begun.append(at)
            return self._decide(at)
        self.phase = "pending" if holds else "inactive"
        return []

    def _active(self, at: float, holds: Truth) -> list[str | None]:
        if holds:
            self.phase = "firing"
            busy = any(not each.over and at - each.at < self.ladder for each in self.choices)
            return [] if busy or at - self.decided[-1] < self._until_repeated(at) else self._decide(at)
        if self.phase == "firing":
            self.phase, self.clearing_since = "clearing", at
        if at - self.clearing_since >= self.clear_for:
            self.phase = "cooling" if at - self.decided[-1] < self._cooldown(at) else "inactive"
            for each in self.choices:
                each.over = True
        return []

    def _cooldown(self, at: float) -> float:
        """It doubles with every beginning within a quarter of an hour, from the third on, up to eightfold."""
        lately = len([begun for begun in self.begun if at - begun <= QUARTER_OF_AN_HOUR])
        if self.level == "hard" or lately < 3:
            return self.cooldown
        return self.cooldown * {3: 2, 4: 4}.get(lately, 8)

    def _until_repeated(self, at: float) -> float:
        """One that acts goes on after its cool-down, one that warns hourly, and one that watches ever more rarely."""
        if self.level == "warn":
            return 3600.0
        if self.enforced:
            return self._cooldown(at)
        wait = max(15.0, self._cooldown(at))
        for _ in [each for each in self.decided if each >= self.begun[-1]]:
            wait = min(3600.0, 2 * wait)
        return wait

    def _decide(self, at: float) -> list[str | None]:
        """Name the first who was not dealt with in vain lately; who may have been named only comes again."""
        self.decided.append(at)
        newest = {each.who: each for each in self.choices}
        free = [who for who in self.people if who not in newest or not self._in_vain(newest[who], at)]
        if not free:
            return [None]
        sure = self.enforced and not any(self._under_way(each, at) for who, each in newest.items() if who != free[0])
        self.choices.append(Choice(at, free[0], sure))
        return [free[0]]

    def _in_vain(self, choice: Choice, at: float) -> bool:
        return choice.sure and not choice.over and at - choice.at < self.ladder + MINUTE

    def _under_way(self, choice: Choice, at: float) -> bool:
        return not choice.over and at - choice.at < self.ladder + choice.held_up

    def _long_enough(self) -> bool:
        credit = self._shared() if self.share < 1 else self._unbroken()
        return credit >= self.period * self.share - 0.001

    def _unbroken(self) -> float:
        """Sum of the steps between neighbours that both hold, back to the last that did not or to a long hole."""
        total, newest = 0.0, None
        for index in range(len(self.past) - 1, -1, -1):
            holds, at = self.verdicts[index], self.past[index].at
            if holds is False:
                break
            if holds is None:
                continue
            if newest is not None:
                # The hole was ended at the first missing sample that came too late.
                late = [s.at for s in self.past[index + 1 :] if s.at < newest and s.at - at > max(30.0, self.period)]
                if late:
                    break
            if newest is not None and self.verdicts[index + 1]:
                step = self.past[index + 1].at - at
                total += step if step <= 30 else 0.0
            newest = at
        return total

    def _shared(self) -> float:
        total, oldest = 0.0, self.past[-1].at - self.period
        for index, sample in enumerate(self.past):
            if self.verdicts[index] and sample.at > oldest:
                step = sample.at - self.past[index - 1].at if index else 0.0
                total += step if step <= 30 else 0.0
        return total


def plainly(condition: Any, known: list[Truth]) -> Truth:
    """Whether a condition holds: certain if it comes out alike however the unknown would turn out.

    Args:
        condition: Number of a comparison, or ("all" | "any" | "not", conditions); each comparison stands there once.
        known: Truth of the comparisons by number.
    """
    unknown = [number for number, truth in enumerate(known) if truth is None]
    outcomes = set()
    for guess in product([False, True], repeat=len(unknown)):
        whole = list(known)
        for number, truth in zip(unknown, guess, strict=True):
            whole[number] = truth
        outcomes.add(_holds(condition, whole))
    return outcomes.pop() if len(outcomes) == 1 else None


def _holds(condition: Any, truths: list[Truth]) -> bool:
    if isinstance(condition, int):
        return bool(truths[condition])
    join, parts = condition
    if join == "not":
        return not _holds(parts[0], truths)
    found = [_holds(part, truths) for part in parts]
    return False not in found if join == "all" else True in found
