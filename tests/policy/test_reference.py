"""The judge against a slow, plain state machine that was written independently of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from resourced.policy import JudgeState, judge
from tests.policy.fakes import GIB, cgroup, rules, snapshot, tick
from tests.policy.reference import Reference

SERVICES = [cgroup(f"/a.slice/{name}.service", anonymous_bytes=GIB * 8, inode=n) for n, name in enumerate("ab")]
HOG = snapshot(cgroups=SERVICES)

VALUES = st.sampled_from([0.2, 0.55, 0.7, 0.85, 0.95, 0.99, None, float("nan"), -1.0])
STEPS = st.sampled_from([1.0, 1.0, 1.0, 1.0, 2.0, 0.25, 5.0, 31.0])


@settings(max_examples=400, deadline=None)
@given(
    samples=st.lists(st.tuples(STEPS, VALUES), min_size=1, max_size=60),
    period=st.sampled_from([0.0, 1.0, 3.0, 10.0]),
    share=st.sampled_from([1.0, 0.8, 0.5]),
    clear_for=st.sampled_from([0.0, 2.0, 6.0]),
    cooldown=st.sampled_from([1.0, 4.0, 20.0]),
    clear=st.sampled_from([0.8, 0.6]),
    restart=st.integers(0, 60),
)
def test_the_judge_does_what_the_reference_does(
    *,
    samples: list[tuple[float, float | None]],
    period: float,
    share: float,
    clear_for: float,
    cooldown: float,
    clear: float,
    restart: int,
) -> None:
    table = {
        "name": "r",
        "level": "hard",
        "metric": "memory.utilization",
        "above": 0.8,
        "for": period,
        "share": share,
        "clear": clear,
        "clear_for": clear_for,
        "cooldown": cooldown,
    }
    compiled = rules(table)
    plain = Reference(threshold=0.8, clear=clear, period=period, share=share, clear_for=clear_for, cooldown=cooldown)
    state, at = JudgeState.empty(), 0.0
    for number, (step, value) in enumerate(samples):
        at += step
        judgement = judge(state, tick(at, {"memory.utilization": value}, HOG), compiled)
        state = judgement.state
        if number == restart:
            state = JudgeState.from_json(state.to_json())
        possible = value is not None and 0 <= value <= 1
        expected = plain.see(at, value if possible else None)
        assert (len(judgement.decisions), judgement.state.instances[0].phase.value) == (int(expected), plain.phase)
