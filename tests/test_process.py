"""The daemon's own process: what it costs, and what it gives back."""

import mmap
import resource
import subprocess
import sys
from pathlib import Path

from resourced.process import _clean_file_mappings, own_usage, raise_descriptor_limit

SMAPS = """\
55e0a0000000-55e0a0001000 r--p 00000000 08:01 1  /usr/bin/python
Size:                  4 kB
Anonymous:             0 kB
55e0a0001000-55e0a0002000 r--p 00000000 08:01 1  /usr/bin/python
Size:                  4 kB
Anonymous:             4 kB
55e0a0002000-55e0a0003000 rw-p 00000000 08:01 1  /usr/bin/python
Anonymous:             0 kB
55e0a0003000-55e0a0004000 r--p 00000000 00:00 0
Anonymous:             0 kB
55e0a0004000-55e0a0005000 r-xs 00000000 08:01 2  /shared
Anonymous:             0 kB
7f0000000000-7f0000002000 r-xp 00001000 08:01 3  /usr/lib/libc.so.6
Anonymous:             0 kB
7fff00000000-7fff00001000 r-xp 00000000 00:00 0  [vdso]
Anonymous:             0 kB
"""


def test_only_unchanged_pages_of_files_are_given_back() -> None:
    found = list(_clean_file_mappings(SMAPS))
    assert found == [(0x55E0A0000000, 0x55E0A0001000), (0x7F0000000000, 0x7F0000002000)]


def test_a_process_that_has_settled_goes_on() -> None:
    code = (
        "import numpy, json, ctypes, threading\n"
        "from resourced.process import own_usage, settle\n"
        "before = own_usage().memory_bytes\n"
        "given = settle()\n"
        "after = own_usage().memory_bytes\n"
        "assert given > 0 and after < before, (given, before, after)\n"
        "assert numpy.arange(1000).sum() == 499500 and json.loads('[1]') == [1]\n"
        "thread = threading.Thread(target=lambda: sum(range(1000))); thread.start(); thread.join()\n"
        "print(settle() >= 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_a_process_that_has_grown_gives_back_what_it_no_longer_uses() -> None:
    code = (
        "from resourced.process import Slimmer, bound_heap, resident_bytes\n"
        "bound_heap()\n"
        "slimmer = Slimmer()\n"
        "slimmer.look(0.0); slimmer.look(30.0)\n"
        "least = resident_bytes()\n"
        "import numpy, decimal\n"
        "held = [bytes(1000) for _ in range(40_000)]; kept = held[::1000]; del held\n"
        "grown = resident_bytes()\n"
        "slimmer.look(60.0)\n"
        "assert resident_bytes() >= grown, 'it looked too early'\n"
        "slimmer.look(90.0)\n"
        "print(least < resident_bytes() < grown - 4_000_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_usage_is_what_the_kernel_says() -> None:
    before = own_usage()
    held = mmap.mmap(-1, 64 * 1024**2)
    held.write(b"x" * len(held))
    after = own_usage()
    held.close()
    assert before.memory_bytes is not None
    assert after.memory_bytes is not None
    assert after.memory_bytes - before.memory_bytes > 48 * 1024**2
    assert after.cpu_seconds >= before.cpu_seconds > 0
    assert after.threads is not None
    assert after.threads >= 1
    assert after.descriptors == before.descriptors == sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_the_limit_of_descriptors_is_raised_as_far_as_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        raised = raise_descriptor_limit(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raised > 256
        assert raise_descriptor_limit(0) == raised, "it is never lowered"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_priority_that_may_not_be_had_is_told() -> None:
    code = (
        "import os\n"
        "from resourced.process import be_nice\n"
        "print(be_nice(7), os.getpriority(os.PRIO_PROCESS, 0))\n"
        "if os.getuid() == 0: os.setresuid(65534, 65534, 65534)\n"
        "print(be_nice(-5), os.getpriority(os.PRIO_PROCESS, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["None 7", "Permission denied 7"], done.stderr
