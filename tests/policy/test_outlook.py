from typing import Any

import pytest

from resourced.decision import Decision, Mode
from resourced.policy import Judgement, Outlook, Workload, compare, explain, outlook, replay
from resourced.policy.explain import _value
from resourced.policy.suggest import of_values, suggest, suggest_from_columns
from tests.policy.fakes import GIB, cgroup, process, rules, run, snapshot, tick

RULE: dict[str, Any] = {
    "name": "low",
    "level": "hard",
    "metric": "memory.available",
    "below": "10%",
    "for": "5s",
    "cooldown": "1h",
}
JOB, DB = "/app.slice/job.service", "/app.slice/db.service"
WHO = snapshot(
    processes=[
        process(10, "job", cgroup=JOB, memory_bytes=6 * GIB),
        process(11, "worker", ppid=10, cgroup=JOB, memory_bytes=GIB),
        process(12, "db", cgroup=DB, memory_bytes=2 * GIB, oom_score_adj=-1000),
        process(13, "small", cgroup="/app.slice/small.service", memory_bytes=GIB),
    ],
    cgroups=[
        cgroup(JOB, inode=1, anonymous_bytes=7 * GIB),
        cgroup(DB, inode=2, anonymous_bytes=2 * GIB),
        cgroup("/app.slice/small.service", inode=3, anonymous_bytes=GIB),
    ],
)


def seen(shares: list[float], *, scope: str = "unit", mode: Mode = Mode.ENFORCE, **more: Any) -> list[Judgement]:
    compiled, found, state = rules(RULE | {"scope": scope}, mode=mode), [], None
    for at, share in enumerate(shares):
        values: dict[str, float | None] = {"memory.available": share * 16 * GIB, "memory.total": 16.0 * GIB}
        _, judgement = run([tick(at, values, WHO, **more)], compiled, state)
        found.append(judgement)
        state = judgement.state
    return found


def ask(shares: list[float], *, scope: str = "unit", **who: Any) -> Outlook:
    found = seen(shares, scope=scope)
    return outlook(found[-1], found[0], **who)


def test_the_largest_learns_how_much_time_is_left() -> None:
    answer = ask([0.5, 0.48, 0.46, 0.44, 0.42], unit="job.service")
    assert answer.next
    assert not answer.prune
    assert answer.seconds_left == pytest.approx((0.42 - 0.1) / 0.02 + 5)
    assert answer.rules[0].margins[0].margin == pytest.approx(0.32)


def test_without_a_slope_no_time_is_promised() -> None:
    answer = ask([0.5, 0.5, 0.6], unit="job.service")
    assert answer.seconds_left is None
    assert answer.rules[0].margins[0].seconds_left is None


@pytest.mark.parametrize("scope", ["unit", "tree", "user", "process"])
def test_a_process_finds_the_one_that_stands_for_it(scope: str) -> None:
    answer = ask([0.5], scope=scope, pid=11)
    (rule,) = answer.rules
    assert answer.found
    assert rule.candidate is not None
    assert rule.place is not None or rule.candidate.protected


def test_who_is_firing_at_is_told_so() -> None:
    answer = ask([0.05] * 8, unit="job.service")
    assert answer.prune
    assert answer.seconds_left == 0
    assert not ask([0.05] * 8, unit="small.service").prune


def test_the_protected_learns_why() -> None:
    answer = ask([0.05] * 8, unit="db.service")
    assert answer.protected == "db (pid 12) in it has an OOM score adjustment of -1000"
    assert not answer.prune


def test_who_does_not_exist_is_not_found() -> None:
    assert not ask([0.5], pid=4711).found
    assert not ask([0.5], unit="none.service").found


def test_a_workload_asks_by_its_lease() -> None:
    leases = (Workload("7", "train", pid=10),)
    found = seen([0.5], scope="workload", workloads=leases)
    answer = outlook(found[-1], None, workload="7")
    assert answer.next
    assert answer.rules[0].candidate is not None
    assert answer.rules[0].candidate.name == "train"


def test_all_waits_for_the_last_and_any_for_the_first() -> None:
    parts = [{"metric": "memory.available", "below": "10%"}, {"metric": "memory.available", "below": "20%"}]
    for join, seconds in (("all", 20), ("any", 10)):
        compiled, state, found = rules({"name": "r", "level": "hard", join: parts, "scope": "unit"}), None, []
        for at, share in enumerate([0.31, 0.30]):
            values: dict[str, float | None] = {"memory.available": share * 16 * GIB, "memory.total": 16.0 * GIB}
            _, judgement = run([tick(at, values, WHO)], compiled, state)
            state = judgement.state
            found.append(judgement)
        assert outlook(found[1], found[0], unit="job.service").seconds_left == pytest.approx(seconds, rel=0.01)


def decided(mode: Mode = Mode.ENFORCE, **more: Any) -> Decision:
    compiled = rules(RULE | {"for": 0} | more, mode=mode)
    decisions, _ = run([tick(0, {"memory.available": 0.05 * 16 * GIB, "memory.total": 16.0 * GIB}, WHO)], compiled)
    return decisions[0]


def test_an_explanation_says_when_who_why_and_what_follows() -> None:
    text = explain(decided())
    for part in (
        "Rule low (hard) fired",
        "was 5 %, below 10 %",
        "job.service must give way",
        "largest 1.00",
        "7.0 GiB would be freed",
        "terminate, then kill",
        "db.service (db (pid 12) in it has an OOM score adjustment of -1000)",
        "It is enforced.",
    ):
        assert part in text


def test_an_explanation_of_a_decision_without_a_target() -> None:
    text = explain(decided(min_gain="15GiB"))
    assert "No target: nothing that may be pruned would free enough." in text
    assert "Most is held by job.service (7.0 GiB)" in text
    assert "passed over: too little would be gained" in text
    assert "the rule only warns" in explain(decided(level="warn"))
    assert "only observes" in explain(decided(Mode.OBSERVE))
    assert "unless someone approves" in explain(decided(Mode.ADVISE))


def test_a_share_of_samples_is_explained_as_one() -> None:
    compiled = rules(RULE | {"for": "4s", "share": 0.5, "clear": "12%"})
    ticks = [
        tick(at, {"memory.available": share * 16 * GIB, "memory.total": 16.0 * GIB}, WHO)
        for at, share in enumerate([0.05, 0.5, 0.05, 0.05])
    ]
    assert "in 3 of 4 samples" in explain(run(ticks, compiled)[0][0])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "1", "unknown"),
        (1024.0, "By/s", "1.0 KiB/s"),
        (90, "s", "1m 30s"),
        (87, "Cel", "87 °C"),
        (3, "{process}", "3 process"),
    ],
)
def test_values_are_shown_as_people_write_them(value: float | None, unit: str, text: str) -> None:
    assert _value(value, unit) == text


def test_compare_tells_new_gone_moved_and_same() -> None:
    values: list[dict[str, float | None]] = [
        {"memory.available": (0.505 - at / 100) * 16 * GIB, "memory.total": 16.0 * GIB} for at in range(50)
    ]
    ticks = [tick(at, each, WHO) for at, each in enumerate(values)]
    old = replay(ticks, rules(RULE, RULE | {"name": "other", "level": "warn"})).decisions
    new = replay(ticks, rules(RULE | {"below": "20%"}, RULE | {"name": "third", "level": "warn"})).decisions
    found = compare(old, new)
    assert [each.rule for each in found.new] == ["third"]
    assert [each.rule for each in found.gone] == ["other"]
    assert [(each.new.rule, each.seconds) for each in found.moved] == [("low", -10)]
    assert compare(old, old).same == old


def test_a_replay_of_nothing() -> None:
    result = replay([], rules(RULE))
    assert (result.ticks, result.start, result.prunes_per_day) == (0, None, None)


def test_a_kill_belongs_to_the_decision_before_it() -> None:
    def one(at: int) -> dict[str, float | None]:
        low = 0.05 if 100 <= at < 130 else 0.5
        return {"memory.available": low * 16 * GIB, "memory.total": 16.0 * GIB, "memory.oom_kills": float(at >= 120)}

    result = replay([tick(at, one(at), WHO) for at in range(300)], rules(RULE))
    (kill,) = result.kills
    assert kill.seconds_before == 15
    assert result.false_prunes == 0
    assert result.prunes_per_day == pytest.approx(86400 / 299)


def test_a_suggestion_lies_beyond_the_worst_that_was_seen() -> None:
    compiled = rules({"name": "r", "metric": "cpu.utilization", "above": 0.5})
    ticks = [tick(at, {"cpu.utilization": 0.2 + 0.4 * (at % 100 == 0)}) for at in range(1000)]
    (found,) = suggest(ticks, compiled)
    assert 0.6 < found.suggested < 1
    assert "was passed" in found.reason
    below = rules({"name": "r", "metric": "memory.available", "below": "10%"})
    columns: dict[str, list[float | None]] = {
        "memory.available": [(40 + at % 10) * 1e7 for at in range(1000)],
        "memory.total": [1e9] * 1000,
    }
    (found,) = suggest_from_columns(columns, below)
    assert 0 < found.suggested < 0.4
    assert "was not passed" in found.reason


def test_too_little_past_suggests_nothing() -> None:
    compiled = rules({"name": "r", "metric": "cpu.utilization", "above": 0.5})
    assert of_values("r", compiled[0].leaves[0], [0.1] * 10) is None
    with pytest.raises(ValueError, match="different lengths"):
        suggest_from_columns({"cpu.utilization": [1.0], "memory.total": []}, compiled)
