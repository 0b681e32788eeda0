"""How recorded ticks become those that are judged."""

from collections.abc import Collection, Iterator

from resourced.history import RecordedTick
from resourced.history.questions import Questions
from resourced.policy import Tick
from resourced.surroundings import SURROUNDINGS, Surroundings, read_surroundings

_MOST_EVENTS = 100_000


def past(questions: Questions, since: float, until: float, metrics: Collection[str] | None = None) -> Iterator[Tick]:
    """Yield the ticks of some time as the daemon judged them, with what it knew besides.

    Args:
        questions: The past.
        since: First moment, seconds since the epoch.
        until: First moment after the last.
        metrics: Names of the metrics wanted; all if None. Few are read many times as fast as all.
    """
    events = [each for each in questions.events(limit=_MOST_EVENTS) if each.event == SURROUNDINGS]
    known = [(each.time, read_surroundings(each.fields)) for each in reversed(events)]
    # What was noted before the first tick, or soon after it, holds for it.
    around = known[0][1] if known else Surroundings()
    for recorded in questions.ticks(since, until, metrics):
        while known and known[0][0] <= recorded.time:
            around = known.pop(0)[1]
        yield tick_of(recorded, around)


def tick_of(recorded: RecordedTick, around: Surroundings) -> Tick:
    """Return a recorded tick as one to be judged; the machine as a whole is put together only for a decision."""
    return Tick(
        recorded.time,
        recorded.monotonic_seconds,
        recorded.sequence,
        recorded.layout,
        recorded.values,
        recorded.snapshot,
        around.preferences,
        around.myself,
        around.workloads,
        boot_id=recorded.boot_id,
    )
