"""The judge: a state, a tick and rules in; the next state, decisions and a verdict out. Nothing else is read.

A tick costs one pass over the columns that rules read and one comparison a condition. Only an instance for which
something holds, or that is not at rest, is looked at more closely; candidates are gathered only for a decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from resourced.decision import Decision, Level, Mode, Phase, Verdict
from resourced.policy import verdict as verdicts
from resourced.policy.binding import ABSENT, Binding, BoundLeaf, Instance
from resourced.policy.candidates import unread
from resourced.policy.chosen import Pruned, asks_first, call_off, choose, hold_up, in_vain, must_wait, remembered
from resourced.policy.decide import decide
from resourced.policy.observation import Tick
from resourced.policy.rule import Rule, Truth, evaluate
from resourced.policy.state import IDLE, Held, JudgeState, Standing
from resourced.policy.window import Window

GAP_SECONDS = 30.0
"""An interval between two ticks that is longer (a restart, a stop) counts for no condition."""

FLAP_SECONDS = 900.0
"""A rule that begins to fire three times within this flaps: rules below level hard then wait longer."""

REPEAT_LIMIT_SECONDS = 3600.0
"""A rule that only observes says the same thing again at longer and longer intervals, up to this."""

UNREAD_SECONDS = 5.0
"""How long a decision is put off at most because those among whom is chosen have not been read yet."""

GRAVITY = {Level.HARD: 0, Level.SOFT: 1, Level.WARN: 2}
"""Rules by how grave they are, the gravest first."""
_RESTING = (Phase.INACTIVE, Phase.PENDING, Phase.COOLING)


def gap_of(interval_seconds: float) -> float:
    """Return the longest interval between two ticks that counts, for a machine that is sampled so often."""
    return max(GAP_SECONDS, 3 * interval_seconds)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of a tick."""

    state: JudgeState
    """To be given to the next."""
    decisions: tuple[Decision, ...]
    """Taken at this tick."""
    tick: Tick
    """What was judged."""
    computed: Sequence[float | None]
    """Values by slot of the binding."""

    @property
    def verdict(self) -> Verdict:
        """Answer "should something be pruned?"; put together when asked for."""
        return verdicts.verdict(self.state, self.tick, self.computed)


def judge(state: JudgeState, tick: Tick, rules: tuple[Rule, ...], *, gap_seconds: float = GAP_SECONDS) -> Judgement:
    """Judge one tick.

    Args:
        state: What the tick before left, or JudgeState.empty(). It is not changed.
        tick: The moment; times of successive ticks on CLOCK_MONOTONIC do not decrease within a boot.
        rules: From compile_rules, the same object as long as the configuration is the same.
        gap_seconds: A longer interval since the tick before counts for no condition; more than the sampling interval.
    """
    state = _ready(state, tick, rules)
    binding = state.binding
    if binding is None:
        raise AssertionError("bound above")
    now = tick.monotonic_seconds
    computed, windows = _compute(binding, tick, state.windows)
    leaves = state.leaves
    touched = set(state.hot | binding.always)
    for number, (slot, above, threshold, instance) in enumerate(binding.scan):
        value = computed[slot]
        if value is None:
            if leaves[number] is not None:
                touched.add(instance)
        elif (value > threshold if above else value < threshold) or leaves[number] is not None:
            touched.add(instance)
    if not touched:
        quiet = JudgeState(
            state.started, now, state.boot_id, binding, windows, leaves, state.instances, state.hot, state.pruned,
            state.decisions, state.parked,
        )  # fmt: skip
        return Judgement(quiet, (), tick, computed)
    return _Pass(state, tick, binding, computed, windows, gap_seconds).run(sorted(touched))


def _ready(state: JudgeState, tick: Tick, rules: tuple[Rule, ...]) -> JudgeState:
    """Return the state bound to these rules and this layout, begun anew if the machine was booted since."""
    binding = state.binding
    if (
        binding is not None
        and binding.layout is tick.layout
        and binding.rules is rules
        and state.last is not None
        and tick.monotonic_seconds >= state.last
        and (tick.boot_id is None or tick.boot_id == state.boot_id)
    ):
        return state
    boot_id = tick.boot_id or state.boot_id
    went_back = state.last is not None and tick.monotonic_seconds < state.last
    if went_back or (boot_id and state.boot_id and boot_id != state.boot_id):
        state = state.after_boot()
    if binding is None or binding.layout != tick.layout or binding.rules is not rules or state.binding is None:
        state = state.bind(Binding(rules, tick.layout))
    elif binding.layout is not tick.layout:
        binding.layout = tick.layout
    started = tick.monotonic_seconds if state.started is None else state.started
    return JudgeState(
        started, state.last, boot_id, state.binding, state.windows, state.leaves, state.instances, state.hot,
        state.pruned, state.decisions, state.parked,
    )  # fmt: skip


def _compute(
    binding: Binding, tick: Tick, windows: tuple[Window, ...]
) -> tuple[list[float | None], tuple[Window, ...]]:
    """Return the values of all slots, with what is impossible left out, and the windows with this tick added."""
    values = tick.values
    computed: list[float | None] = [None]
    for column, low, high, ceiling in binding.reads:
        value = values[column]
        # A comparison with NaN is false, so that NaN is out of bounds too.
        if value is not None and not (low <= value <= high):
            value = None
        if value is not None and ceiling >= 0:
            limit = values[ceiling]
            if limit is not None and value > limit:
                value = None
        computed.append(value)
    if not binding.steps:
        return computed, windows
    now, wall = tick.monotonic_seconds, tick.time
    renewed = list(windows)
    for function, first, second, number, update in binding.steps:
        value = computed[first]
        if update is not None:
            renewed[number], value = update(renewed[number], now, wall, value)
        elif value is not None:
            value = _join(function, value, computed[second], absent=second == ABSENT)
        computed.append(value)
    return computed, tuple(renewed)


def _join(function: str, first: float, second: float | None, *, absent: bool) -> float | None:
    if function == "plus":
        return first if second is None or absent else first + second
    if second is None:
        return None
    if function == "minus":
        return first - second
    # A part that is greater than the whole is impossible.
    return first / second if 0 <= first <= second and second > 0 else None


class _Pass:
    """One tick's closer look at the instances that are not at rest."""

    def __init__(
        self,
        state: JudgeState,
        tick: Tick,
        binding: Binding,
        computed: list[float | None],
        windows: tuple[Window, ...],
        gap_seconds: float,
    ) -> None:
        self._before = state
        self._tick = tick
        self._binding = binding
        self._computed = computed
        self._windows = windows
        self._now = tick.monotonic_seconds
        self._gap = gap_seconds
        self._elapsed = self._now - state.last if state.last is not None else 0.0
        self._leaves = list(state.leaves)
        self._instances = list(state.instances)
        self._pruned = state.pruned
        self._decided: list[tuple[int, Decision]] = []

    def run(self, touched: list[int]) -> Judgement:
        """Judge the instances with these numbers, gravest rules first, and return what came of it."""
        for number in touched:
            self._instances[number] = self._step(number)
        firing = {n for n, each in enumerate(self._instances) if each.phase in (Phase.FIRING, Phase.CLEARING)}
        fresh = dict(self._decided)
        kept = tuple((n, d) for n, d in self._before.decisions if n in firing and n not in fresh)
        before = self._before
        state = JudgeState(
            before.started,
            self._now,
            before.boot_id,
            self._binding,
            self._windows,
            tuple(self._leaves),
            tuple(self._instances),
            frozenset(n for n, each in enumerate(self._instances) if each.phase is not Phase.INACTIVE),
            self._pruned,
            (*self._decided, *kept),
            before.parked,
        )
        return Judgement(state, tuple(decision for _, decision in self._decided), self._tick, self._computed)

    def _step(self, number: int) -> Standing:
        standing, instance = self._instances[number], self._binding.instances[number]
        resting = standing.phase in _RESTING
        raw: list[Truth] = []
        ripe: list[Truth] = []
        for offset, bound in enumerate(self._binding.leaves_of(number)):
            position = instance.first + offset
            holds = self._look(position, bound, firing=not resting)
            held = self._leaves[position]
            raw.append(holds)
            ripe.append(holds if not holds else held is not None and _ripe(bound, held))
        holds_now = evaluate(instance.rule.tree, raw)
        standing = self._mark(standing, holds_now)
        if resting:
            return self._rest(number, instance, standing, holds_now, evaluate(instance.rule.tree, ripe))
        return self._fire(number, instance, standing, holds_now)

    def _look(self, position: int, bound: BoundLeaf, *, firing: bool) -> Truth:
        """Return whether a comparison holds now, and credit the time since the last tick."""
        value, held = self._computed[bound.slot], self._leaves[position]
        holds = None if value is None else bound.leaf.holds(value, firing=firing)
        if bound.leaf.share < 1:
            self._leaves[position] = self._shared(bound, held, holds)
        elif holds:
            self._leaves[position] = self._longer(held)
        elif holds is False or (held and self._now - held.seen > max(self._gap, bound.leaf.period_seconds)):
            self._leaves[position] = None
        return holds

    def _longer(self, held: Held | None) -> Held:
        if held is None:
            return Held(0.0, self._now, 1, 1)
        unbroken = held.seen == self._before.last and self._elapsed <= self._gap
        credit = self._elapsed if unbroken else 0.0
        return Held(held.seconds + credit, self._now, held.samples + 1, held.agreeing + 1)

    def _shared(self, bound: BoundLeaf, held: Held | None, holds: Truth) -> Held | None:
        if held is None and not holds:
            return None
        oldest = self._now - bound.leaf.period_seconds
        credit = self._elapsed if holds and self._elapsed <= self._gap else 0.0
        rows = [row for row in (held.credits if held else ()) if row[0] > oldest]
        rows.append((self._now, credit, 1 if holds else 0))
        agreeing = sum(row[2] for row in rows)
        if not agreeing:
            return None
        seen = self._now if holds or held is None else held.seen
        return Held(sum(row[1] for row in rows), seen, len(rows), agreeing, tuple(rows))

    def _mark(self, standing: Standing, holds: Truth) -> Standing:
        if holds and standing.true_since is None:
            return standing._replace(true_since=self._now)
        if holds is False and standing.true_since is not None:
            return standing._replace(true_since=None)
        return standing

    def _enter(self, standing: Standing, phase: Phase) -> Standing:
        if standing.phase is phase:
            return standing
        return standing._replace(phase=phase, since=self._now, since_wall=self._tick.time)

    def _rest(self, number: int, instance: Instance, standing: Standing, holds: Truth, ripe: Truth) -> Standing:
        rule = instance.rule
        if standing.decided is not None and self._now - standing.decided < _cooldown(rule, standing, self._now):
            return self._enter(standing, Phase.COOLING)
        started = self._before.started
        warm = started is not None and self._now - started >= rule.warmup_seconds
        if ripe and warm:
            fired = (*(at for at in standing.fired if self._now - at <= FLAP_SECONDS), self._now)[-8:]
            standing = self._enter(standing, Phase.FIRING)._replace(decided=None, decisions=0, fired=fired)
            return self._decide(number, instance, standing, due=self._now)
        if holds:
            return self._enter(standing, Phase.PENDING)
        known = self._leaves[instance.first : instance.first + len(rule.leaves)]
        if not any(known):
            standing = standing._replace(true_since=None)
        if standing.true_since is None and not (standing.fired and self._now - standing.fired[-1] <= FLAP_SECONDS):
            return IDLE
        return self._enter(standing, Phase.INACTIVE)

    def _fire(self, number: int, instance: Instance, standing: Standing, holds: Truth) -> Standing:
        rule = instance.rule
        if standing.phase is Phase.CLEARING:
            self._pruned = hold_up(self._pruned, instance.key, self._now, self._elapsed)
        if holds:
            standing = self._enter(standing, Phase.FIRING)
            wait = _repeat(rule, standing, self._now)
            if standing.decided is None or self._now - standing.decided >= wait:
                due = standing.since if standing.decided is None else standing.decided + wait
                return self._decide(number, instance, standing, due=due)
            return standing
        standing = self._enter(standing, Phase.CLEARING)
        if self._now - standing.since < rule.clear_seconds:
            return standing
        self._pruned = call_off(self._pruned, instance.key, self._now)
        cooling = standing.decided is not None and self._now - standing.decided < _cooldown(rule, standing, self._now)
        return self._enter(standing, Phase.COOLING if cooling else Phase.INACTIVE)

    def _decide(self, number: int, instance: Instance, standing: Standing, *, due: float) -> Standing:
        """Take a decision, unless another target for the same resource was chosen just now, or is still dealt with.

        One without a target would be followed by the cool-down, so it waits a little for those who are still to be
        read: a daemon that was started again in the middle of a shortage must be able to help.
        """
        rule, gravity = instance.rule, GRAVITY[instance.rule.level]
        self._pruned = remembered(self._pruned, self._now)
        if rule.prunes and must_wait(self._pruned, rule.resource, gravity, rule.cooldown_seconds, self._now):
            return standing
        if rule.prunes and self._now - due < UNREAD_SECONDS and unread(self._tick, rule.scope):
            return standing
        decision = decide(
            self._tick,
            instance,
            self._binding,
            self._computed,
            self._leaves,
            held_seconds=self._now - (standing.true_since if standing.true_since is not None else self._now),
            flapping=flapping(standing, self._now),
            tried=in_vain(self._pruned, rule.resource, gravity, self._now) if rule.mode is Mode.ENFORCE else {},
        )
        self._decided.append((number, decision))
        if decision.target is not None and rule.prunes:
            late = rule.asking_seconds if rule.busy_seconds and asks_first(self._tick, decision.target) else 0.0
            about = gravity, rule.resource, decision.target.key, instance.key
            self._pruned = choose(self._pruned, Pruned(self._now, *about, rule.busy_seconds, late))
        return standing._replace(decided=self._now, decisions=standing.decisions + 1, last_id=decision.id)


def _ripe(bound: BoundLeaf, held: Held) -> bool:
    # A millisecond is forgiven: ticks come at 0.999 s and at 1.001 s.
    return held.seconds >= bound.leaf.period_seconds * bound.leaf.share - 0.001


def flapping(standing: Standing, now: float) -> bool:
    """Return whether a rule began to fire three times lately."""
    return sum(now - at <= FLAP_SECONDS for at in standing.fired) >= 3


def _cooldown(rule: Rule, standing: Standing, now: float) -> float:
    """A flapping rule waits longer; a hard one never does, since the machine would be lost."""
    if rule.level is Level.HARD or not flapping(standing, now):
        return rule.cooldown_seconds
    recent = sum(now - at <= FLAP_SECONDS for at in standing.fired)
    return rule.cooldown_seconds * float(2 ** min(recent - 2, 3))


def _repeat(rule: Rule, standing: Standing, now: float) -> float:
    """How long after a decision the next one may follow while the rule fires on."""
    wait = _cooldown(rule, standing, now)
    if rule.mode is Mode.ENFORCE and rule.prunes:
        return wait
    if not rule.prunes:
        return REPEAT_LIMIT_SECONDS
    return max(wait, min(REPEAT_LIMIT_SECONDS, max(wait, 15.0) * 2.0 ** min(standing.decisions, 12)))
