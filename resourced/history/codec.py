"""Lossless codec for one column of numbers: an hour of one series, a day of one tier.

A column is stored in the smallest of a few forms: one value if it never changes; whole numbers (as they are, or times
100 for the kernel's hundredths) or floats packed by pcodec; or its distinct steps, deflated, for counters that move by
few different amounts. Measured on 45 minutes of 158 host series: 0.19 bytes a value. Gaps are the canonical NaN and
cost a bitmap; every other value comes back with the same bits, -0.0 and NaNs with a payload included.

numpy and pcodec take 16 MB and are imported at the first use.
"""

import struct
import zlib
from typing import TYPE_CHECKING, Any

from resourced.errors import HistoryCorrupt

if TYPE_CHECKING:
    from resourced.history.arrays import Floats, Whole

_CONSTANT, _FLOATS, _WHOLE, _STEPS = 0, 1, 2, 3
_GAPS = 0x80
_SCALES = (1.0, 100.0)
_LARGEST = 2.0**53
_GAP_BITS = 0x7FF8000000000000
_LENGTH = struct.Struct("<I")
_VALUE = struct.Struct("<d")
_MOST_STEPS = 256


def encode_column(values: "Floats") -> bytes:
    """Return a column's bytes; empty if it holds nothing, or nothing but gaps."""
    import numpy as np  # noqa: PLC0415 - see the module

    gaps = values.view(np.int64) == _GAP_BITS
    if gaps.all():
        return b""
    if not gaps.any():
        kind, body = _encode_known(np.ascontiguousarray(values))
        return bytes((kind,)) + body
    kind, body = _encode_known(values[~gaps])
    bitmap = zlib.compress(np.packbits(gaps).tobytes(), 9)
    return bytes((kind | _GAPS,)) + _LENGTH.pack(len(bitmap)) + bitmap + body


def decode_column(data: bytes, count: int) -> "Floats":
    """Return the column of `count` values that was encoded.

    Raises:
        HistoryCorrupt: The bytes are not a column of that length.
    """
    import numpy as np  # noqa: PLC0415 - see the module

    if not data:
        return np.full(count, np.nan)
    try:
        kind = data[0]
        if not kind & _GAPS:
            return _decode_known(kind, memoryview(data)[1:], count)
        (length,) = _LENGTH.unpack_from(data, 1)
        start = 1 + _LENGTH.size + length
        bitmap = np.frombuffer(zlib.decompress(data[1 + _LENGTH.size : start]), np.uint8)
        gaps = np.unpackbits(bitmap, count=count).view(bool)
        column = np.full(count, np.nan)
        column[~gaps] = _decode_known(kind & ~_GAPS, memoryview(data)[start:], count - int(gaps.sum()))
    except (ValueError, IndexError, RuntimeError, struct.error, zlib.error) as error:
        raise HistoryCorrupt(f"a column of the history can't be decoded: {error}") from error
    return column


def _encode_known(values: "Floats") -> tuple[int, bytes]:
    import numpy as np  # noqa: PLC0415 - see the module

    bits = values.view(np.int64)
    if (bits == bits[0]).all():
        return _CONSTANT, _VALUE.pack(values[0])
    for number, scale in enumerate(_SCALES):
        whole = _whole(values, scale)
        if whole is not None:
            return _encode_whole(whole, number)
    return _FLOATS, _pack(values)


def _whole(values: "Floats", scale: float) -> "Whole | None":
    """Return values times scale as integers, or None if that would change a bit of them."""
    import numpy as np  # noqa: PLC0415 - see the module

    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(values * scale)
        if not (np.abs(scaled) < _LARGEST).all():
            return None
        whole = scaled.astype(np.int64)
    return whole if ((whole / scale).view(np.int64) == values.view(np.int64)).all() else None


def _encode_whole(whole: "Whole", scale: int) -> tuple[int, bytes]:
    import numpy as np  # noqa: PLC0415 - see the module

    best = _WHOLE, bytes((scale,)) + _pack(whole)
    steps = np.diff(whole)
    distinct, codes = np.unique(steps, return_inverse=True)
    if len(distinct) <= _MOST_STEPS:
        head = bytes((scale, len(distinct) - 1)) + np.concatenate((whole[:1], distinct)).astype("<i8").tobytes()
        body = zlib.compress(head + codes.astype(np.uint8).tobytes(), 9)
        if len(body) < len(best[1]):
            best = _STEPS, body
    return best


def _decode_known(kind: int, data: "memoryview[int]", count: int) -> "Floats":
    import numpy as np  # noqa: PLC0415 - see the module

    if kind == _CONSTANT:
        return np.full(count, _VALUE.unpack(data)[0])
    if kind == _FLOATS:
        return _exactly(_unpack(data), count)
    if kind == _WHOLE:
        return _exactly(_unpack(data[1:]) / _SCALES[data[0]], count)
    if kind == _STEPS:
        raw = zlib.decompress(data)
        distinct = np.frombuffer(raw, "<i8", raw[1] + 2, 2)
        codes = np.frombuffer(raw, np.uint8, -1, 2 + distinct.nbytes)
        whole = np.empty(len(codes) + 1, np.int64)
        whole[0] = distinct[0]
        whole[1:] = distinct[1:][codes]
        return _exactly(np.cumsum(whole) / _SCALES[raw[0]], count)
    raise ValueError(f"kind {kind} is unknown")


def _exactly(values: Any, count: int) -> "Floats":
    if values.shape != (count,):
        raise ValueError(f"{values.shape[0]} values where {count} were written")
    found: Floats = values
    return found


def _pack(values: Any) -> bytes:
    from pcodec import ChunkConfig  # noqa: PLC0415 - see the module
    from pcodec.standalone import simple_compress  # noqa: PLC0415 - likewise

    return bytes(simple_compress(values, ChunkConfig()))


def _unpack(data: "memoryview[int]") -> Any:
    from pcodec.standalone import simple_decompress  # noqa: PLC0415 - see the module

    values = simple_decompress(bytes(data))
    if values is None:
        raise ValueError("it is empty")
    return values
