"""What judging costs: a tick, a replay, a ranking, and how each grows. Run: python -m tests.bench.bench_policy."""

import time
from collections.abc import Callable

from resourced.decision import Mode
from resourced.policy import JudgeState, Rule, Tick, judge, replay
from resourced.policy.candidates import Population
from resourced.policy.observation import layout_of
from resourced.policy.ranking import rank
from tests.policy.fakes import GIB, MIB, process, rules, snapshot, tick
from tests.scenarios.profiles import profile
from tests.scenarios.recordings import ticks as recorded

HOST = {
    "memory.total": 16.0 * GIB,
    "memory.available": 8.0 * GIB,
    "memory.zfs_arc_reclaimable": None,
    "memory.utilization": 0.5,
    "memory.shmem": 0.1 * GIB,
    "swap.utilization": 0.1,
    "cpu.utilization": 0.4,
    "cpu.load_1m": 2.0,
    "memory.reclaim_rate": 0.0,
    "pressure.memory.full.share": 0.0,
    "pressure.memory.some.share": 0.0,
    "pressure.io.full.share": 0.1,
    "pressure.cpu.some.share": 0.2,
}
PLAIN = [
    ("memory.utilization", 0.9),
    ("swap.utilization", 0.9),
    ("cpu.utilization", 0.99),
    ("pressure.memory.full.share", 0.4),
    ("pressure.io.full.share", 0.8),
    ("cpu.load_1m", 64),
    ("memory.reclaim_rate", 5000),
]


def made_rules(count: int, *, derived: bool = False) -> tuple[Rule, ...]:
    """Return rules over host metrics; with `derived`, every fourth looks back over a window."""
    tables = []
    for number in range(count):
        metric, above = PLAIN[number % len(PLAIN)]
        if derived and number % 4 == 0:
            metric = f"mean({metric}, {10 + number}s)"
        tables.append({"name": f"r{number}", "metric": metric, "above": above, "for": "10s", "level": "soft"})
    return rules(*tables, mode=Mode.OBSERVE)


def made_ticks(count: int, series: int = len(HOST)) -> list[Tick]:
    """Return ticks of a healthy machine with as many series."""
    values: dict[str, float | None] = dict(HOST)
    for number in range(series - len(HOST)):
        values[f'system.disk.io_time{{system.device="d{number}"}}'] = 1.0
    layout, row = layout_of(values)
    return [Tick(1e9 + at, float(at), at, layout, row) for at in range(count)]


def seconds(work: Callable[[], object]) -> float:
    """Return the best of three runs."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def per_tick(ticks: list[Tick], compiled: tuple[Rule, ...]) -> float:
    """Return microseconds a tick of a replay."""
    return seconds(lambda: replay(ticks, compiled)) / len(ticks) * 1e6


def firing(count: int) -> float:
    """Return microseconds a tick while every rule fires."""
    tables = [{"name": f"r{n}", "metric": "memory.utilization", "above": 0.4, "for": "1s"} for n in range(count)]
    return per_tick(made_ticks(3000), rules(*tables, mode=Mode.OBSERVE))


def ranking(count: int) -> float:
    """Return milliseconds to rank as many processes."""
    processes = [
        process(10 + n, f"p{n}", uid=1000 + n % 7, memory_bytes=n * MIB, cgroup=f"/a.slice/s{n % 50}.service")
        for n in range(count)
    ]
    at = tick(0, {}, snapshot(processes=processes))
    (rule,) = rules(
        {
            "name": "r",
            "level": "hard",
            "metric": "memory.available",
            "below": "5%",
            "scope": "process",
            "rank": ["over_share", "largest", "newest", "lowest_priority"],
        }
    )
    return seconds(lambda: rank(Population(at, "memory"), rule, {})) * 1e3


def single(count: int, series: int) -> float:
    """Return microseconds of one evaluation in which every rule is looked at closely and its verdict is asked for."""
    compiled, ticks = made_rules(count, derived=True), made_ticks(2, series)
    state = judge(JudgeState.empty(), ticks[0], compiled).state
    return seconds(lambda: judge(state, ticks[1], compiled).verdict) * 1e6


def main() -> None:
    """Print the tables."""
    rate = 1e6 / per_tick(made_ticks(20_000), made_rules(20))
    print(f"replay, 20 rules over host metrics        {rate:>10,.0f} ticks/s   (at least 20,000)")
    rate = 1e6 / per_tick(made_ticks(20_000), made_rules(20, derived=True))
    print(f"replay, a quarter of them over windows    {rate:>10,.0f} ticks/s")
    print(f"one evaluation with verdict, 20 x 200     {single(20, 200):>10,.1f} us        (at most 1,000)")
    print(f"ranking 1,000 processes                   {ranking(1000):>10,.2f} ms        (at most 10)")
    print("\nrules   us/tick quiet   us/tick all firing")
    for count in (1, 5, 10, 20, 50, 100):
        print(f"{count:>5} {per_tick(made_ticks(5000), made_rules(count)):>15.1f} {firing(count):>20.1f}")
    print("\nseries  us/tick, 20 rules")
    for count in (20, 50, 200, 1000):
        print(f"{count:>6} {per_tick(made_ticks(5000, count), made_rules(20)):>18.1f}")
    print("\ncandidates   ms")
    for count in (10, 100, 1000, 5000):
        print(f"{count:>10} {ranking(count):>5.2f}")
    print("\nprofile     recording   ticks/s  prunes  false/day  minutes of warning")
    for name in ("default", "desktop", "gpu-server", "ci-runner"):
        for recording in ("quiet", "host", "leak", "burst"):
            past = list(recorded(recording))
            start = time.perf_counter()
            result = replay(past, profile(name))
            speed = len(past) / (time.perf_counter() - start)
            days = ((result.end or 0) - (result.start or 0)) / 86400
            warned = ", ".join(
                "none" if k.seconds_before is None else f"{k.seconds_before / 60:.1f}" for k in result.kills
            )
            false = result.false_prunes / days
            print(f"{name:<11} {recording:<9} {speed:>9,.0f} {result.prunes:>7} {false:>10.1f}  {warned}")


if __name__ == "__main__":
    main()
