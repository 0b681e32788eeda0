"""The policies that are shipped: sets of rules for usual machines, each number with its reason beside it."""

import tomllib
from importlib.resources import files
from typing import Any

PROFILES: tuple[str, ...] = ("default", "desktop", "gpu-server", "ci-runner")
"""Names of the profiles."""


def read_profile(name: str) -> dict[str, Any]:
    """Return a profile as parsed TOML: `mode`, `description` and the list `rule`.

    Raises:
        KeyError: There is no such profile.
    """
    return tomllib.loads(profile_text(name))


def profile_text(name: str) -> str:
    """Return a profile as it is written, with its comments.

    Raises:
        KeyError: There is no such profile.
    """
    if name not in PROFILES:
        raise KeyError(f"there is no profile {name!r}; there are {', '.join(PROFILES)}")
    return (files(__package__) / f"{name}.toml").read_text(encoding="utf-8")
