"""What a workload or a script imports to ask the daemon.

Example:
    from resourced.client import Client

    with Client() as client:
        verdict = client.should_prune()
        if verdict:
            print(verdict.reasons)
"""

from resourced.client.answers import Explained, Resource, Table, Top, TopItem
from resourced.client.asynchronous import AsyncClient
from resourced.client.errors import ApiError, ClientError, NotAllowed, NotRunning
from resourced.client.sse import ServerEvent
from resourced.client.sync import Client
from resourced.client.target import Target, find_target

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "Explained",
    "NotAllowed",
    "NotRunning",
    "Resource",
    "ServerEvent",
    "Table",
    "Target",
    "Top",
    "TopItem",
    "find_target",
]
