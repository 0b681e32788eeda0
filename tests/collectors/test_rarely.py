from resourced.collectors.rarely import Rarely


def test_a_value_is_read_again_when_it_is_old_or_expired() -> None:
    now, reads = [0.0], iter((None, 2, 3))
    value = Rarely(lambda: next(reads), 60.0, lambda: now[0])

    assert (value.get(), value.get()) == (None, None)
    now[0] = 60.0
    assert (value.get(), value.get()) == (2, 2)
    value.expire()
    assert value.get() == 3
