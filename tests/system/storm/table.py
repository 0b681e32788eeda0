"""What came of many storms, as tables."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from tests.bench.report import table
from tests.system.storm.daemons import KEEPERS
from tests.system.storm.trial import SCENARIOS, STORM_SECONDS

_HEAD = (
    *("scenario", "swap", "daemon", "runs", "kernel OOM kills", "innocents dead", "runaway"),
    *("longest stall", "in the calm before", "all stalls", "least left", "10 % left to its end"),
    *("processor time", "RSS"),
)
NOISY_SECONDS = 0.1
"""A bystander that was later than this before the storm began tells of the host, not of the storm."""


def counts(run: dict[str, Any]) -> bool:
    """Return whether a run is one to compare: the machine was calm before it. One that broke the machine is."""
    return bool(run.get("broken")) or run["calm_longest_seconds"] <= NOISY_SECONDS


def tabulate(results: Sequence[dict[str, Any]]) -> str:
    """Return a row for each scenario, amount of swap and daemon: medians, and sums of who was killed."""
    order = (*SCENARIOS, *(keeper.name for keeper in KEEPERS))
    cells: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for each in results:
        cells.setdefault((each["scenario"], each["swap_mb"], each["daemon"]), []).append(each)
    keys = sorted(cells, key=lambda key: (order.index(key[0]), key[1], order.index(key[2])))
    return table(_HEAD, [_row(key, cells[key]) for key in keys])


def _row(key: tuple[str, int, str], runs: Sequence[dict[str, Any]]) -> list[str]:
    scenario, swap, daemon = key
    whole = [each for each in runs if not each.get("broken")]
    broken = len(runs) - len(whole)
    return [
        *(scenario, f"{swap} MiB" if swap else "none", daemon),
        f"{len(runs)}" + (f" ({broken} not whole)" if broken else ""),
        str(sum(each["oom_kills"] for each in whole)),
        str(sum(_innocents(each) for each in whole)),
        _ends(whole),
        _seconds_and_worst([each["longest_seconds"] for each in whole]),
        *(_seconds(_median(whole, name)) for name in ("calm_longest_seconds", "total_seconds")),
        _unit(_median(whole, "lowest_mib"), "MiB", 0),
        _seconds_and_worst([_reaction(each) for each in whole]),
        _seconds(_median(whole, "cpu_seconds")),
        _unit(_median(whole, "rss_mib"), "MiB", 0),
    ]


def _innocents(run: dict[str, Any]) -> int:
    lost = [name for name in ("innocent", "bystander") if run[f"{name}_fate"] != "alive"]
    return len(lost) + len(run["others_dead"])


def _ends(runs: Sequence[dict[str, Any]]) -> str:
    """Return how the runaway ended, with how often where runs differ."""
    fates = [_fate(each) for each in runs]
    kinds = sorted(set(fates), key=lambda fate: -fates.count(fate))
    return ", ".join(kind if len(kinds) == 1 else f"{kind} ({fates.count(kind)})" for kind in kinds)


def _fate(run: dict[str, Any]) -> str:
    if run["runaway_fate"] == "alive" or run["ended_seconds"] < 0:
        return "goes on"
    if run["oom_seconds"] >= 0 and "(storm-runaway)" in run["kernel"]:
        return "by the kernel"
    return "ended itself" if run["ended_seconds"] >= STORM_SECONDS[run["scenario"]] - 1 else "ended"


def _reaction(run: dict[str, Any]) -> float | None:
    """Return the time from 10 % of memory left to the end of the runaway; less than 0 if it ended before."""
    if run["ended_seconds"] < 0 or run["low_seconds"] < 0 or _fate(run) != "ended":
        return None
    return float(run["ended_seconds"] - run["low_seconds"])


def _median(runs: Sequence[dict[str, Any]], name: str) -> float | None:
    return _middle([each[name] for each in runs])


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _seconds(value: float | None) -> str:
    return _unit(value, "s", 2)


def _seconds_and_worst(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{_seconds(_middle(known))} ({max(known):.2f})" if len(known) > 1 else _seconds(_middle(known))


def _unit(value: float | None, unit: str, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}"
