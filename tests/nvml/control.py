"""Changes what the library in fake.c answers, while it is loaded: both map one file."""

import ctypes
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VARIABLE = "RESOURCED_FAKE_NVML"
"""Environment variable that names the file."""

CALLS = (
    "utilization",
    "memory",
    "memory_v2",
    "temperature",
    "power",
    "limit",
    "energy",
    "clock",
    "fan",
    "encoder",
    "decoder",
    "pcie",
    "ecc",
    "throttle",
    "performance",
    "compute",
    "graphics",
    "samples",
)
"""What a GPU may refuse, in the order of fake.c."""

GIB = 2**30
_U32, _U64, _TEXT = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_char * 64


class _Process(ctypes.Structure):
    _fields_ = (("pid", _U32), ("kinds", _U32), ("instance", _U32), ("sm", _U32), ("memory", _U64))


class _Mig(ctypes.Structure):
    _fields_ = (("uuid", _TEXT), ("name", _TEXT), ("total", _U64), ("used", _U64))


class _Gpu(ctypes.Structure):
    _fields_ = (
        ("uuid", _TEXT),
        ("name", _TEXT),
        *((name, _U32) for name in ("bus", "fault", "mig_mode", "migs", "processes", "growing", "refusal")),
        *((name, _U64) for name in ("refused", "total", "used", "reserved", "energy", "throttle")),
        *((name, _U32) for name in ("busy", "busy_memory", "temperature", "power", "limit")),
        ("clocks", _U32 * 3),
        *((name, _U32) for name in ("fan", "encoder", "decoder")),
        ("pcie", _U32 * 2),
        ("state", _U32),
        ("ecc", _U64 * 2),
        ("mig", _Mig * 4),
        ("process", _Process * 64),
    )


class _All(ctypes.Structure):
    _fields_ = (
        *((name, _U32) for name in ("count", "init_fault", "version_fault", "shutdown_fault", "fault")),
        *((name, _U32) for name in ("hang", "waiting", "inits", "open", "calls")),
        ("driver", _TEXT),
        ("gpu", _Gpu * 4),
    )


class FakeNvml:
    """The answers of the library. Two GPUs to begin with: a busy one, and one in MIG mode with two instances.

    Args:
        path: The file; the process that loads the library must have its name in the variable `VARIABLE`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(ctypes.sizeof(_All)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.all: Any = _All.from_buffer(self._map)
        self.all.count = 2
        self.all.driver = b"570.86.15"
        for index in range(4):
            self._fill(index)
        self.set_processes(0, [(100, 1, 4 * GIB, 60), (200, 3, 2 * GIB, 0)])
        self._split(1)

    def gpu(self, index: int) -> Any:
        """Return a GPU; what is assigned to its fields is answered from now on."""
        return self.all.gpu[index]

    def refuse(self, index: int, *calls: str, code: int = 3) -> None:
        """Have a GPU answer "not supported", or another code, to these calls and no others."""
        self.gpu(index).refusal = code
        self.gpu(index).refused = sum(1 << CALLS.index(call) for call in calls)

    def set_processes(self, index: int, processes: Sequence[tuple[int, int, int, int]], instance: int = 0) -> None:
        """Put processes on a GPU or its MIG instance, from 1.

        Args:
            index: The GPU.
            processes: Of each pid, kinds (1 compute, 2 graphics, 3 both), bytes and percent.
            instance: The MIG instance, from 1; 0 for the GPU itself.
        """
        gpu = self.gpu(index)
        for place, (pid, kinds, memory, percent) in enumerate(processes):
            gpu.process[place] = _Process(pid, kinds, instance, percent, memory)
        gpu.processes = len(processes)

    def _fill(self, index: int) -> None:
        gpu = self.gpu(index)
        gpu.uuid, gpu.name = f"GPU-{index}".encode(), f"Fake GPU {index}".encode()
        gpu.bus, gpu.total, gpu.used, gpu.reserved = 0x0A + index, 80 * GIB, 8 * GIB, GIB
        gpu.busy, gpu.busy_memory, gpu.temperature, gpu.power, gpu.limit = 75, 40, 65, 250_000, 400_000
        gpu.clocks[:], gpu.fan, gpu.encoder, gpu.decoder = (1500, 1400, 2600), 55, 10, 20
        gpu.pcie[:], gpu.ecc[:], gpu.energy, gpu.throttle, gpu.state = (1000, 2000), (3, 1), 5_000_000, 0x44, 2

    def _split(self, index: int) -> None:
        gpu = self.gpu(index)
        gpu.mig_mode, gpu.migs = 2, 2
        for place in range(2):
            gpu.mig[place] = _Mig(f"MIG-{place}".encode(), b"MIG 1g.10gb", 10 * GIB, (place + 1) * GIB)
        self.set_processes(index, [(300, 1, GIB, 0)], instance=2)
