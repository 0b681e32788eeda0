"""The second rung: let the kernel take back what the target does not use (memory.reclaim, Linux 5.19)."""

import time

from resourced.actions.base import Once, Order
from resourced.decision import Step
from resourced.errors import ActionFailed, StepImpossible

_CHUNK_BYTES = 32 * 1024**2
"""Asked for at once. A write returns only when the kernel has found it, so that what is graver would wait for it."""
_SHARE = 0.25
"""Of what the target holds, at most so much is asked for: its working set is needed again at once."""
_LONGEST_SECONDS = 5.0


class Reclaim(Once):
    """Asks for a quarter of what the target holds, piece by piece, and ends when the kernel finds no more."""

    step = Step.RECLAIM

    def take(self, order: Order) -> str:
        cgroup = order.target.cgroup
        if cgroup is None:
            raise StepImpossible("a process without a cgroup of its own can't be reclaimed from")
        if order.resource not in ("memory", "swap"):
            raise StepImpossible(f"reclaim frees memory, not {order.resource}")
        if order.resource == "swap":
            raise StepImpossible("what is reclaimed goes to swap, which is what is short")
        before = cgroup.read_int("memory.current")
        if before is None or not cgroup.has("memory.reclaim"):
            raise StepImpossible("the kernel has no memory.reclaim for it")
        wanted, asked, refused = int(before * _SHARE), 0, ""
        ends = time.monotonic() + _LONGEST_SECONDS
        while asked < wanted and time.monotonic() < ends and not order.cut_short():
            part = min(_CHUNK_BYTES, wanted - asked)
            try:
                cgroup.write("memory.reclaim", str(part))
            except ActionFailed as error:
                if "EAGAIN" not in str(error):
                    raise
                refused = ", the kernel found no more"
                break
            asked += part
        after = cgroup.read_int("memory.current")
        freed = max(0, before - after) if after is not None else 0
        return f"{freed // 1024**2} MiB of {before // 1024**2} MiB taken back{refused}"
