"""Pressure stall information: /proc/pressure/{cpu,memory,io}, the form that cgroups have too.

    some avg10=0.36 avg60=0.09 avg300=0.08 total=4046990
    full avg10=0.36 avg60=0.09 avg300=0.08 total=3686368

Averages are percentages, totals microseconds. https://docs.kernel.org/accounting/psi.html
"""

import errno
import re
from dataclasses import dataclass

from resourced.collectors.base import KeptFile, Roots
from resourced.errors import ParseError, Unavailable


@dataclass(frozen=True, slots=True)
class StallSample:
    """One line: shares 0-1 as the kernel averages them, and seconds stalled since boot."""

    avg10_share: float
    avg60_share: float
    avg300_share: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class PressureOfSample:
    """One file. A line that the kernel doesn't write (`full` of cpu before Linux 5.13, `some` of irq) is None."""

    some: StallSample | None
    full: StallSample | None


@dataclass(frozen=True, slots=True)
class PressureSample:
    """The machine's three files; None for one that doesn't exist."""

    cpu: PressureOfSample | None
    memory: PressureOfSample | None
    io: PressureOfSample | None


_PERCENT = rb"(\d{1,9}(?:\.\d{1,9})?)"
_LINE = re.compile(
    rb"(some|full) avg10=" + _PERCENT + rb" avg60=" + _PERCENT + rb" avg300=" + _PERCENT + rb" total=(\d{1,20})"
)


def parse_pressure(content: bytes, source: str) -> PressureOfSample:
    """Return what a pressure file says; lines of other kinds than `some` and `full` are passed over.

    Args:
        content: The file, whole.
        source: Its path, for the error.

    Raises:
        ParseError: A line has another form, or there is neither `some` nor `full`.
    """
    some: StallSample | None = None
    full: StallSample | None = None
    for line in content.split(b"\n"):
        found = _LINE.fullmatch(line)
        if found is None:
            if line.startswith((b"some", b"full")):
                wanted = "avg10=, avg60=, avg300= and total= after some or full"
                raise ParseError(source, line.decode(errors="replace"), wanted)
            continue
        kind, avg10, avg60, avg300, total = found.groups()
        stall = StallSample(float(avg10) / 100, float(avg60) / 100, float(avg300) / 100, int(total) / 1e6)
        if kind == b"some":
            some = stall
        else:
            full = stall
    if some is None and full is None:
        raise ParseError(source, content[:120].decode(errors="replace"), "a line that begins with some or full")
    return PressureOfSample(some, full)


class PressureCollector:
    """Reads the machine's pressure.

    Args:
        roots: Where /proc is.
    """

    name = "pressure"

    def __init__(self, roots: Roots) -> None:
        self._directory = roots.proc / "pressure"
        self._files = [KeptFile(self._directory / of, one_record=True) for of in ("cpu", "memory", "io")]
        self._sources = [str(file.path) for file in self._files]

    def collect(self) -> PressureSample:
        cpu, memory, io = (self._read(file, source) for file, source in zip(self._files, self._sources, strict=True))
        if cpu is None and memory is None and io is None:
            raise Unavailable(
                f"{self._directory} can't be read: the kernel has no pressure stall information, or it is switched off"
                " (boot with psi=1)"
            )
        return PressureSample(cpu, memory, io)

    @staticmethod
    def _read(file: KeptFile, source: str) -> PressureOfSample | None:
        try:
            content = file.read()
        except Unavailable:
            return None
        except OSError as error:
            # psi=0 on the kernel's command line: the files are there and opening them is refused with this.
            if error.errno == errno.EOPNOTSUPP:
                return None
            raise
        return parse_pressure(content, source)

    def close(self) -> None:
        for file in self._files:
            file.close()
