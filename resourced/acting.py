"""Acting, tied to the rest: decisions come from the manager, and what came of them goes to history, log and API."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from resourced.actions import Action, Claims, Executor, Ledger, Machine, Settings, Target, Workloads, all_actions
from resourced.clock import Clock, SystemClock, read_boot_id
from resourced.collectors.base import Roots
from resourced.decision import Candidate, Decision, Outcome, Step
from resourced.deed import Deed
from resourced.errors import ActionRefused
from resourced.guard import Guard, GuardSettings
from resourced.manager import Report, ResourceManager, State
from resourced.policy import Judgement, Look, Need, Rule, calm, look_again, need_of
from resourced.rivals import Rival, describe_rivals, killers_of

_FRESH_SECONDS = 0.25
"""A sample that is no older counts as taken now."""
_RIVALS_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
"""How long people wait for the thread that acts, which may be within a step."""


class Record(Protocol):
    """What acting asks of the history."""

    def record(self, item: Outcome) -> None:
        """Remember an outcome, at once."""
        ...


class LiveWorld:
    """The machine as those who act see it.

    Args:
        manager: Samples and judges.
        history: Remembers.
        report: Writes to the log.
        ledger: What can be undone.
        roots: Where the kernel's trees are.
        workloads: Who is told before anything is done.
    """

    def __init__(
        self,
        manager: ResourceManager,
        history: Record,
        *,
        report: Report,
        ledger: Ledger,
        interrupted: Callable[[], bool],
        roots: Roots,
        workloads: Workloads,
    ) -> None:
        self.clock: Clock = SystemClock()
        self.workloads = workloads
        self.ledger = ledger
        self.claims = Claims()
        self.claims.backoff.keep(ledger.alone)
        self.actions: Mapping[Step, Action] = all_actions(self.clock)
        self._manager = manager
        self._history = history
        self._report = report
        self._interrupted = interrupted
        self._roots = roots

    def rules(self) -> Sequence[Rule]:
        return self._manager.rules

    def need(self, decision: Decision) -> Need:
        state = self._manager.state
        if state is None or state.judgement is None:
            return Need.UNKNOWN
        if state.snapshot.monotonic_seconds < decision.monotonic_seconds or not self._manager.knows(decision):
            return Need.UNKNOWN  # the guard decided since: the manager's next judgement knows of it
        return need_of(state.judgement, self._manager.rules, decision)

    def calm(self, decision: Decision) -> bool:
        state = self._manager.state
        return state is not None and state.judgement is not None and calm(state.judgement, decision)

    def available(self) -> tuple[int, float] | None:
        state = self._manager.state
        memory = None if state is None else state.snapshot.memory
        if state is None or memory is None or memory.available_bytes is None:
            return None
        return state.snapshot.sequence, float(memory.available_bytes)

    def look(self, decision: Decision, candidate: Candidate, *, fresh: bool) -> Look:
        state = self._manager.state
        age = self.clock.monotonic() - state.snapshot.monotonic_seconds if state is not None else 0.0
        if state is None or (fresh and age > _FRESH_SECONDS):
            state = self._manager.tick()
        late = state.snapshot.monotonic_seconds < decision.monotonic_seconds
        if state.judgement is None or late or not self._manager.knows(decision):
            return Look(Need.UNKNOWN)
        compared = self._manager.compared()
        before = compared[1] if compared is not None else None
        return look_again(state.judgement, self._manager.rules, decision, candidate, before)

    def open(self, candidate: Candidate, look: Look) -> Target:
        return Target.open(candidate, look.members, roots=self._roots, myself=self._manager.myself)

    def interrupted(self) -> bool:
        return self._interrupted()

    def report(self, event: str, fields: Mapping[str, Any]) -> None:
        self._report(event, fields)

    def record(self, outcome: Outcome) -> None:
        self._history.record(outcome)
        self._manager.tell(outcome)


class GuardView:
    """The daemon as the guard sees it.

    Args:
        manager: Samples and judges.
        executor: Goes on with what the guard began.
        world: What the executor acts in.
    """

    def __init__(self, manager: ResourceManager, executor: Executor, world: LiveWorld) -> None:
        self._manager = manager
        self._executor = executor
        self._world = world

    def judgement(self) -> Judgement | None:
        state = self._manager.state
        return None if state is None else state.judgement

    def rules(self) -> tuple[Rule, ...]:
        return self._manager.rules

    def did(self, deed: Deed) -> None:
        self._manager.adopt(deed.decision)
        self._executor.post(lambda machine: self._write_down(machine, deed))

    def hurry(self) -> None:
        self._executor.post(lambda machine: machine.hurry("memory"))

    def trouble(self, event: str, reason: str) -> None:
        self._executor.post(lambda _: self._world.report(event, {"reason": reason}))

    def _write_down(self, machine: Machine, deed: Deed) -> None:
        """Go on with it first, then tell: by the thread that acts."""
        machine.adopt(deed.decision, deed.target, deed.step, deed.detail, deed.look, deed.began)
        milliseconds = (deed.acted - deed.began) * 1000
        told = f"{deed.detail} ({deed.decision.target.name if deed.decision.target else '?'}), {milliseconds:.1f} ms"
        self._world.report("guard_triggered", {"reason": told, "decision": deed.decision.id})
        self._manager.announce(deed.decision)


class Acting:
    """Takes the steps of decisions, and lets people approve, refuse and see them.

    Args:
        manager: Samples and judges.
        history: Remembers.
        report: Writes to the log.
        settings: How steps are taken.
        guard: How often memory is looked at between two samples; None to look only with each.
        ledger_path: Where what can be undone is kept; None to remember in memory only.
        roots: Where the kernel's trees are.
        workloads: Who is told before anything is done.
    """

    def __init__(
        self,
        manager: ResourceManager,
        history: Record,
        *,
        report: Report,
        settings: Settings,
        guard: GuardSettings | None,
        ledger_path: Path | None,
        workloads: Workloads,
        roots: Roots | None = None,
    ) -> None:
        self._manager = manager
        self._report = report
        self._roots = roots or Roots()
        self._rivals: tuple[Rival, ...] = ()
        self._killers: frozenset[str] = frozenset()
        self._rivals_due = 0.0
        self.executor = Executor(settings, self._fault)
        ledger = Ledger(ledger_path, read_boot_id(self._roots.proc), self._roots, self._fault)
        self.world = LiveWorld(
            manager,
            history,
            report=report,
            ledger=ledger,
            interrupted=lambda: self.executor.interrupted,
            roots=self._roots,
            workloads=workloads,
        )
        self.guard: Guard | None = None
        if guard is not None:
            view = GuardView(manager, self.executor, self.world)
            self.guard = Guard(view, claims=self.world.claims, ledger=ledger, settings=guard, roots=self._roots)

    def start(self) -> None:
        """Put back what an earlier process left changed, then act on decisions as they come."""
        self._manager.follow(self._on_item)
        self._manager.subscribe(self._on_state)
        self.executor.start(self.world)
        if self.guard is not None:
            self.guard.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Put back all that can be put back and end; return whether that was done in time."""
        if self.guard is not None:
            self.guard.stop()
        return self.executor.stop(timeout_seconds)

    def settle(self, settings: Settings, guard: GuardSettings | None) -> None:
        """Go on by other settings; a guard that is to begin or to end waits for the next start."""
        self.executor.settle(settings)
        if self.guard is not None and guard is not None:
            self.guard.settings = guard

    async def approve(self, decision_id: str, who: str) -> None:
        """Let a decision that waits be carried out.

        Raises:
            ActionRefused: It doesn't wait, or is no longer wanted.
        """
        await self._ask(lambda machine: machine.approve(decision_id, who))

    async def veto(self, decision_id: str, who: str) -> None:
        """Call a decision off and undo what can be undone.

        Raises:
            ActionRefused: Nothing waits or is under way for it.
        """
        await self._ask(lambda machine: machine.veto(decision_id, who))

    async def thaw(self, decision_id: str, who: str) -> None:
        """Let what a decision has frozen run on.

        Raises:
            ActionRefused: Nothing is frozen for it, or it can't be thawed.
        """
        await self._ask(lambda machine: machine.thaw(decision_id, who))

    def describe(self) -> dict[str, Any]:
        """Return what is under way, what can be undone, and who else may kill."""
        return {**self.executor.shown, "rivals": [asdict(each) for each in self._rivals]}

    def rivals(self) -> list[str]:
        """Return who else may kill on this machine, a line each."""
        return [str(each) for each in self._rivals]

    async def _ask(self, task: Callable[[Machine], None]) -> None:
        future = asyncio.wrap_future(self.executor.ask(task))
        try:
            await asyncio.wait_for(future, _ANSWER_SECONDS)
        except TimeoutError:
            raise ActionRefused("a step is being taken and has not ended yet; try again") from None

    def _on_item(self, item: Any) -> None:
        if isinstance(item, Decision):
            self.executor.submit(item)

    def _on_state(self, state: State) -> None:
        self.executor.on_state()
        now, processes = state.snapshot.monotonic_seconds, state.snapshot.processes
        if processes is None or now < self._rivals_due:
            return
        self._rivals_due = now + _RIVALS_SECONDS
        found = killers_of(processes.items)
        if found != self._killers:
            new, self._killers = found - self._killers, found
            self.executor.post(lambda _: self._meet(found, new))

    def _meet(self, found: frozenset[str], new: frozenset[str]) -> None:
        """Say who else kills here; by the thread that acts, since unit files are read for it."""
        self._rivals = describe_rivals(found)
        for rival in self._rivals:
            if rival.name in new:
                self._report("rival_found", {"rival": str(rival)})

    def _fault(self, reason: str) -> None:
        self._report("acting_failed", {"reason": reason})
