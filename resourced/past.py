"""How recorded ticks become those that are judged."""

from collections.abc import Collection, Iterator, Mapping

from resourced.history import RecordedTick
from resourced.history.questions import Questions
from resourced.policy import Myself, Preference, Tick
from resourced.surroundings import SURROUNDINGS, read_surroundings

_MOST_EVENTS = 100_000


def past(questions: Questions, since: float, until: float, metrics: Collection[str] | None = None) -> Iterator[Tick]:
    """Yield the ticks of some time as the daemon judged them, with who resourced was and what owners asked for.

    Args:
        questions: The past.
        since: First moment, seconds since the epoch.
        until: First moment after the last.
        metrics: Names of the metrics wanted; all if None. Few are read many times as fast as all.
    """
    events = [each for each in questions.events(limit=_MOST_EVENTS) if each.event == SURROUNDINGS]
    known = [(each.time, read_surroundings(each.fields)) for each in reversed(events)]
    myself: Myself | None = None
    preferences: Mapping[str, Preference] = {}
    if known:
        # What was noted before the first tick, or soon after it, holds for it.
        myself, preferences = known[0][1]
    for recorded in questions.ticks(since, until, metrics):
        while known and known[0][0] <= recorded.time:
            myself, preferences = known.pop(0)[1]
        yield tick_of(recorded, preferences, myself)


def tick_of(recorded: RecordedTick, preferences: Mapping[str, Preference], myself: Myself | None) -> Tick:
    """Return a recorded tick as one to be judged; the machine as a whole is put together only for a decision."""
    return Tick(
        recorded.time,
        recorded.monotonic_seconds,
        recorded.sequence,
        recorded.layout,
        recorded.values,
        recorded.snapshot,
        preferences,
        myself,
        boot_id=recorded.boot_id,
    )
