from hypothesis import given
from hypothesis import strategies as st

from resourced.journal.repetition import Repetition


@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 20)), max_size=80))
def test_nothing_is_lost_from_the_count_and_no_interval_tells_too_much(
    limit: int, steps: list[tuple[str, float]]
) -> None:
    repetition, now, told, held = Repetition(limit, 10.0), 0.0, 0, 0
    admitted: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    for key, pause in steps:
        now += pause
        held += sum(ended.count for ended in repetition.ended(now))
        if repetition.admit(key, now):
            told += 1
            admitted[key].append(now)
    held += sum(ended.count for ended in repetition.close(now))
    assert told + held == len(steps)
    for times in admitted.values():
        for first, later in zip(times, times[limit * 2 :], strict=False):
            assert later - first >= 10.0  # at most two intervals touch any ten seconds
    assert repetition.close(now) == []


def test_an_interval_ends_by_itself_and_tells_how_many_were_held_back() -> None:
    repetition = Repetition(2, 10.0)
    assert [repetition.admit("a", t) for t in (0.0, 1.0, 2.0, 3.0)] == [True, True, False, False]
    assert repetition.ended(9.9) == []
    (ended,) = repetition.ended(10.0)
    assert (ended.key, ended.count) == ("a", 2)
    assert repetition.admit("a", 10.0)


def test_memory_is_bounded_however_many_keys_there_are() -> None:
    repetition = Repetition(1, 1e9)
    for number in range(5000):
        repetition.ended(0.0)
        repetition.admit(number, 0.0)
    assert len(repetition._windows) <= 1024
