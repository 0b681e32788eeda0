from dataclasses import replace

from resourced.collectors.gpureading import Facts, MemorySample, MigSample, ProcessSample, Reading
from resourced.collectors.gpus import GpuSample, GpusSample
from resourced.metrics.gpu import GPU
from resourced.series import Extractor
from resourced.snapshot import Health, Snapshot
from resourced.snapshot.gpus import Gpu, derive_gpus
from tests.collectors.host_fakes import taken

FACTS = Facts("GPU-0", 0, "Fake", "0000:0a:00.0")
ORPHAN = ProcessSample(2, "compute", 30, 0.5, None)
PROCESSES = (ProcessSample(1, "graphics", 10, None, None), ORPHAN)
READ = Reading(
    memory=MemorySample(100, 60, 40),
    utilization=0.5,
    memory_bandwidth_utilization=0.5,
    temperature_celsius=3.0,
    power_watts=4.0,
    power_limit_watts=5.0,
    energy_joules=6.0,
    clock_graphics_hertz=7.0,
    clock_sm_hertz=8.0,
    clock_memory_hertz=9.0,
    fan_utilization=0.5,
    encoder_utilization=0.5,
    decoder_utilization=0.5,
    pcie_receive_bytes_per_second=13.0,
    pcie_transmit_bytes_per_second=14.0,
    ecc_corrected=1,
    ecc_uncorrected=1,
    processes=PROCESSES,
)


def derived(sample: GpuSample) -> Gpu:
    return derive_gpus(None, taken(GpusSample("570", {"GPU-0": sample})), None).devices["GPU-0"]


def test_every_metric_of_a_gpu_has_a_value() -> None:
    sample = GpuSample(FACTS, "active", None, READ, {1: True, 2: False})
    section = derive_gpus(None, taken(GpusSample("570", {"GPU-0": sample})), None)
    extractor = Extractor(GPU)

    values = extractor.read(Snapshot(1, 0.0, 0.0, None, None, gpus=section, collectors={"gpus": Health("ok")}))

    assert len(values) == len(extractor.layout) >= len(GPU)
    assert None not in values


def test_memory_of_processes_that_are_gone_is_orphaned() -> None:
    gpu = derived(GpuSample(FACTS, "active", None, READ, {1: True, 2: False}))

    assert (gpu.memory_orphaned_bytes, gpu.memory_utilization) == (30, 0.4)
    assert [each.pid for each in gpu.processes or ()] == [2, 1]


def test_orphaned_memory_is_unknown_if_it_cannot_be_told() -> None:
    nameless = replace(READ, processes=(replace(ORPHAN, memory_bytes=None),))
    samples = [
        GpuSample(FACTS, "active", None, READ, {1: None, 2: None}),
        GpuSample(FACTS, "active", None, replace(READ, processes=None), {}),
        GpuSample(FACTS, "active", None, nameless, {2: False}),
    ]

    assert [derived(sample).memory_orphaned_bytes for sample in samples] == [None] * 3


def test_a_gpu_that_is_not_read_keeps_its_name_and_has_no_values() -> None:
    gpu = derived(GpuSample(FACTS, "asleep", "suspended", None, {}))

    assert (gpu.name, gpu.state, gpu.reason) == ("Fake", "asleep", "suspended")
    assert {gpu.utilization, gpu.memory_used_bytes, gpu.memory_orphaned_bytes, gpu.processes} == {None}


def test_instances_have_their_share_of_memory() -> None:
    instances = (MigSample("MIG-0", "1g", MemorySample(10, 5, 5)), MigSample("MIG-1", None, None))
    gpu = derived(GpuSample(FACTS, "active", None, replace(READ, mig=instances), {}))

    assert [each.memory_utilization for each in gpu.mig] == [0.5, None]
