from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.gpureading import (
    fraction,
    latest_use,
    merge_contexts,
    pci_address,
    performance_state,
    throttle_reasons,
)

UNKNOWN = 2**64 - 1


@dataclass
class Listed:
    pid: int
    usedGpuMemory: int | None  # noqa: N815 - NVML's name


@dataclass
class Sampled:
    pid: int
    timeStamp: int  # noqa: N815 - NVML's name
    smUtil: int  # noqa: N815 - NVML's name


memory = st.none() | st.just(UNKNOWN) | st.integers(0, 2**40)
listed = st.lists(st.builds(Listed, st.integers(1, 5), memory), max_size=6)
samples = st.lists(st.builds(Sampled, st.integers(0, 4), st.integers(0, 9), st.integers(0, 300)), max_size=8)


@given(listed, listed)
def test_each_process_is_there_once_with_what_is_known_of_it(compute: list[Listed], graphics: list[Listed]) -> None:
    found = merge_contexts({"compute": compute, "graphics": graphics})

    assert found is not None
    both = [*compute, *graphics]
    assert set(found) == {each.pid for each in both}
    for pid, (kind, held) in found.items():
        kinds = [
            name for name, inside in (("compute", compute), ("graphics", graphics)) if pid in {i.pid for i in inside}
        ]
        assert kind == "+".join(kinds)
        told = [each.usedGpuMemory for each in both if each.pid == pid]
        assert held == max((memory for memory in told if memory is not None and memory != UNKNOWN), default=None)


def test_a_list_that_is_not_told_is_no_empty_list() -> None:
    assert merge_contexts({"compute": None, "graphics": None}) is None
    assert merge_contexts({"compute": None, "graphics": []}) == {}


@pytest.mark.parametrize("pid", [0, 2**22 + 1, 2**32 - 1])
def test_a_list_of_another_form_is_not_believed(pid: int) -> None:
    assert merge_contexts({"compute": [Listed(7, 1), Listed(pid, 1)], "graphics": []}) is None


@given(samples, st.integers(0, 9))
def test_the_newest_sample_of_a_process_counts_and_an_impossible_one_is_unknown(
    given: list[Sampled], since: int
) -> None:
    found = latest_use(given, since)

    usable = [each for each in given if each.pid and each.timeStamp >= since]
    assert set(found) == {each.pid for each in usable}
    for pid, share in found.items():
        newest = max(each.timeStamp for each in usable if each.pid == pid)
        first = next(each for each in usable if each.pid == pid and each.timeStamp == newest)
        assert share == (first.smUtil / 100 if first.smUtil <= 100 else None)


@given(st.integers(0, 2**64 - 2))
def test_each_bit_that_has_a_name_is_told(bits: int) -> None:
    names = throttle_reasons(2**64 - 2 | 1)
    found = throttle_reasons(bits)

    assert names is not None
    assert len(names) == 11
    assert found == tuple(name for place, name in enumerate(names) if bits & 1 << place)


def test_what_is_unknown_stays_unknown() -> None:
    assert throttle_reasons(None) is None
    assert (fraction(None), fraction(2**32 - 1), fraction(0), fraction(120)) == (None, None, 0, 1)
    assert [performance_state(state) for state in (None, 0, 15, 32)] == [None, 0, 15, None]


def test_an_address_is_written_as_sysfs_has_it() -> None:
    assert pci_address("00000000:0A:00.0") == "0000:0a:00.0"
    assert pci_address("00010001:C1:1F.3") == "10001:c1:1f.3"
