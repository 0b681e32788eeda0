"""How a block lies on disk: a head with the stamps and a directory, and parts of some kilobytes with the columns.

Columns of several series share a part, so that small ones waste no page and reading one series reads one part of each
block. The directory tells the length of every column in order; which part it is in follows from the lengths.
"""

import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from resourced.errors import HistoryCorrupt

PART_BYTES = 6000
"""A part is closed when it has grown to this."""

PARTS_OF_A_BLOCK = 1 << 16
"""Part n of block b has the key b * PARTS_OF_A_BLOCK + n."""

_HEAD = struct.Struct("<BBI")  # format, number of stamps, number of columns
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Directory:
    """What a block holds, and where."""

    stamps: tuple[bytes, ...]
    """The columns that all ticks or cells have."""
    numbers: tuple[int, ...]
    """Of the series that have a column here, in the order in which these were written."""
    ends: tuple[int, ...]
    """Bytes up to the end of each column, all parts put together."""
    firsts: tuple[int, ...]
    """Position in `numbers` of the first column of each part."""

    def place(self, number: int) -> tuple[int, int, int] | None:
        """Return part, offset and length of the column of a series, by its number; None if it has none here."""
        try:
            at = self.numbers.index(number)
        except ValueError:
            return None
        part = bisect_right(self.firsts, at) - 1
        start = self.ends[at - 1] if at else 0
        first = self.firsts[part]
        return part, start - (self.ends[first - 1] if first else 0), self.ends[at] - start


def write_block(stamps: Sequence[bytes], columns: Sequence[tuple[int, bytes]]) -> tuple[bytes, list[bytes]]:
    """Return the head and the parts of a block.

    Args:
        stamps: The columns that all ticks have.
        columns: Number of the series, and its column.
    """
    parts: list[bytes] = []
    open_part: list[bytes] = []
    size = 0
    for _, data in columns:
        open_part.append(data)
        size += len(data)
        if size >= PART_BYTES:
            parts.append(_sealed(open_part))
            open_part, size = [], 0
    if open_part:
        parts.append(_sealed(open_part))
    lengths = [len(stamp) for stamp in stamps]
    numbers = [number for number, _ in columns] + [len(data) for _, data in columns]
    directory = zlib.compress(struct.pack(f"<{len(numbers)}I", *numbers), 9)
    head = _HEAD.pack(_FORMAT, len(stamps), len(columns)) + struct.pack(f"<{len(lengths)}I", *lengths)
    return _sealed([head, *stamps, directory]), parts


def _sealed(pieces: Sequence[bytes]) -> bytes:
    body = b"".join(pieces)
    return struct.pack("<I", zlib.crc32(body)) + body


def unseal(data: bytes) -> memoryview:
    """Return what was sealed with a checksum.

    Raises:
        HistoryCorrupt: It is not what was written.
    """
    if len(data) < 4 or struct.unpack_from("<I", data)[0] != zlib.crc32(memoryview(data)[4:]):
        raise HistoryCorrupt("a part of the history does not have the checksum that it was written with")
    return memoryview(data)[4:]


def read_head(data: bytes) -> Directory:
    """Return what a block's head says.

    Raises:
        HistoryCorrupt: It is not what was written.
    """
    body = unseal(data)
    version, stamps, columns = _HEAD.unpack_from(body)
    if version != _FORMAT:
        raise HistoryCorrupt(f"a block of the history has the format {version}; this release knows {_FORMAT}")
    at = _HEAD.size
    lengths = struct.unpack_from(f"<{stamps}I", body, at)
    at += 4 * stamps
    own = []
    for length in lengths:
        own.append(bytes(body[at : at + length]))
        at += length
    numbers = struct.unpack(f"<{2 * columns}I", zlib.decompress(body[at:]))
    ends = tuple(accumulate(numbers[columns:]))
    firsts, begin = [0], 0
    while (following := bisect_left(ends, begin + PART_BYTES) + 1) < columns:
        firsts.append(following)
        begin = ends[following - 1]
    return Directory(tuple(own), numbers[:columns], ends, tuple(firsts))
