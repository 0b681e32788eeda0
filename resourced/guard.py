"""The guard: one thread that looks at memory alone, more often the less is left, and acts before the kernel has to.

It judges by the same rules and the same code as the manager, from where the manager's newest judgement left off. On its
way from looking to acting there is no import, no disk, no log and no lock that anybody holds for longer than a few
instructions; what it did is written down by others, afterwards.
"""

import contextlib
import gc
import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from resourced.actions import Claims, Ledger, Target
from resourced.actions.course import ENDING
from resourced.actions.handles import ProcessHandle
from resourced.actions.terminate import ask_to_end, holds_on, kill_all
from resourced.collectors.base import KeptFile, Roots, Taken
from resourced.collectors.memory import MemorySample, parse_meminfo
from resourced.decision import Candidate, Decision, Level, Mode, Step
from resourced.deed import Deed, Surroundings
from resourced.errors import ActionFailed, ActionRefused, TargetGone, Unavailable
from resourced.metrics import CATALOGUE
from resourced.policy import Judgement, JudgeState, Rule, Tick, judge, look_again
from resourced.policy.ranking import eligible
from resourced.precedence import go_first
from resourced.refresh import Refresher
from resourced.series import Series
from resourced.snapshot.memory import Memory, derive_memory
from resourced.trigger import PressureTrigger

_IDLE_SECONDS = 1.0
"""While no rule may act on memory, it is only looked whether one may by now."""
_STUCK_SECONDS = 10.0
"""Who has not ended a shortage of the last memory after this long, though hurried, is no longer waited for."""
_HOT_SECONDS = 5.0
"""How long after the kernel told of a stall it is looked as often as allowed."""


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """How often memory is looked at."""

    min_seconds: float = 0.05
    """Shortest time from one look to the next."""
    max_seconds: float = 1.0
    """Longest."""
    fill_bytes_per_second: float = 4.0 * 1024**3
    """By how much memory is believed to fill at most."""
    low_share: float = 0.05
    """Share of memory left below which it is looked as often as allowed; below half of it nobody is asked to end."""
    stall_seconds: float = 0.15
    """Time that tasks must have waited for memory within the window for the kernel to wake the guard."""
    window_seconds: float = 1.0
    """The window that the kernel looks at."""
    kill_limit: int = 10
    """Most targets that are ended in kill_interval_seconds."""
    kill_interval_seconds: float = 600.0
    """The time that kill_limit counts."""


class Guard:
    """Watches memory in a thread of its own.

    Args:
        around: What it asks of the daemon.
        claims: Who may touch somebody next.
        ledger: Read to know what a target is held by, and how many were ended lately.
        settings: How often it looks.
        roots: Where the kernel's trees are.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        claims: Claims,
        ledger: Ledger,
        settings: GuardSettings,
        roots: Roots | None = None,
    ) -> None:
        self.settings = settings
        self._around = around
        self._claims = claims
        self._ledger = ledger
        self._roots = roots or Roots()
        self._meminfo = KeptFile(self._roots.proc / "meminfo", one_record=True)
        self._refresher = Refresher(self._roots)
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._base: Judgement | None = None
        self._state = JudgeState.empty()
        self._layout: tuple[Series, ...] | None = None
        self._columns: list[tuple[int, Callable[[Memory], Any]]] = []
        self._hot_until = 0.0
        self._failed = ""
        self._hurried = 0.0
        self._scarce_since: float | None = None
        self._rehearsed = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._trigger: PressureTrigger | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.looks = 0
        """How often it has looked."""

    def start(self) -> None:
        """Begin to watch."""
        self._open_trigger()
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join(1.0)

    def look(self, now: float) -> float:
        """Look once, act if a rule asks for it, and return the seconds until the next look.

        Args:
            now: CLOCK_MONOTONIC.
        """
        base, rules = self._around.judgement(), self._around.rules()
        if base is None or base.tick.snapshot is None or not any(_grave(rule) for rule in rules):
            return _IDLE_SECONDS
        if not self._rehearsed:
            self._rehearsed = True
            self._rehearse(base, rules)
        self.looks += 1
        memory = self._read()
        stuck = self._stuck(memory, now)
        if self._claims.held("memory", 0, now) and not stuck:
            return self.settings.min_seconds
        before = self._catch_up(base)
        if stuck:
            self._claims.free("memory")
            before = before.unbound((rule.name for rule in rules if _acts(rule)), now)
        tick = self._tick(base, memory, now)
        # Without anybody to choose from, which takes most of the time, until it is known that somebody must be chosen.
        judgement = judge(before, replace(tick, source=None), rules)
        if any(self._mine(decision, rules) for decision in judgement.decisions):
            judgement = self._choose(base, before, rules, now, stuck=stuck)
        elif judgement.decisions:
            judgement = judge(before, tick, rules)
        self._state = judgement.state
        return self._period(memory, now)

    def _stuck(self, memory: Memory, now: float) -> bool:
        """Hurry whoever deals with somebody if there is no time left for it; return whether that has been in vain."""
        if not self._scarce(memory):
            self._scarce_since = None
            return False
        if now - self._hurried > _IDLE_SECONDS:
            self._hurried = now
            self._around.hurry()
        self._scarce_since = now if self._scarce_since is None else self._scarce_since
        if now - self._scarce_since < _STUCK_SECONDS:
            return False
        self._scarce_since = now
        return True

    def _rehearse(self, base: Judgement, rules: tuple[Rule, ...]) -> None:
        """Go the way to a victim once, with nobody at its end: what of it is on disk only is in memory from then on."""
        if base.tick.snapshot is None:
            return
        memory, now = self._read(), time.monotonic()
        snapshot = self._refresher.refresh(base.tick.snapshot, now)
        tick = replace(self._tick(base, memory, now), source=snapshot, preferences=self._refresher.preferences())
        judge(base.state.detached(), tick, rules)
        with contextlib.suppress(TargetGone, ActionFailed):
            myself = ProcessHandle(os.getpid(), None, self._roots)
            try:
                myself.release_memory()  # refused: it isn't dying
            finally:
                myself.close()

    def _choose(
        self, base: Judgement, before: JudgeState, rules: tuple[Rule, ...], began: float, *, stuck: bool
    ) -> Judgement:
        """Judge again by who holds what and who wishes what at this moment, and act if memory is short still."""
        with _uncollected():
            memory, now = self._read(), time.monotonic()
            snapshot = None if base.tick.snapshot is None else self._refresher.refresh(base.tick.snapshot, now)
            tick = replace(self._tick(base, memory, now), source=snapshot, preferences=self._refresher.preferences())
            judgement = judge(before, tick, rules)
            grave = [each for each in judgement.decisions if self._mine(each, rules)]
            if grave:
                ended = self._act(judgement, grave[0], memory, began)
                if stuck and ended is not None:  # should this be in vain too, it is another's turn
                    self._claims.backoff.leave(ended, began)
        return judgement

    def _run(self) -> None:
        go_first("guard")
        wait = 0.0
        while not self._stopping:
            if self._sleep(wait):
                self._hot_until = time.monotonic() + _HOT_SECONDS
            try:
                wait = self.look(time.monotonic())
            except Exception as error:  # noqa: BLE001 - whatever fails once must not leave the machine unguarded
                reason = f"{type(error).__name__}: {error}"
                if reason != self._failed:
                    self._failed = reason
                    self._around.trouble("guard_unavailable", reason)
                wait = self.settings.max_seconds
        self._meminfo.close()
        if self._trigger is not None:
            self._trigger.close()

    def _sleep(self, seconds: float) -> bool:
        """Wait until the next look is due; return whether the kernel told of a stall meanwhile."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._trigger is not None:
            poll.register(self._trigger.fileno(), select.POLLPRI)
        events = dict(poll.poll(seconds * 1000))
        if self._trigger is None or self._trigger.fileno() not in events:
            return False
        if events[self._trigger.fileno()] & select.POLLERR:
            self._trigger.close()
            self._trigger = None
            self._around.trouble("guard_unavailable", "the kernel has taken the pressure trigger back")
            return False
        return True

    def _open_trigger(self) -> None:
        try:
            self._trigger = PressureTrigger(self._roots, self.settings.stall_seconds, self.settings.window_seconds)
        except Unavailable as error:
            self._around.trouble("guard_unavailable", str(error))

    def _read(self) -> Memory:
        info = parse_meminfo(self._meminfo.read(), "/proc/meminfo")
        return derive_memory(None, Taken(MemorySample(info, {}, self._page, (), None), 0.0, 0.0, 0.0), None)

    def _catch_up(self, base: Judgement) -> JudgeState:
        """Return the state to judge from: the manager's, once it has a newer one, else what the last look left."""
        if base is not self._base:
            self._base, self._state = base, base.state.detached()
        return self._state

    def _tick(self, base: Judgement, memory: Memory, now: float) -> Tick:
        """Return the manager's newest tick with what memory is now."""
        before = base.tick
        if before.layout is not self._layout:
            self._layout, self._columns = before.layout, _columns_of(before.layout)
        row = list(before.values)
        for column, get in self._columns:
            value = get(memory)
            if value is not None:
                row[column] = value
        now = max(now, before.monotonic_seconds)
        wall = before.time + now - before.monotonic_seconds
        return replace(before, time=wall, monotonic_seconds=now, values=row)

    def _mine(self, decision: Decision, rules: Sequence[Rule]) -> bool:
        """Return whether a decision is the guard's: grave, about memory, and to be acted on by a signal at once.

        It may have no target yet: whom the newest sample does not know is found when it is brought up to date.
        """
        if decision.mode is not Mode.ENFORCE:
            return False
        rule = next((each for each in rules if each.name == decision.rule), None)
        return rule is not None and _acts(rule)

    def _act(self, judgement: Judgement, decision: Decision, memory: Memory, began: float) -> str | None:
        """End the target of a decision, or ask it to end; return its key, None if nothing was done.

        Whatever keeps it from being done is left to the manager, which decides the same a moment later, says why it
        can't be, and turns to the next candidate.
        """
        rules, myself = self._around.rules(), judgement.tick.myself
        candidate = self._first(decision, began)
        rule = next((each for each in rules if each.name == decision.rule), None)
        if rule is None or candidate is None or myself is None or self._too_many():
            return None
        decision = replace(decision, target=candidate)
        look = look_again(judgement, rules, decision, candidate)
        if not look.found or look.protected is not None:
            return None
        try:
            target = Target.open(candidate, look.members, roots=self._roots, myself=myself)
        except (TargetGone, ActionRefused, ActionFailed):
            return None
        done = self._end(rule, target, memory, began)
        if done is None:
            target.close()
            return None
        self._around.did(Deed(decision, target, *done, look, began, time.monotonic()))
        return target.key

    def _end(self, rule: Rule, target: Target, memory: Memory, began: float) -> tuple[Step, str] | None:
        """End a target, or ask it to; return what was done, also in words, or None if nothing was."""
        step = self._step(rule, memory)
        rung = next((each for each in rule.rungs if each.step is step), None)
        if rung is None:
            return None
        until = began + max(rung.grace_seconds, _IDLE_SECONDS)
        if not self._claims.take(rule.resource, target.key, 0, began, until, owner="guard"):
            return None
        try:
            if rung.step is Step.KILL:
                return rung.step, kill_all(target)
            self._let_go(target)
            return rung.step, ask_to_end(target)
        except (TargetGone, ActionFailed):
            self._claims.release(rule.resource, target.key)
            return None

    def _first(self, decision: Decision, now: float) -> Candidate | None:
        """Return the target, or who comes next if somebody wants it to be left alone, or it could not be ended."""
        alone = self._claims.backoff.left_alone
        if decision.target is None or not alone(decision.target.key, now):
            return decision.target
        return next((each for each in decision.candidates if eligible(each) and not alone(each.key, now)), None)

    def _too_many(self) -> bool:
        settings = self.settings
        boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
        return len(self._ledger.recent(boottime, settings.kill_interval_seconds)) >= settings.kill_limit

    def _step(self, rule: Rule, memory: Memory) -> Step | None:
        """Return what is to be done: there may be no time to ask."""
        steps = [rung.step for rung in rule.rungs if rung.step in ENDING]
        if Step.KILL in steps and self._scarce(memory):
            return Step.KILL
        return steps[0] if steps else None

    def _let_go(self, target: Target) -> None:
        """Thaw a target and lift its limits, since it couldn't answer; whoever keeps the ledger forgets them later."""
        if not self._ledger.changes:
            return
        for change in reversed(holds_on(self._ledger, target)):
            with contextlib.suppress(TargetGone, ActionFailed):
                self._ledger.restore(change)

    def _scarce(self, memory: Memory) -> bool:
        """Return whether so little is left that nobody can be waited for."""
        available = memory.available_bytes
        return available is not None and available < self.settings.low_share / 2 * memory.total_bytes

    def _period(self, memory: Memory, now: float) -> float:
        """Return how long nothing can happen: what is left, divided by how fast it may fill at most."""
        settings = self.settings
        if now < self._hot_until or memory.available_bytes is None:
            return settings.min_seconds
        headroom = memory.available_bytes - settings.low_share * memory.total_bytes
        return min(settings.max_seconds, max(settings.min_seconds, headroom / settings.fill_bytes_per_second))


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Put off the search for garbage: thousands of new values set it off, and it took a fifth of the judge's time."""
    usual = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if usual:
            gc.enable()


def _grave(rule: Rule) -> bool:
    """Return whether the guard cares for a rule: if it doesn't act itself, it hurries those who do."""
    return rule.level is Level.HARD and rule.resource == "memory" and rule.mode is Mode.ENFORCE


def _acts(rule: Rule) -> bool:
    """Return whether the guard acts for a rule: what is gentler than a signal has time until the next sample."""
    if not _grave(rule):
        return False
    first = next((rung.step for rung in rule.rungs if rung.step is not Step.NOTIFY), None)
    return first in ENDING


def _columns_of(layout: tuple[Series, ...]) -> list[tuple[int, Callable[[Memory], Any]]]:
    """Return where a layout holds what is read from /proc/meminfo, and how each is got from the section."""
    paths = {
        (metric.name, tuple(sorted(field.labels))): field.path.partition(".")[2]
        for metric in CATALOGUE.values()
        if metric.section == "memory" and metric.label is None
        for field in metric.fields
    }
    found: list[tuple[int, Callable[[Memory], Any]]] = []
    for column, series in enumerate(layout):
        path = paths.get((series.metric, series.labels))
        if path is not None and "." not in path and "[" not in path:
            found.append((column, attrgetter(path)))
    return found
