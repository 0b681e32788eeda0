"""Which block devices stand on others: what goes through one is counted again by those below.

https://www.kernel.org/doc/Documentation/ABI/stable/sysfs-block, /sys/dev/block/MAJOR:MINOR
"""

import os
import time
from collections.abc import Callable

from resourced.collectors.base import Roots
from resourced.collectors.rarely import Rarely

_KNOWN_SECONDS = 60.0  # devices come and go, and their numbers are given out again
_FILES_OR_MEMORY = ("loop", "zram", "ram")


class BlockLayers:
    """Tells devices at the bottom, whose traffic is a disk's, from those above.

    Args:
        roots: Where /sys is.
        monotonic: Tells the time in seconds.
    """

    def __init__(self, roots: Roots, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._numbers = os.fsencode(roots.sys / "dev/block")
        self._known: Rarely[dict[bytes, bool]] = Rarely(dict, _KNOWN_SECONDS, monotonic)

    def at_bottom(self, number: bytes) -> bool:
        """Return whether a device stands on no other, no file and no memory; one of which nothing is told does.

        Args:
            number: Major and minor number, "8:0".
        """
        known = self._known.get()
        found = known.get(number)
        if found is None:
            found = known[number] = self._look(number)
        return found

    def _look(self, number: bytes) -> bool:
        directory = b"%b/%b" % (self._numbers, number)
        try:
            name = os.path.basename(os.readlink(directory)).decode(errors="replace")  # noqa: PTH115, PTH119 - bytes
            return not name.startswith(_FILES_OR_MEMORY) and not os.listdir(directory + b"/slaves")  # noqa: PTH208
        except OSError:
            return True
