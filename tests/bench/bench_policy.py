"""What judging costs: a tick, a replay, a ranking, and how each grows. Run: python -m tests.bench.bench_policy."""

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from resourced.clock import SystemClock
from resourced.decision import Mode
from resourced.history import History, Recording
from resourced.past import past
from resourced.policy import JudgeState, Rule, Tick, judge, replay, required_metrics
from resourced.policy.candidates import Population
from resourced.policy.observation import layout_of
from resourced.policy.profiles import PROFILES
from resourced.policy.ranking import rank
from resourced.rehearsal import Policy, rehearse
from resourced.snapshot import Snapshot
from tests.bench.report import keep, table
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
SERIES: dict[str, float | None] = HOST | {f'system.disk.io_time{{system.device="d{n}"}}': 1.0 for n in range(187)}
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
    # The daemon settles after its start; what this benchmark made before must not be searched for garbage meanwhile.
    gc.collect()
    gc.freeze()
    try:
        return min(seconds(lambda: rank(Population(at, "memory"), rule, {})) for _ in range(5)) * 1e3
    finally:
        gc.unfreeze()


def single(count: int, series: int) -> float:
    """Return microseconds of one evaluation in which every rule is looked at closely and its verdict is asked for."""
    compiled, ticks = made_rules(count, derived=True), made_ticks(2, series)
    state = judge(JudgeState.empty(), ticks[0], compiled).state
    return seconds(lambda: judge(state, ticks[1], compiled).verdict) * 1e6


def from_a_store(directory: Path, compiled: tuple[Rule, ...], seconds_recorded: int = 7200) -> tuple[float, float]:
    """Return ticks a second of reading a store of 200 series, and of a rehearsal over it."""
    layout, row = layout_of(SERIES)  # a healthy machine whose values never stand still
    with History(directory, clock=SystemClock(), report=lambda *_: None) as history:
        for at in range(seconds_recorded):
            moment = Snapshot(at + 1, 1_700_000_000.0 + at, 100.0 + at, 1.0, "boot")
            history.append(moment, (layout, [None if value is None else value * (1 - at % 7 * 1e-4) for value in row]))
        history.flush()
        history.maintain()
    policy = Policy("made", compiled, 30.0)
    metrics = {each.name for each in required_metrics(compiled)}
    with Recording(directory / "history.db") as store:
        read = seconds(lambda: sum(1 for _ in past(store, 0.0, 4e9, metrics)))
        rehearsed = seconds(lambda: rehearse(store, policy, 0.0, 4e9, None))
    return seconds_recorded / read, seconds_recorded / rehearsed


_ABOUT_WARNINGS = (
    "The shipped profiles over the recordings in tests/scenarios (their README says what happens in each). A prune is"
    " false if neither a kill nor a stall followed within ten minutes."
)


def warnings() -> list[tuple[str, ...]]:
    """Return, by profile and recording, how fast it is replayed, what would be pruned, and how early."""
    rows: list[tuple[str, ...]] = []
    for name in PROFILES:
        for recording in ("quiet", "host", "leak", "burst"):
            past_ticks = list(recorded(recording))
            start = time.perf_counter()
            result = replay(past_ticks, profile(name))
            speed = len(past_ticks) / (time.perf_counter() - start)
            days = ((result.end or 0) - (result.start or 0)) / 86400
            warned = (f"{k.seconds_before / 60:.1f}" if k.seconds_before is not None else "none" for k in result.kills)
            false = f"{result.false_prunes / days:.1f}"
            lasted = f"{days * 1440:.0f} min"
            rows.append((name, recording, lasted, f"{result.prunes}", false, ", ".join(warned) or "-", f"{speed:,.0f}"))
    return rows


def costs() -> list[tuple[str, ...]]:
    """Return what is measured against a bound."""
    ticks = made_ticks(20_000)
    plain, windowed = made_rules(20), made_rules(20, derived=True)
    with tempfile.TemporaryDirectory() as directory:
        read, rehearsed = from_a_store(Path(directory), plain)
    return [
        ("replay, 20 rules over host metrics", f"{1e6 / per_tick(ticks, plain):,.0f} ticks/s", "at least 20,000"),
        ("the same, a quarter of them over windows", f"{1e6 / per_tick(ticks, windowed):,.0f} ticks/s", ""),
        ("reading their ticks from a store of 200 series", f"{read:,.0f} ticks/s", ""),
        ("rehearsal from that store, 20 rules over host metrics", f"{rehearsed:,.0f} ticks/s", "at least 20,000"),
        ("one evaluation of 20 rules over 200 series, with its verdict", f"{single(20, 200):,.0f} us", "at most 1,000"),
        ("ranking 1,000 processes by four strategies", f"{ranking(1000):.1f} ms", "at most 10"),
    ]


def main() -> None:
    """Measure and write it down."""
    parts = [
        table(("what", "measured", "bound"), costs()),
        table(
            ("rules", "us a tick, quiet", "us a tick, all firing"),
            [
                (f"{n}", f"{per_tick(made_ticks(5000), made_rules(n)):.1f}", f"{firing(n):.1f}")
                for n in (1, 5, 10, 20, 50, 100)
            ],
        ),
        table(
            ("series", "us a tick, 20 rules"),
            [(f"{n}", f"{per_tick(made_ticks(5000, n), made_rules(20)):.1f}") for n in (20, 50, 200, 1000)],
        ),
        table(("candidates", "ms to rank"), [(f"{n}", f"{ranking(n):.2f}") for n in (10, 100, 1000, 5000)]),
        _ABOUT_WARNINGS,
        table(
            ("profile", "recording", "length", "prunes", "false a day", "minutes before each kill", "ticks/s"),
            warnings(),
        ),
    ]
    keep("Policy", "python -m tests.bench.bench_policy", "\n\n".join(parts))


if __name__ == "__main__":
    main()
