"""Plays a recording: the states that were, one after the other, judged by the rules in force now."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resourced.decision import Decision, LoggedEvent, Outcome
from resourced.errors import HistoryError
from resourced.history import Recording
from resourced.history.backlog import Backlog
from resourced.history.questions import R
from resourced.listeners import Listeners
from resourced.manager import State
from resourced.past import past
from resourced.policy import Judgement, JudgeState, Rule, Tick, judge
from resourced.policy.judge import GAP_SECONDS

_SHOWN_SECONDS = 0.05
"""States are published at most so often, however fast the recording is played."""
_SLOPE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 10.0
"""A longer gap in a recording is passed over after so long."""


class Played(Recording):
    """A recording, and beside it in memory what was decided while it was played."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._decided = Backlog()

    def record(self, item: Decision | Outcome | LoggedEvent) -> None:
        """Keep a record in memory; the file isn't changed."""
        self._decided.add(item)

    def _kept(self, kind: type[R]) -> Sequence[tuple[int, R]]:
        return self._decided.kept(kind)


class Player:
    """Goes through a recording in a thread of its own, at its own pace, faster, or as fast as it can.

    Args:
        recording: What is played.
        rules: What is judged.
        speed: How many recorded seconds pass in one; 0 for as many as can be.
        gap_seconds: An interval between two samples that is longer counts for no condition.
        report: Called with the name and fields of what is worth a line in the log.

    Raises:
        HistoryError: The recording holds no samples.
    """

    def __init__(
        self,
        recording: Played,
        rules: tuple[Rule, ...],
        *,
        speed: float = 1.0,
        gap_seconds: float = GAP_SECONDS,
        report: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        if recording.start is None or recording.end is None:
            raise HistoryError("it holds no samples")
        self.start: float = recording.start
        """Wall time of the first sample."""
        self.end: float = recording.end
        """Wall time of the last."""
        self.interval_seconds = 1.0
        self.ended = threading.Event()
        """Set when the last sample was played."""
        self._recording = recording
        self._rules = rules
        self._speed = speed
        self._gap_seconds = gap_seconds
        self._report = report
        self._judged = JudgeState.empty()
        self._state: State | None = None
        self._judgement: Judgement | None = None
        self._earlier: list[Judgement] = []
        self._subscribers = Listeners()
        self._followers = Listeners()
        self._stopping = threading.Event()
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._published_at = 0.0
        self._sequence = 0

    @property
    def state(self) -> State | None:
        """The state that is being played; None before the first."""
        return self._state

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._rules

    def set_rules(self, rules: tuple[Rule, ...]) -> None:
        """Judge what is still to come by these rules."""
        self._rules = rules

    @property
    def now(self) -> float:
        """The moment that is being played, seconds since the epoch."""
        state = self._state
        return self.start if state is None else state.snapshot.time

    @property
    def age_seconds(self) -> float:
        """For how long the present state has been shown."""
        return time.monotonic() - self._published_at if self._state else 0.0

    def start_playing(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the thread has."""
        self._stopping.set()
        self._first.set()
        if self._thread.is_alive():
            self._thread.join()

    async def fresh(self) -> State:
        """Return the state that is being played, the first one as soon as there is one."""
        await asyncio.to_thread(self._first.wait)
        if self._state is None:
            raise HistoryError("the recording was closed")
        return self._state

    def compared(self) -> tuple[Judgement, Judgement | None] | None:
        """Return the newest judgement and one about half a minute older, from which slopes can be told."""
        newest = self._judgement
        if newest is None:
            return None
        return newest, self._earlier[0] if self._earlier and self._earlier[0] is not newest else None

    def subscribe(self, callback: Callable[[State], None]) -> Callable[[], None]:
        """Call back with each state that is published, from the player's thread; returns what ends it."""
        return self._subscribers.add(callback)

    def follow(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back with each decision, from the player's thread; returns what ends it."""
        return self._followers.add(callback)

    def tell(self, item: Any) -> None:
        """Hand something to those who follow."""
        self._followers.tell(item)

    def _run(self) -> None:
        count = decisions = 0
        newest: tuple[Tick, Judgement | None] | None = None
        before: Tick | None = None
        try:
            for tick in past(self._recording, self.start, self.end + 1.0):
                if before is not None and self._pause(tick.time - before.time):
                    return
                count += 1
                before = tick
                judgement = self._judge(tick)
                decided = len(judgement.decisions) if judgement else 0
                decisions += decided
                newest = tick, judgement
                if time.monotonic() - self._published_at >= _SHOWN_SECONDS or decided:
                    self._publish(*newest, count)
                    newest = None
            if newest is not None:
                self._publish(*newest, count)
            self._report("replay_ended", {"ticks": count, "decisions": decisions})
        except HistoryError as error:
            self._report("replay_failed", {"reason": str(error), "ticks": count})
        finally:
            self._first.set()
            self.ended.set()

    def _pause(self, seconds: float) -> bool:
        """Wait until the next sample is due; return whether the player was told to stop."""
        if self._speed == 0:
            return self._stopping.is_set()
        return self._stopping.wait(min(max(0.0, seconds / self._speed), _LONGEST_PAUSE_SECONDS))

    def _judge(self, tick: Tick) -> Judgement | None:
        if tick.sequence < self._sequence:  # the daemon was started again
            self._judged = self._judged.after_restart()
        self._sequence = tick.sequence
        try:
            judgement = judge(self._judged, tick, self._rules, gap_seconds=self._gap_seconds)
        except Exception as error:  # noqa: BLE001 - as live: a fault in the policy ends nothing, and decides nothing
            self._report("policy_failed", {"reason": f"{type(error).__name__}: {error}"})
            self._judged = JudgeState.empty()
            return None
        self._judged = judgement.state
        self._judgement = judgement
        if not self._earlier or tick.monotonic_seconds - self._earlier[-1].tick.monotonic_seconds >= _SLOPE_SECONDS:
            self._earlier = [*self._earlier[-1:], judgement]
        for decision in judgement.decisions:
            self._recording.record(decision)
            about = {"text": str(decision), "rule": decision.rule, "decision": decision.id}
            if decision.target is not None:
                about["target"] = decision.target.name
            self._report("replay_decision", about)
            self.tell(decision)
        return judgement

    def _publish(self, tick: Tick, judgement: Judgement | None, count: int) -> None:
        snapshot = tick.snapshot
        if snapshot is None:
            raise AssertionError("recorded ticks have a snapshot")
        # Numbered anew: the daemon that was recorded may have been restarted, and numbers only grow for readers.
        state = State(replace(snapshot, sequence=count), judgement, 0.0, 0.0)
        self._published_at = time.monotonic()
        self._state = state
        self._first.set()
        self._subscribers.tell(state)
