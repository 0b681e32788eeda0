"""The API: one HTTP application on a Unix socket and on TCP. It carries what the other rooms know, and decides nothing.

Start at `service` (what the application asks for), `app` (what it answers) and `listen` (where it listens).
"""

from resourced.api.access import AccessSettings
from resourced.api.app import ApiSettings, create_app
from resourced.api.limits import Limits
from resourced.api.listen import ApiServer, ListenSettings, make_sockets
from resourced.api.service import Service

__all__ = [
    "AccessSettings",
    "ApiServer",
    "ApiSettings",
    "Limits",
    "ListenSettings",
    "Service",
    "create_app",
    "make_sockets",
]
