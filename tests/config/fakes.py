"""Configuration files made for one test."""

from pathlib import Path

from resourced.configfiles import Loaded, load
from resourced.errors import ConfigError


def write(path: Path, text: str) -> Path:
    """Write a file, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, *options: str, **environ: str) -> Loaded:
    """Load one main file with its drop-ins, as a plain user with an empty environment."""
    return load([path], environ=environ, options=options, uid=1000)


def faults(path: Path, *options: str, **environ: str) -> list[str]:
    """Return what is wrong with one main file, without the path of its directory."""
    try:
        read(path, *options, **environ)
    except ConfigError as error:
        return str(error).replace(f"{path.parent}/", "").splitlines()
    return []
