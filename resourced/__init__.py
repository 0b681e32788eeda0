"""Watches one Linux machine, remembers what it saw, decides what must give way, and says why.

The three public names are imported on first use, so that a program which needs only the client does not pay for the
collectors.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from resourced.config import ResourceConfig
    from resourced.manager import ResourceManager
    from resourced.monitor import ResourceMonitor

__all__ = ["ResourceConfig", "ResourceManager", "ResourceMonitor", "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name in {"ResourceConfig", "ResourceManager", "ResourceMonitor"}:
        return getattr(import_module(f"resourced.{name.removeprefix('Resource').lower()}"), name)
    raise AttributeError(f"module 'resourced' has no attribute {name!r}")
