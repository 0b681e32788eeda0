"""The present by which old things go: which clock is believed, and when."""

from hypothesis import given
from hypothesis import strategies as st

from resourced.history.present import Present
from tests.history.fakes import START

HOUR, DAY = 3600.0, 86400.0


class Clocks:
    """Clocks that are moved by hand, and what is believed of them."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.up = self.since_boot = 1000.0
        self.present = Present(self)

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.up

    def boottime(self) -> float:
        return self.since_boot

    def look(self) -> float | None:
        """Return what is believed; None for nothing."""
        found = self.present.look()
        return found if self.present.proven else None

    def run(self, seconds: float, every: float = 10.0) -> float | None:
        """Let time pass and look now and then; return what is believed at the end."""
        believed = self.look()
        for _ in range(round(seconds / every)):
            self.sleep(every)
            self.up += every
            believed = self.look()
        return believed

    def sleep(self, seconds: float) -> None:
        """Let time pass while the machine is suspended."""
        self.now += seconds
        self.since_boot += seconds


def test_nothing_is_believed_in_the_first_hour() -> None:
    clocks = Clocks()

    assert clocks.run(HOUR - 10) is None
    assert clocks.run(10) == clocks.now


def test_a_clock_that_is_wrong_at_the_start_and_set_right_is_never_believed() -> None:
    clocks = Clocks(START + 75 * 365 * DAY)
    clocks.run(HOUR / 2)
    clocks.now = START

    assert clocks.run(HOUR / 2) == clocks.now
    assert clocks.run(HOUR) == clocks.now


def test_a_jump_ahead_is_believed_after_an_hour_and_not_before() -> None:
    clocks = Clocks()
    clocks.run(2 * HOUR)
    clocks.now += 100 * DAY

    assert clocks.run(HOUR - 10) == clocks.now - 100 * DAY
    assert clocks.run(10) == clocks.now


def test_one_who_did_not_look_for_hours_does_not_believe_what_he_sees_then() -> None:
    clocks = Clocks()
    clocks.run(2 * HOUR)
    clocks.run(10 * HOUR, every=10 * HOUR)
    clocks.up += 10 * HOUR
    clocks.sleep(10 * HOUR)
    clocks.now += 100 * DAY

    assert clocks.look() == clocks.now - 100 * DAY
    assert clocks.run(HOUR - 10) == clocks.now - 100 * DAY
    assert clocks.run(20) == clocks.now


def test_a_clock_that_is_set_back_is_believed_at_once() -> None:
    clocks = Clocks()
    clocks.run(2 * HOUR)
    clocks.now -= 100 * DAY

    assert clocks.look() == clocks.now


def test_a_machine_that_slept_knows_the_time_and_sleep_proves_none() -> None:
    clocks = Clocks()
    clocks.run(2 * HOUR)
    clocks.sleep(3 * DAY)
    assert clocks.look() == clocks.now

    clocks.now += 100 * DAY
    clocks.present.look()
    clocks.sleep(3 * DAY)
    assert clocks.run(HOUR / 2) == clocks.now - 100 * DAY


JUMPS = st.sampled_from([0, 0, 0, -500, 7, 500, 10_000, -10_000])


@given(st.lists(st.tuples(st.integers(1, 3000), JUMPS), max_size=40))
def test_it_is_the_earliest_of_what_was_told_within_an_hour(steps: list[tuple[int, int]]) -> None:
    clocks = Clocks()
    looks = [(clocks.up, clocks.now - clocks.up)]
    clocks.present.look()
    for seconds, jump in steps:
        clocks.up += seconds
        clocks.sleep(seconds)
        clocks.now += jump
        believed = clocks.present.look()

        looks.append((clocks.up, clocks.now - clocks.up))
        until = [*(up for up, _ in looks[1:]), clocks.up]
        told = [ahead for end, (_, ahead) in zip(until, looks, strict=True) if end > clocks.up - HOUR]
        assert believed == clocks.up + min(told)
        assert clocks.present.proven is (clocks.up - 1000.0 >= HOUR)
