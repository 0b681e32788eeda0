from resourced.collectors.memory import MemorySample
from resourced.snapshot.memory import Memory, derive_memory
from tests.collectors.host_fakes import taken


def sample(meminfo: dict[str, int], vmstat: dict[str, int] | None = None) -> MemorySample:
    return MemorySample(meminfo, vmstat or {}, 4096, (), None)


def test_impossible_values_are_passed_on_but_not_computed_with() -> None:
    info = {"MemTotal": 100, "MemAvailable": 200, "SwapTotal": 5, "SwapFree": 9}
    memory = derive_memory(None, taken(sample(info)), None)

    assert (memory.available_bytes, memory.used_bytes, memory.utilization) == (200, None, None)
    assert (memory.swap_free_bytes, memory.swap_used_bytes, memory.swap_utilization) == (9, None, None)


def test_what_the_kernel_does_not_tell_is_null() -> None:
    memory = derive_memory(None, taken(sample({"MemTotal": 100})), None)

    assert memory.available_bytes is memory.utilization is memory.oom_kills is None
    assert memory.zram is None
    assert memory.reclaim_scanned_pages is memory.swap_in_bytes is None


def test_without_swap_its_utilization_is_unknown() -> None:
    memory = derive_memory(None, taken(sample({"MemTotal": 100, "SwapTotal": 0, "SwapFree": 0})), None)

    assert (memory.swap_used_bytes, memory.swap_utilization) == (0, None)


def test_pages_become_bytes_and_a_reset_counter_has_no_rate() -> None:
    before = sample({"MemTotal": 1}, {"pswpin": 10, "pgfault": 100, "pgscan_kswapd": 1})
    now = sample({"MemTotal": 1}, {"pswpin": 30, "pgfault": 5, "pgscan_kswapd": 2, "pgscan_direct": 3})

    memory = derive_memory(taken(before, 0), taken(now, 2), None)

    assert (memory.swap_in_bytes, memory.swap_in_bytes_per_second) == (30 * 4096, 10 * 4096)
    assert (memory.page_faults, memory.page_faults_per_second) == (5, None)
    assert memory.reclaim_scanned_pages == 5
    assert derive_memory(taken(before, 2), taken(before, 2), None).swap_in_bytes_per_second is None


def test_minor_faults_are_those_that_are_not_major_and_never_fewer_than_before() -> None:
    def derived(vmstat: dict[str, int], previous: Memory | None = None) -> Memory:
        return derive_memory(None, taken(sample({"MemTotal": 1}, vmstat)), previous)

    first = derived({"pgfault": 100, "pgmajfault": 10})
    turned_major = derived({"pgfault": 101, "pgmajfault": 12}, first)
    reset = derived({"pgfault": 50, "pgmajfault": 1}, turned_major)

    assert [each.minor_faults for each in (first, turned_major, reset)] == [90, 90, 49]
    assert derived({"pgfault": 100}).minor_faults is None
    assert derived({"pgfault": 1, "pgmajfault": 2}).minor_faults is None
