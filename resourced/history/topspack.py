"""An hour of the largest cgroups and processes as one packed value."""

import json
import zlib
from collections.abc import Sequence

from resourced.history.tops import TopsTick, decode_tops


def pack_tops(blobs: Sequence[bytes]) -> bytes:
    """Return all recordings in some blobs as one; empty if there are none."""
    ticks = [tick for blob in blobs for tick in decode_tops(blob)]
    if not ticks:
        return b""
    return zlib.compress(json.dumps([[t.time, t.cgroups, t.processes] for t in ticks]).encode(), 9)


def unpack_tops(data: bytes) -> list[TopsTick]:
    """Return the recordings that were packed."""
    return decode_tops(data)
