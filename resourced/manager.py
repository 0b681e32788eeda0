"""ResourceManager: one tick samples the machine, remembers the sample, judges it and publishes what came of it."""

import asyncio
import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from resourced.clock import Clock, SystemClock
from resourced.collectors.base import Roots
from resourced.decision import Decision, LoggedEvent, Verdict
from resourced.listeners import Listeners
from resourced.metrics import CATALOGUE
from resourced.monitor import ResourceMonitor
from resourced.policy import Judgement, JudgeState, Myself, Preference, Rule, Tick, Workload, gap_of, judge
from resourced.policy.compile import default_rules, required_metrics
from resourced.policy.judge import GRAVITY
from resourced.series import Extractor, Series
from resourced.snapshot import Snapshot
from resourced.surroundings import Preferences, read_myself, surroundings_event

Report = Callable[[str, Mapping[str, Any]], None]

_NEAREST_TICKS_SECONDS = 0.2
"""However many callers ask for a fresh sample, the machine isn't sampled more often than this."""
_NOTE_SECONDS = 10.0
"""How often it is looked whether what else the policy knows has changed and must be recorded, between decisions."""
_SURROUNDINGS_SECONDS = 6 * 3600.0
"""How often it is recorded though it has not changed: events are not kept for ever."""
_SLOPE_SECONDS = 30.0
"""Distance of the judgement with which the newest is compared to tell slopes."""
_JUMP_SECONDS = 2.0
"""A wall clock that has moved by more against the boot clock between two ticks has jumped."""


class Record(Protocol):
    """What the manager asks of the history."""

    def append(
        self,
        snapshot: Snapshot,
        values: tuple[tuple[Series, ...], Sequence[float | None]],
        *,
        everyone: bool = False,
    ) -> None:
        """Remember a sample; the values are those that were judged, and everyone is remembered if a decision fell."""
        ...

    def record(self, item: Decision | LoggedEvent) -> None:
        """Remember a decision or an event, at once."""
        ...


@dataclass(frozen=True, slots=True)
class State:
    """All that is known after a tick; replaced whole by one assignment, never changed."""

    snapshot: Snapshot
    """The sample."""
    judgement: Judgement | None
    """What the policy made of it; None if judging failed."""
    lag_seconds: float
    """How late the tick began."""
    duration_seconds: float
    """How long it took."""

    @property
    def verdict(self) -> Verdict | None:
        """Whether something should be pruned, and why."""
        return None if self.judgement is None else self.judgement.verdict


class ResourceManager:
    """Samples, remembers and judges; by itself once started, or whenever it is asked.

    A tick runs in one thread at a time. Readers take `state` without a lock.

    Args:
        monitor: What is sampled; this machine if None.
        rules: What is judged; the shipped default policy, which only observes, if None.
        history: Where samples and decisions go, if anywhere.
        clock: Tells the time.
        interval_seconds: Time from one tick to the next once started.
        report: Called with the name and fields of what is worth a line in the log.
        roots: Where the kernel's trees are mounted.
        judged: What the policy knew when the last process ended.
        workloads: Returns who is registered; nobody if None.
    """

    def __init__(  # noqa: PLR0913 - it ties together what the rooms below it give
        self,
        monitor: ResourceMonitor | None = None,
        rules: tuple[Rule, ...] | None = None,
        *,
        history: Record | None = None,
        clock: Clock | None = None,
        interval_seconds: float = 1.0,
        report: Report | None = None,
        roots: Roots | None = None,
        judged: JudgeState | None = None,
        workloads: Callable[[], tuple[Workload, ...]] | None = None,
    ) -> None:
        self.monitor = monitor or ResourceMonitor()
        self.interval_seconds = interval_seconds
        self.judged = judged or JudgeState.empty()
        self._history = history
        self._clock = clock or SystemClock()
        self._report: Report = report or (lambda _event, _fields: None)
        self._roots = roots or Roots()
        self._myself: Myself = read_myself(self._roots)
        self._note_due = 0.0
        self._noted: tuple[dict[str, Preference], tuple[Workload, ...]] = {}, ()
        self._noted_at = -math.inf
        self._workloads = workloads or tuple
        self._state: State | None = None
        self._earlier: list[Judgement] = []
        self._subscribers = Listeners()
        self._followers = Listeners()
        self._tick_lock = threading.Lock()
        self._wake = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[State]]] = []
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._offset: float | None = None
        self._adopted: deque[Decision] = deque()
        self._unnoted: set[str] = set()
        """Ids of adopted decisions of which the newest state knows nothing yet."""
        self._rules: tuple[Rule, ...] = ()
        self.set_rules(default_rules() if rules is None else rules)

    @property
    def state(self) -> State | None:
        """The newest state; None before the first tick."""
        return self._state

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._rules

    @property
    def myself(self) -> Myself:
        """Who resourced is."""
        return self._myself

    def set_rules(self, rules: tuple[Rule, ...]) -> None:
        """Judge by these rules from the next tick on; what is known of rules that stay is kept."""
        stored = {metric.name for metric in required_metrics(rules)}
        wanted = [metric for metric in CATALOGUE.values() if metric.stored or metric.name in stored]
        with self._tick_lock:
            self._rules = rules
            self._extractor = Extractor(wanted)

    def set_monitor(self, monitor: ResourceMonitor) -> ResourceMonitor:
        """Sample by another monitor from the next tick on; return the one before, which the caller closes."""
        with self._tick_lock:
            before, self.monitor = self.monitor, monitor
        return before

    def should_prune(self) -> Verdict:
        """Return whether something must give way now, with the reasons. It is true in a boolean context if so.

        Before `start`, each call samples the machine; from then on the newest sample answers.
        """
        state = self._state
        if state is None or not self.running:
            state = self.tick()
        verdict = state.verdict
        return _unknown(state.snapshot) if verdict is None else verdict

    async def ashould_prune(self) -> Verdict:
        """Like `should_prune`, without blocking the event loop."""
        if self._state is not None and self.running:
            return self.should_prune()
        return await asyncio.to_thread(self.should_prune)

    async def fresh(self) -> State:
        """Sample now and return the new state; callers that ask at the same time share one sample."""
        if not self.running:
            return await asyncio.to_thread(self.tick)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[State] = loop.create_future()
        with self._wake:
            self._waiting.append((loop, future))
            self._wake.notify()
        return await future

    def tick(self, lag_seconds: float = 0.0) -> State:
        """Sample, judge, remember and publish once; return the new state."""
        with self._tick_lock:
            began = self._clock.monotonic()
            snapshot = self.monitor.sample()
            before = self._state
            row = self._extractor.read(snapshot)
            noted = self._take_note()
            judgement = self._judge(snapshot, row)
            if self._history is not None:
                decided = judgement is not None and bool(judgement.decisions)
                self._history.append(snapshot, (self._extractor.layout, row), everyone=decided)
            if judgement is not None:
                self._tell_recovered(before.judgement if before else None, judgement)
                for decision in judgement.decisions:
                    self._write_down(decision)
            state = State(snapshot, judgement, lag_seconds, self._clock.monotonic() - began)
            self._state = state
            self._unnoted.difference_update(noted)
        # Who follows may look at once whether it is wanted still, and must then see the state that it came from.
        for decision in judgement.decisions if judgement is not None else ():
            self.tell(decision)
        self._tell_changes(before.snapshot if before else None, snapshot)
        if lag_seconds >= self.interval_seconds:
            self._report("sample_late", {"seconds": round(lag_seconds, 3)})
        self._subscribers.tell(state)
        return state

    def compared(self) -> tuple[Judgement, Judgement | None] | None:
        """Return the newest judgement and one about half a minute older, from which slopes can be told."""
        newest = self._state.judgement if self._state else None
        if newest is None:
            return None
        return newest, self._earlier[0] if self._earlier and self._earlier[0] is not newest else None

    def subscribe(self, callback: Callable[[State], None]) -> Callable[[], None]:
        """Call back with each new state, from the manager's thread; returns what ends it."""
        return self._subscribers.add(callback)

    def follow(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back with each decision as it is taken, from the manager's thread; returns what ends it."""
        return self._followers.add(callback)

    def adopt(self, decision: Decision) -> None:
        """Take note of a decision that the guard has taken by itself; it counts from the next tick on."""
        self._unnoted.add(decision.id)
        self._adopted.append(decision)

    def knows(self, decision: Decision) -> bool:
        """Return whether the newest state was judged with a decision in mind: the guard may have taken it since."""
        return decision.id not in self._unnoted

    def _take_note(self) -> list[str]:
        """Let the judge know of adopted decisions; return their ids."""
        noted = []
        while self._adopted:
            decision = self._adopted.popleft()
            noted.append(decision.id)
            rule = next((each for each in self._rules if each.name == decision.rule), None)
            if rule is not None:
                self.judged = self.judged.with_decision(decision, rule.resource, GRAVITY[rule.level])
        return noted

    def tell(self, item: Any) -> None:
        """Hand something that was recorded to those who follow."""
        self._followers.tell(item)

    @property
    def running(self) -> bool:
        """Whether ticks come by themselves."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Tick by itself from now on, in a thread of its own."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the ticks; returns when the one under way is over."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        due = self._clock.monotonic()
        if self._state is not None:
            due = max(due, self._state.snapshot.monotonic_seconds + self.interval_seconds)
            self._rest(due, due - self.interval_seconds)
        while not self._stopping:
            with self._wake:
                waiting, self._waiting = self._waiting, []
            now = self._clock.monotonic()
            state = self.tick(max(0.0, now - due) if now >= due else 0.0)
            _answer(waiting, state)
            now = self._clock.monotonic()
            if now >= due:
                due += self.interval_seconds * (1 + (now - due) // self.interval_seconds)
            self._rest(due, now)
        _answer(self._waiting, self._state)

    def _rest(self, due: float, ended: float) -> None:
        """Wait for the next tick, or for somebody who asks for one earlier."""
        with self._wake:
            while not self._stopping:
                now = self._clock.monotonic()
                until = min(due, max(now, ended + _NEAREST_TICKS_SECONDS)) if self._waiting else due
                if until <= now:
                    return
                self._wake.wait(until - now)

    def _judge(self, snapshot: Snapshot, row: Sequence[float | None]) -> Judgement | None:
        workloads = self._workloads()
        values = self._extractor.layout, row
        preferences = Preferences(self._roots, snapshot.cgroups.nodes if snapshot.cgroups is not None else ())
        tick = Tick.of(snapshot, values, preferences=preferences, myself=self._myself, workloads=workloads)
        try:
            judgement = judge(self.judged, tick, self._rules, gap_seconds=gap_of(self.interval_seconds))
        except Exception as error:  # noqa: BLE001 - a fault in the policy must not end sampling, nor ever prune
            self._report("policy_failed", {"reason": f"{type(error).__name__}: {error}"})
            self.judged = JudgeState.empty()
            return None
        self.judged = judgement.state
        if judgement.decisions or snapshot.monotonic_seconds >= self._note_due:
            self._note_due = snapshot.monotonic_seconds + _NOTE_SECONDS
            self._note_surroundings(tick)
        if not self._earlier or snapshot.monotonic_seconds - self._earlier[-1].tick.monotonic_seconds >= _SLOPE_SECONDS:
            self._earlier = [*self._earlier[-1:], judgement]
        return judgement

    def _note_surroundings(self, tick: Tick) -> None:
        """Record what else the policy knows, if it is something new, so that replay judges as it was judged."""
        if self._history is None:
            return
        known = dict(tick.preferences), tick.workloads
        if known == self._noted and tick.time < self._noted_at + _SURROUNDINGS_SECONDS:
            return
        self._noted, self._noted_at = known, tick.time
        self._history.record(surroundings_event(tick.time, self._myself, *known))

    def announce(self, decision: Decision) -> None:
        """Remember a decision, log it and tell those who follow."""
        self._write_down(decision)
        self.tell(decision)

    def _write_down(self, decision: Decision) -> None:
        if self._history is not None:
            self._history.record(decision)
        target = decision.target
        fields: dict[str, Any] = {
            "text": str(decision),
            "rule": decision.rule,
            "decision": decision.id,
            "level": decision.level.value,
            "mode": decision.mode.value,
            "instance": decision.instance,
            "expected_gain": decision.expected_gain,
        }
        if target is not None:
            fields |= {"target": target.name, "pid": target.pid, "unit": target.unit, "uid": target.uid}
        self._report("decision", {key: value for key, value in fields.items() if value not in (None, "")})

    def _tell_recovered(self, before: Judgement | None, now: Judgement) -> None:
        """Report rules that fired and do no longer."""
        firing = {(d.rule, d.instance) for _, d in now.state.decisions}
        for _, decision in before.state.decisions if before else ():
            if (decision.rule, decision.instance) not in firing:
                about = {"rule": decision.rule, "instance": decision.instance, "decision": decision.id}
                self._report("recovered", {key: value for key, value in about.items() if value})

    def _tell_changes(self, before: Snapshot | None, now: Snapshot) -> None:
        """Report collectors that went stale or came back, and a clock that jumped."""
        for name, health in now.collectors.items():
            was = before.collectors.get(name) if before else None
            failing = health.status == "stale" and health.failures > 0
            if failing and (was is None or was.status != "stale" or was.failures == 0):
                self._report("collector_stale", {"collector": name, "reason": health.reason})
            elif health.status == "ok" and was is not None and was.status == "stale" and was.failures:
                self._report("collector_recovered", {"collector": name})
        offset = self._clock.wall() - self._clock.boottime()
        if self._offset is not None and abs(offset - self._offset) > _JUMP_SECONDS:
            self._report("clock_jumped", {"seconds": round(offset - self._offset, 3)})
        self._offset = offset


def _answer(waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[State]]], state: State | None) -> None:
    for loop, future in waiting:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, future, state)


def _resolve(future: asyncio.Future[State], state: State | None) -> None:
    if not future.done():
        if state is None:
            future.cancel()
        else:
            future.set_result(state)


def _unknown(snapshot: Snapshot) -> Verdict:
    reason = "the policy could not judge this sample; see the log"
    return Verdict(False, snapshot.time, snapshot.sequence, (reason,), (), (), ())  # noqa: FBT003 - the field prune
