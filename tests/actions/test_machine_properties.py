"""Whatever comes in whatever order, the machine of courses keeps its promises."""

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resourced.actions.course import ENDING, FREEING
from resourced.decision import Candidate, Mode, Scope, Step
from resourced.errors import ActionFailed, ActionRefused, StepImpossible, TargetGone
from resourced.policy import Need
from tests.actions import fakes
from tests.actions.fakes import FakeWorld, cgroup_of, decision, machine_of

if TYPE_CHECKING:
    from resourced.actions import Machine

NAMES = ("a", "b", "c", "d")
LIMIT = 3
INTERVAL = 120.0
SETTLE = 2.0
RULES = {
    "soft": fakes.rule("soft", steps=("notify", "reclaim", "throttle", "freeze", "terminate", "kill")),
    "hard": fakes.rule("hard", steps=("terminate", "kill"), level="hard"),
    "advised": fakes.rule("advised", steps=("throttle", "terminate"), mode="advise"),
}
ERRORS: list[Exception | None] = [
    None,
    None,
    StepImpossible("means nothing"),
    TargetGone("gone"),
    ActionRefused("no"),
    ActionFailed("EPERM"),
    RuntimeError("a fault"),
]


def someone(name: str) -> Candidate:
    return Candidate(Scope.PROCESS, f"{name}:1", name, usage=50.0)


class Courses(RuleBasedStateMachine):
    """Decisions, words of people, changes of mind, faults and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = FakeWorld(*RULES.values())
        self.machine: Machine = machine_of(
            self.world, settle_seconds=SETTLE, kill_limit=LIMIT, kill_interval_seconds=INTERVAL, approval_seconds=30.0
        )
        self.number = 0
        self.approved: set[str] = set()
        self.looked_at = 0
        self.judged = 0

    @rule(name=st.sampled_from(sorted(RULES)), order=st.permutations(NAMES))
    def decide(self, name: str, order: list[str]) -> None:
        self.number += 1
        candidates = [someone(each) for each in order]
        self.machine.submit(decision(RULES[name], *candidates, number=self.number))

    @rule(number=st.integers(1, 30))
    def approve(self, number: int) -> None:
        try:
            self.machine.approve(f"{number:020x}", "uid 0")
        except ActionRefused:
            return
        self.approved.add(f"{number:020x}")

    @rule(number=st.integers(1, 30))
    def veto(self, number: int) -> None:
        try:
            self.machine.veto(f"{number:020x}", "uid 0")
        except ActionRefused:
            return
        assert all(course.decision.id != f"{number:020x}" for course in self.machine.courses)

    @rule(name=st.sampled_from(sorted(RULES)), need=st.sampled_from(Need))
    def change_need(self, name: str, need: Need) -> None:
        self.world.needs[name] = need

    @rule(name=st.sampled_from(NAMES), protected=st.booleans(), missing=st.booleans(), dead=st.booleans())
    def change_target(self, name: str, *, protected: bool, missing: bool, dead: bool) -> None:
        key = f"{name}:1"
        self.world.protected.pop(key, None)
        if protected:
            self.world.protected[key] = "it is root"
        for flag, kept in ((missing, self.world.missing), (dead, self.world.dead)):
            (kept.add if flag else kept.discard)(key)

    @rule(step=st.sampled_from(Step), error=st.sampled_from(ERRORS))
    def change_luck(self, step: Step, error: Exception | None) -> None:
        self.world.counted[step].errors.clear()
        if error is not None:
            self.world.counted[step].errors[step.value] = error

    @rule(modes=st.sampled_from(["all", "without soft", "observing"]))
    def reload(self, modes: str) -> None:
        kept = [each for name, each in RULES.items() if not (modes == "without soft" and name == "soft")]
        self.world.wanted = () if modes == "observing" else tuple(kept)

    @precondition(lambda self: self.machine.courses)
    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 5.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.clock.now += seconds
        before, world = len(self.world.done), self.world
        wait = self.machine.advance()
        new = world.done[before:]
        assert len(new) <= 1, "one victim a pass"
        assert wait is None or 0 <= wait <= 1.0
        for _, _, name in new:
            assert f"{name}:1" not in world.protected, "the protected are never touched"
            assert f"{name}:1" not in world.dead, "the dead are never touched"
            [course] = [each for each in self.machine.courses if each.candidate.name == name and each.taken]
            assert world.need(course.decision) is Need.FIRING, "only what still fires acts"
            mode = next(each.mode for each in world.wanted if each.name == course.decision.rule)
            assert mode is Mode.ENFORCE or course.decision.id in self.approved, "nothing acts unasked"

    @rule()
    def hurry(self) -> None:
        self.machine.hurry("memory")

    @invariant()
    def nobody_is_touched_while_another_settles_unless_it_is_graver(self) -> None:
        acted = [(at, step, name) for at, step, name in self.world.done if step in FREEING]
        for (before, _, first), (after, step, second) in itertools.pairwise(acted):
            if first != second and step not in ENDING:
                assert after - before >= SETTLE

    @invariant()
    def only_so_many_are_ended(self) -> None:
        ended: list[tuple[float, str]] = []
        for at, step, name in self.world.done:
            if step in ENDING and (not ended or ended[-1][1] != name):
                ended.append((at, name))
        for at, _ in ended:
            assert sum(at - INTERVAL < other <= at for other, _ in ended) <= LIMIT

    @invariant()
    def one_course_a_target(self) -> None:
        running = [each.candidate.key for each in self.machine.courses if each.status.value == "running"]
        assert len(running) == len(set(running))

    def teardown(self) -> None:
        self.machine.end()
        assert self.machine.courses == []
        assert self.world.ledger.changes == ()


class Changes(RuleBasedStateMachine):
    """Real throttling and freezing of files like the kernel's: after the end everything is as it was."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.wanted = fakes.rule("soft", steps=("throttle", "freeze", "terminate"), scope="unit")
        self.world = FakeWorld(self.wanted, directory=self.root, real=True)
        self.machine = machine_of(self.world, throttle_seconds=60.0, freeze_seconds=20.0)
        self.units = [
            cgroup_of(self.root, f"{name}.service", memory__high="max", memory__current="0409600000") for name in NAMES
        ]
        self.number = 0

    @rule(order=st.permutations(range(len(NAMES))))
    def decide(self, order: list[int]) -> None:
        self.number += 1
        self.machine.submit(decision(self.wanted, *(self.units[each] for each in order), number=self.number))

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0]), need=st.sampled_from(Need))
    def pass_time(self, seconds: float, need: Need) -> None:
        self.world.default_need = need
        self.world.clock.now += seconds
        self.machine.advance()
        self.like_the_kernel()
        held = {change.key for change in self.world.ledger.changes if change.file != "memory.high"}
        active = {each.candidate.key for each in self.machine.courses}
        assert held <= active, "nothing stays changed for which nobody asks"

    @rule()
    def recover(self) -> None:
        self.world.default_need = Need.OVER
        for _ in range(6):
            self.world.clock.now += 1.0
            self.machine.advance()
            self.like_the_kernel()
        self.all_as_before()

    @rule()
    def crash(self) -> None:
        after = FakeWorld(self.wanted, directory=self.root, real=True)
        after.clock.now = self.world.clock.now
        self.world, self.machine = after, machine_of(after, throttle_seconds=60.0, freeze_seconds=20.0)
        self.machine.advance()
        self.like_the_kernel()
        self.all_as_before()

    def like_the_kernel(self) -> None:
        """A file of the kernel holds what was written last, and nothing of what was there before."""
        for unit in self.units:
            high, freeze = (self.root / unit.name / name for name in ("memory.high", "cgroup.freeze"))
            text = high.read_text().split()[0]
            high.write_text("max\n" if text.startswith("max") else f"{text}\n")
            freeze.write_text(f"{freeze.read_text()[0]}\n")

    def all_as_before(self) -> None:
        for unit in self.units:
            assert (self.root / unit.name / "memory.high").read_text().startswith("max")
            assert (self.root / unit.name / "cgroup.freeze").read_text().startswith("0")

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.machine.end()
            self.like_the_kernel()
            self.all_as_before()
            self.folder.cleanup()


_PATIENT = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestCourses = Courses.TestCase
TestCourses.settings = _PATIENT
TestChanges = Changes.TestCase
TestChanges.settings = settings(_PATIENT, max_examples=25, stateful_step_count=25)
