"""How a program takes part: it is told first, and may leave by itself before anything is done to it."""

import os
from collections.abc import Callable
from typing import Any

from resourced.client.async_lease import AsyncLease
from resourced.client.lease import ENVIRONMENT, LeaseSettings, Tell
from resourced.client.sync_lease import Lease
from resourced.client.workloads import PruneRequest


class Cooperation:
    """Register this program as a workload, to be told before it must give way.

    As long as the block lasts, the daemon asks first: it tells the workload, waits for a sign that it was understood,
    and then for `grace_seconds`. A program that ends or releases itself by then is not touched. The first look at a
    request acknowledges it: `asked`, `request`, `wait`, `prune_requested`, or the call of `on_prune`.

    Where whoever started the program has registered it (`resourcectl run`, which sets $RESOURCED_WORKLOAD), that
    registration is taken over with what was said there, and left as it is at the end of the block.

    Args:
        name: What people see; the name of the program if not given.
        priority: Higher gives way later, -1000 to 1000; above 0 takes root or an admin.
        grace_seconds: Time that it wants once it was told, for example to write a checkpoint.
        restartable: Whether it can go on later from where it was.
        tell: stream is what this needs; signal and file tell others of this process, too.
        on_prune: Called with each request: in a thread of its own, or awaited if it is a coroutine function and the
            block is `async with`.
        acknowledge: Whether the first look acknowledges; if not, call `acknowledge()`.
        required: Whether to fail where no daemon runs. By default the program works without one, is never asked, and
            is taken in as soon as there is one; that is logged once.
        target: URL or socket of the daemon; the usual ones if not given.
        token: Bearer token.
        wishes: pid, scope, signal, heartbeat_seconds, as in the API. With heartbeat_seconds, signs of life are given.

    Raises:
        NotRunning: No daemon runs, and one is required; when the block is entered.
        ApiError: The daemon refuses what is wished, such as a priority above 0; likewise.

    Example:
        with workload("train", grace_seconds=120, restartable=True) as w:
            for step in range(steps):
                train(step)
                if w.asked:
                    save_checkpoint(step)
                    break
    """

    def __init__(  # noqa: PLR0913 - each is one wish of a program, by name
        self,
        name: str | None = None,
        *,
        priority: float = 0,
        grace_seconds: float = 30,
        restartable: bool = False,
        tell: Tell = "stream",
        on_prune: Callable[[PruneRequest], object] | None = None,
        acknowledge: bool = True,
        required: bool = False,
        target: str | None = None,
        token: str | None = None,
        **wishes: Any,
    ) -> None:
        wanted = {"name": name, "priority": priority, "grace_seconds": grace_seconds, "restartable": restartable}
        adopted = os.environ.get(ENVIRONMENT) if "pid" not in wishes else None
        self._settings = LeaseSettings(
            {**wanted, "tell": tell, **wishes},
            target=target,
            token=token,
            required=required,
            acknowledges=acknowledge,
            adopted=adopted or None,
            on_prune=on_prune,
        )
        self._lease: Lease | None = None
        self._async_lease: AsyncLease | None = None

    def open(self) -> Lease:
        """Register without a block; `close` of what is returned ends it, as does the end of the process."""
        return Lease(self._settings).open()

    def __enter__(self) -> Lease:
        self._lease = self.open()
        return self._lease

    def __exit__(self, *_: object) -> None:
        if self._lease is not None:
            self._lease.close()

    async def __aenter__(self) -> AsyncLease:
        self._async_lease = await AsyncLease(self._settings).open()
        return self._async_lease

    async def __aexit__(self, *_: object) -> None:
        if self._async_lease is not None:
            await self._async_lease.close()


workload = Cooperation
"""As programs call it."""
