from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from resourced.collectors.disk import DeviceSample, DiskSample
from resourced.snapshot.disk import derive_disk
from tests.collectors.host_fakes import taken

START = DeviceSample(10, 1000, 1.0, 20, 2000, 2.0, 0, 3.0, 4.0, None)


def test_rates_busy_share_and_queue() -> None:
    now = replace(START, read_bytes=3000, write_operations=24, busy_seconds=4.0, queue_seconds=9.0)

    sda = derive_disk(taken(DiskSample({"sda": START})), taken(DiskSample({"sda": now}), 2), None).devices["sda"]

    assert (sda.read_bytes_per_second, sda.write_operations_per_second) == (1000, 2)
    assert (sda.utilization, sda.queue_length) == (0.5, 2.5)


def test_a_reset_counter_and_a_new_device_are_unknown_alone() -> None:
    now = DiskSample({"sda": replace(START, busy_seconds=0.0), "sdb": START})

    devices = derive_disk(taken(DiskSample({"sda": START})), taken(now, 1), None).devices

    assert (devices["sda"].utilization, devices["sda"].read_bytes_per_second) == (None, 0)
    assert devices["sdb"].read_bytes_per_second is None
    assert derive_disk(None, taken(now), None).devices["sda"].utilization is None


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(-1, 1e6))
def test_the_busy_share_is_between_0_and_1(before: float, grown: float, seconds: float) -> None:
    old, new = replace(START, busy_seconds=before), replace(START, busy_seconds=before + grown)

    sda = derive_disk(taken(DiskSample({"a": old})), taken(DiskSample({"a": new}), seconds), None).devices["a"]

    assert sda.utilization is None or 0 <= sda.utilization <= 1
