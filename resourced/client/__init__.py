"""What a workload or a script imports to ask the daemon.

Example:
    from resourced.client import Client

    with Client() as client:
        verdict = client.should_prune()
        if verdict:
            print(verdict.reasons)

A program that is to be told before it must give way:

    from resourced.client import workload

    with workload("train", grace_seconds=120) as w:
        for batch in batches:
            train(batch)
            if w.asked:
                save_checkpoint()
                break
"""

from resourced.client.answers import Explained, Resource, Table, Top, TopItem
from resourced.client.async_lease import AsyncLease
from resourced.client.asynchronous import AsyncClient
from resourced.client.cooperation import Cooperation, workload
from resourced.client.errors import ApiError, ClientError, NotAllowed, NotRunning
from resourced.client.sse import ServerEvent
from resourced.client.sync import Client
from resourced.client.sync_lease import Lease
from resourced.client.target import Target, find_target
from resourced.client.workloads import PruneRequest, Workload

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncLease",
    "Client",
    "ClientError",
    "Cooperation",
    "Explained",
    "Lease",
    "NotAllowed",
    "NotRunning",
    "PruneRequest",
    "Resource",
    "ServerEvent",
    "Table",
    "Target",
    "Top",
    "TopItem",
    "Workload",
    "find_target",
    "workload",
]
