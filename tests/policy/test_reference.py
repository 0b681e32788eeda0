"""The judge against a slow, plain state machine that was written independently of it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resourced.decision import Mode
from resourced.policy import JudgeState, judge
from resourced.policy.rule import Join, Node, Tree, evaluate
from tests.policy.fakes import GIB, cgroup, rules, snapshot, tick
from tests.policy.reference import Reference, plainly

SERVICES = [cgroup(f"/a.slice/{name}.service", anonymous_bytes=GIB * 8, inode=n) for n, name in enumerate("ab")]
HOG = snapshot(cgroups=SERVICES)
LADDERS = {"hard": 3 + 5 + 2, "soft": 10 + 5 + 15 + 10 + 2, "warn": 0}
"""Graces of the usual ladders, and 2 s to settle."""

VALUES = st.sampled_from([0.2, 0.55, 0.7, 0.85, 0.95, 0.99, None, float("nan"), -1.0])
STEPS = st.sampled_from([1.0, 1.0, 1.0, 1.0, 2.0, 0.25, 5.0, 31.0])


@settings(max_examples=400, deadline=None)
@given(
    samples=st.lists(st.tuples(STEPS, VALUES), min_size=1, max_size=100),
    period=st.sampled_from([0.0, 1.0, 3.0, 10.0]),
    share=st.sampled_from([1.0, 0.8, 0.5]),
    clear_for=st.sampled_from([0.0, 2.0, 6.0]),
    cooldown=st.sampled_from([1.0, 4.0, 20.0]),
    clear=st.sampled_from([0.8, 0.6]),
    warmup=st.sampled_from([0.0, 0.0, 7.0, 60.0]),
    level=st.sampled_from(["hard", "soft", "warn"]),
    mode=st.sampled_from([Mode.ENFORCE, Mode.OBSERVE]),
    restarts=st.sets(st.integers(0, 100), max_size=5),
)
def test_the_judge_does_what_the_reference_does(
    *,
    samples: list[tuple[float, float | None]],
    period: float,
    share: float,
    clear_for: float,
    cooldown: float,
    clear: float,
    warmup: float,
    level: str,
    mode: Mode,
    restarts: set[int],
) -> None:
    table = {
        "for": period,
        "share": share,
        "clear": clear,
        "clear_for": clear_for,
        "cooldown": cooldown,
        "warmup": warmup,
        "level": level,
    }
    _agree(samples, table, mode, restarts)


@settings(max_examples=200)
@given(
    episodes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30)), min_size=3, max_size=14),
    period=st.sampled_from([0.0, 1.0]),
    cooldown=st.sampled_from([1.0, 3.0, 10.0]),
    level=st.sampled_from(["soft", "warn", "hard"]),
    mode=st.sampled_from([Mode.ENFORCE, Mode.OBSERVE]),
    calm=st.sampled_from([1.0, 1.0, 200.0]),
    restarts=st.sets(st.integers(0, 100), max_size=3),
)
def test_the_judge_does_what_the_reference_does_when_a_rule_flaps(
    *,
    episodes: list[tuple[int, int]],
    period: float,
    cooldown: float,
    level: str,
    mode: Mode,
    calm: float,
    restarts: set[int],
) -> None:
    samples: list[tuple[float, float | None]] = []
    for high, low in episodes:
        samples += [(1.0, 0.95)] * high + [(1.0, 0.2)] * low + [(calm, 0.2)]
    table = {"for": period, "clear": 0.8, "clear_for": 0.0, "cooldown": cooldown, "level": level}
    _agree(samples, table, mode, restarts)


def _agree(samples: list[tuple[float, float | None]], table: dict[str, Any], mode: Mode, restarts: set[int]) -> None:
    """Judge samples (seconds since the one before, value) both ways, tick by tick."""
    compiled = rules({"name": "r", "metric": "memory.utilization", "above": 0.8, **table}, mode=mode)
    plain = Reference(
        threshold=0.8,
        clear=table["clear"],
        period=table["for"],
        share=table.get("share", 1.0),
        clear_for=table["clear_for"],
        cooldown=table["cooldown"],
        warmup=table.get("warmup", 0.0),
        level=table["level"],
        enforced=mode is Mode.ENFORCE,
        ladder=LADDERS[table["level"]],
        people=[] if table["level"] == "warn" else ["a.service", "b.service"],
    )
    state, at = JudgeState.empty(), 0.0
    for number, (step, value) in enumerate(samples):
        at += step
        judgement = judge(state, tick(at, {"memory.utilization": value}, HOG), compiled)
        state = judgement.state
        if number in restarts:
            state = JudgeState.from_json(state.to_json())
        possible = value is not None and 0 <= value <= 1
        expected = plain.see(at, value if possible else None)
        named = [each.target.name if each.target else None for each in judgement.decisions]
        assert (named, judgement.state.instances[0].phase.value) == (expected, plain.phase)


TREES = st.recursive(
    st.just(0),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("not"), st.lists(inner, min_size=1, max_size=1)),
    ),
    max_leaves=6,
)


def _numbered(shape: Any, count: list[int]) -> tuple[Any, Tree]:
    """Number the comparisons of a shape; return it as the reference and as the judge has it."""
    if shape == 0:
        count[0] += 1
        return count[0] - 1, count[0] - 1
    join, parts = shape
    both = [_numbered(part, count) for part in parts]
    return (join, [one for one, _ in both]), Node(Join(join), tuple(other for _, other in both))


@given(shape=TREES, truths=st.lists(st.sampled_from([True, False, None]), min_size=12, max_size=12))
def test_conditions_hold_when_they_hold_however_the_unknown_turns_out(shape: Any, truths: list[bool | None]) -> None:
    count = [0]
    plain, tree = _numbered(shape, count)
    known = truths[: count[0]]
    assert evaluate(tree, known) is plainly(plain, known)
